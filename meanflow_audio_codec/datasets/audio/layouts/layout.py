"""What is known of an audio file before its samples are decoded."""

import io
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Layout:
    """The recordings that a file holds one after the other, each as a file, and what it says of its end.

    `states_length` is false where the library's number of samples is an estimate. `num_samples` is what the header
    says of each channel where the library is not to know it. `remark` is what is wrong with the end, in a few words; if
    it `lacks_seconds`, how much there is is known only once it is decoded.
    """

    links: tuple[Any, ...]
    states_length: bool = True
    num_samples: int | None = None
    remark: str = ""
    lacks_seconds: bool = False


def size_of(file: Any) -> int:
    """Bytes of a seekable file."""
    return file.seek(0, io.SEEK_END)


def read_at(file: Any, position: int, count: int) -> bytes:
    """Bytes from a position on; fewer only where the file ends."""
    file.seek(position)
    content = bytearray()
    while len(content) < count:
        piece = file.read(count - len(content))
        if not piece:
            break
        content += piece
    return bytes(content)


def end_without_tags(file: Any, size: int) -> int:
    """Where the texts that players append, ID3v1 and APE, begin; the file's size if it has none."""
    end = size
    if end >= 128 and read_at(file, end - 128, 3) == b"TAG":
        end -= 128
    footer = read_at(file, end - 32, 32) if end >= 32 else b""
    if footer[:8] == b"APETAGEX":
        length = int.from_bytes(footer[12:16], "little") + (32 if footer[23] & 0x80 else 0)
        end -= min(length, end)
    return end


def early(stated: float, found: float) -> str:
    """The remark on a recording that is shorter than stated, both in seconds."""
    return f"ends early: its header says {stated:.2f} s, it ends after {found:.2f} s"


def late(stated: float, found: float) -> str:
    """The remark on a recording that is longer than stated, both in seconds."""
    return f"ends late: its header says {stated:.2f} s, it goes on to {found:.2f} s"
