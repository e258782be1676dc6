"""Files as the audio library wants them: errors inside its callbacks are kept, for they are lost in there."""

import errno
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any


class KeptErrors:
    """A binary file whose first error is kept; from then on nothing is read or written any more.

    The library calls these methods from C, where an exception is printed and forgotten.
    """

    def __init__(self, file: Any) -> None:
        self._file = file
        self._error: BaseException | None = None

    def read(self, count: int) -> bytes:
        """The next bytes; fewer only where the file ends, or after an error."""
        content = bytearray()
        try:
            while self._error is None and len(content) < count:
                piece = self._file.read(count - len(content))
                if not piece:
                    break
                content += piece
        except BaseException as error:
            self._error = error
        return bytes(content)

    def write(self, content: bytes) -> int:
        """Write all of the bytes, and return their number; 0 after an error."""
        try:
            left = memoryview(content)
            while self._error is None and left:
                written = self._file.write(left)
                if not written:
                    raise OSError(errno.EIO, "the file took no more bytes")
                left = left[written:]
        except BaseException as error:
            self._error = error
        return 0 if self._error else len(content)

    def seek(self, offset: int, whence: int = 0) -> int:
        """Move; a place that cannot be is left to the library, which looks where it came to."""
        try:
            if self._error is None:
                self._file.seek(offset, whence)
        except (ValueError, OSError) as error:
            if not isinstance(error, ValueError) and error.errno != errno.EINVAL:
                self._error = error
        except BaseException as error:
            self._error = error
        return self.tell()

    def tell(self) -> int:
        """The position."""
        try:
            return self._file.tell() if self._error is None else 0
        except BaseException as error:
            self._error = error
            return 0

    def check(self) -> None:
        """Raise the error that was kept, if there is one."""
        if self._error is not None:
            raise self._error

    @contextmanager
    def raised(self) -> Iterator[None]:
        """Around calls of the library: what it makes of an error that was kept gives way to that error."""
        try:
            yield
        except Exception:
            self.check()
            raise
        self.check()
