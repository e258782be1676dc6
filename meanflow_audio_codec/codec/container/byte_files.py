"""What the container asks of a file, so that pipes, memory and disk files will all do."""

from typing import Protocol, runtime_checkable


@runtime_checkable
class ReadableFile(Protocol):
    """A binary file open for reading; seekable only for those who say so."""

    def read(self, size: int, /) -> bytes:
        """At most `size` bytes; none at the end."""
        ...


@runtime_checkable
class SeekableFile(Protocol):
    """A binary file open for reading at any position."""

    def read(self, size: int, /) -> bytes:
        """At most `size` bytes; none at the end."""
        ...

    def seek(self, offset: int, whence: int = 0, /) -> int:
        """Move and return the new position."""
        ...


@runtime_checkable
class WritableFile(Protocol):
    """A binary file open for writing in order."""

    def write(self, data: bytes, /) -> int:
        """Take all of the bytes."""
        ...
