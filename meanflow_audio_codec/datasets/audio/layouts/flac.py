"""FLAC: its header may leave the length open or be wrong, so it is read as if it were open."""

from typing import Any

from meanflow_audio_codec.datasets.audio.layouts.layout import Layout, end_without_tags, read_at, size_of
from meanflow_audio_codec.datasets.audio.spliced_file import patched

# The number of samples takes the last 36 bits of these bytes of the first block, which is always STREAMINFO.
_START, _BYTES = 18, 8
_BITS = (1 << 36) - 1


# A file begins with these bytes, and the first of them again where another one was put behind it.
_MARKS = (b"fLaC\x00\x00\x00\x22", b"fLaC\x80\x00\x00\x22")
_PIECE = 1 << 20


def flac_layout(file: Any, start: int = 0, *, by_header: bool = False) -> Layout:
    """The layout of a file that begins with fLaC at `start`; `by_header` looks for no other one behind it."""
    end = end_without_tags(file, size_of(file))
    starts = [start] if by_header else [start, *_marks(file, start + 1, end)]
    links, lengths = [], []
    for first, stop in zip(starts, [*starts[1:], end], strict=True):
        place = first + _START
        field = int.from_bytes(read_at(file, place, _BYTES), "big")
        opened = {place: (field & ~_BITS).to_bytes(_BYTES, "big")} if place + _BYTES <= stop else {}
        links.append(patched(file, first, stop - first, opened))
        lengths.append(field & _BITS)
    return Layout(tuple(links), states_length=False, num_samples=sum(lengths) if all(lengths) else None)


def _marks(file: Any, position: int, end: int) -> list[int]:
    """Where further files begin."""
    found = []
    while position < end:
        piece = read_at(file, position, min(_PIECE + len(_MARKS[0]) - 1, end - position))
        for mark in _MARKS:
            place = piece.find(mark)
            while place >= 0:
                found.append(position + place)
                place = piece.find(mark, place + 1)
        position += _PIECE
    return sorted(set(found))
