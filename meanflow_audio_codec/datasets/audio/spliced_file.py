"""Parts of files and bytes read as one file, so that a header can be put right without touching the file."""

import io
from collections.abc import Sequence
from typing import Any, NamedTuple


class Part(NamedTuple):
    """Bytes of a file from `start` on."""

    file: Any
    start: int
    length: int


class SplicedFile:
    """A binary file for reading, of parts one after the other; nothing is copied."""

    def __init__(self, parts: Sequence[Part]) -> None:
        self._parts = [part for part in parts if part.length > 0]
        self._position = 0

    @property
    def size(self) -> int:
        """Bytes of all parts."""
        return sum(part.length for part in self._parts)

    def read(self, count: int = -1) -> bytes:
        """The next bytes; fewer only where the last part ends."""
        wanted = self.size - self._position if count < 0 else count
        content = bytearray()
        start = 0
        for part in self._parts:
            inside = self._position - start
            if len(content) < wanted and 0 <= inside < part.length:
                part.file.seek(part.start + inside)
                piece = part.file.read(min(wanted - len(content), part.length - inside))
                content += piece
                self._position += len(piece)
            start += part.length
        return bytes(content)

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        """Move and return the new position.

        Raises:
            ValueError: it lies before the beginning.
        """
        base = {io.SEEK_SET: 0, io.SEEK_CUR: self._position, io.SEEK_END: self.size}[whence]
        if base + offset < 0:
            raise ValueError(f"no position {base + offset} in a file")
        self._position = base + offset
        return self._position

    def tell(self) -> int:
        """The position."""
        return self._position


def spliced(*parts: Part | bytes) -> SplicedFile:
    """A file of these parts, bytes as they are."""
    return SplicedFile([part if isinstance(part, Part) else Part(io.BytesIO(part), 0, len(part)) for part in parts])


def patched(file: Any, start: int, length: int, changes: dict[int, bytes]) -> SplicedFile:
    """A range of a file with other bytes at some of the file's positions."""
    parts: list[Part | bytes] = []
    position, end = start, start + length
    for place, content in sorted(changes.items()):
        parts += [Part(file, position, place - position), content]
        position = place + len(content)
    return spliced(*parts, Part(file, position, end - position))
