"""Ogg: its recordings, one after the other, and whether each is whole.

RFC 3533: pages with a checksum, the first of each stream marked, the last as well. Recordings put behind each other are
a chain of links.
"""

import struct
import zlib
from typing import Any, NamedTuple

from meanflow_audio_codec.datasets.audio.layouts.layout import Layout, read_at, size_of
from meanflow_audio_codec.datasets.audio.spliced_file import Part, spliced

_FIRST, _LAST = 2, 4
_HEAD_BYTES = 27
_PIECE = 1 << 16
_REVERSED = bytes(int(f"{byte:08b}"[::-1], 2) for byte in range(256))


class _Page(NamedTuple):
    flags: int
    size: int


def ogg_layout(file: Any) -> Layout:
    """The layout of a file that begins with OggS; all of it is read, for the checksums."""
    size = size_of(file)
    starts, ended = [0], [False]
    damaged, position, opening = 0, 0, True
    while position < size:
        page = _page_at(file, position)
        if page is None:
            following = _next_page(file, position + 1, size)
            # What stands behind the last page matters only if that was not marked as the last.
            damaged += following < size or not ended[-1]
            position = following
            continue
        if page.flags & _FIRST and not opening:
            starts.append(position)
            ended.append(False)
        opening = bool(page.flags & _FIRST)
        ended[-1] = ended[-1] or bool(page.flags & _LAST)
        position += page.size
    remark = ""
    if not all(ended):
        link = f" of link {ended.index(False) + 1} of {len(ended)}" if len(ended) > 1 else ""
        remark = f"ends early: the end mark{link} is missing"
    elif damaged:
        remark = f"is damaged: {damaged} of its pages cannot be read"
    ends = [*starts[1:], size]
    if len(starts) == 1:
        return Layout((file,), remark=remark, lacks_seconds=True)
    links = tuple(spliced(Part(file, start, end - start)) for start, end in zip(starts, ends, strict=True))
    return Layout(links, remark=remark, lacks_seconds=True)


def _page_at(file: Any, position: int) -> _Page | None:
    """The page that begins here; None if none does, its end is missing, or its checksum is wrong."""
    head = read_at(file, position, _HEAD_BYTES + 255)
    if len(head) < _HEAD_BYTES or head[:4] != b"OggS":
        return None
    table = head[_HEAD_BYTES : _HEAD_BYTES + head[26]]
    size = _HEAD_BYTES + len(table) + sum(table)
    content = read_at(file, position, size)
    if len(table) < head[26] or len(content) < size:
        return None
    stored = struct.unpack("<I", content[22:26])[0]
    is_right = _checksum(content[:22] + bytes(4) + content[26:]) == stored
    return _Page(content[5], size) if is_right else None


def _checksum(content: bytes) -> int:
    """The CRC of RFC 3533: that of zlib with all bits reversed, and nothing inverted."""
    reflected = zlib.crc32(content.translate(_REVERSED), 0xFFFFFFFF) ^ 0xFFFFFFFF
    return int.from_bytes(reflected.to_bytes(4, "little").translate(_REVERSED), "big")


def _next_page(file: Any, position: int, size: int) -> int:
    """Where the next page begins; the file's size if none does."""
    while position < size:
        piece = read_at(file, position, _PIECE + 3)
        found = piece.find(b"OggS")
        if found >= 0:
            return position + found
        position += _PIECE
    return size
