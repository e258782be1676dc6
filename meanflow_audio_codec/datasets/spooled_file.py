"""Temporary files for what comes from a pipe or goes into one: in memory while small, on disk beyond."""

import contextlib
import io
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from typing import IO, Any

from meanflow_audio_codec.errors import InputError

# What is kept in memory.
SPOOL_BYTES = 64 << 20
_PIECE = 1 << 16


class SpooledFile:
    """A temporary file, seekable, whose writing fails with the name of the temporary folder."""

    def __init__(self) -> None:
        self._file: IO[bytes] = tempfile.SpooledTemporaryFile(max_size=SPOOL_BYTES)  # noqa: SIM115  # closed by `close`

    def write(self, content: bytes | memoryview) -> int:
        """Write all of the bytes.

        Raises:
            InputError: the temporary folder is full or missing.
        """
        try:
            self._file.write(content)
        except OSError as error:
            raise InputError(
                f"the temporary folder{_folder()} cannot hold what goes through a pipe ({error.strerror or error}): "
                "set TMPDIR to a folder with room, or name files"
            ) from error
        return len(content)

    def read(self, count: int = -1) -> bytes:
        """The next bytes; fewer only at the end."""
        return self._file.read(count)

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        """Move and return the new position."""
        self._file.seek(offset, whence)
        return self._file.tell()

    def tell(self) -> int:
        """The position."""
        return self._file.tell()

    def close(self) -> None:
        """Give the file back."""
        with contextlib.suppress(OSError):  # of a full folder: the content is not wanted any more
            self._file.close()


class PipeReader:
    """What comes out of a pipe as a seekable file; no more is taken from the pipe than is asked for."""

    def __init__(self, source: Any, name: str) -> None:
        self._source, self._name = source, name
        self._spool = SpooledFile()
        self._size = self._position = 0
        self._has_ended = False

    def seekable(self) -> bool:
        """Yes."""
        return True

    def read(self, count: int = -1) -> bytes:
        """The next bytes; fewer only at the end.

        Raises:
            InputError: the pipe cannot be read, or the temporary folder is full.
        """
        end = None if count < 0 else self._position + count
        self._fetch(end)
        self._spool.seek(self._position)
        content = self._spool.read(count)
        self._position += len(content)
        return content

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        """Move and return the new position; from the end, once all has come."""
        if whence == io.SEEK_END:
            self._fetch(None)
        base = {io.SEEK_SET: 0, io.SEEK_CUR: self._position, io.SEEK_END: self._size}[whence]
        if base + offset < 0:
            raise ValueError(f"no position {base + offset} in a file")
        self._position = base + offset
        return self._position

    def tell(self) -> int:
        """The position."""
        return self._position

    def close(self) -> None:
        """Give the temporary file back."""
        self._spool.close()

    def _fetch(self, end: int | None) -> None:
        """Take from the pipe up to this position, or to its end."""
        if self._has_ended or (end is not None and end <= self._size):
            return
        self._spool.seek(self._size)
        while not self._has_ended and (end is None or self._size < end):
            try:
                piece = self._source.read(_PIECE)
            except OSError as error:
                raise InputError(f"{self._name}: cannot be read ({error.strerror or error})") from error
            self._has_ended = not piece
            self._size += self._spool.write(piece) if piece else 0


@contextmanager
def seekable(source: Any, name: str) -> Iterator[Any]:
    """An open binary file if it is seekable, else what comes out of it as one that is."""
    if source.seekable():
        yield source
        return
    reader = PipeReader(source, name)
    try:
        yield reader
    finally:
        reader.close()


def _folder() -> str:
    try:
        return f" {tempfile.gettempdir()}"
    except OSError:  # there is none
        return ""
