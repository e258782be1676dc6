"""MP3: its recordings, one after the other, by the number of bytes that a Xing header states for each.

ISO 11172-3 and 13818-3 for the frames; a Xing or Info header is a first frame without sound that states how much
follows.
"""

import struct
from typing import Any, NamedTuple

from meanflow_audio_codec.datasets.audio.layouts.layout import Layout, end_without_tags, read_at, size_of
from meanflow_audio_codec.datasets.audio.spliced_file import patched

_RATES = {3: (44_100, 48_000, 32_000), 2: (22_050, 24_000, 16_000), 0: (11_025, 12_000, 8_000)}
_KILOBITS = {
    3: (0, 32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320),
    2: (0, 8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160),
}
_PIECE = 1 << 18
# What is shorter and follows the stated number of bytes is no recording of its own.
_LEAST_BYTES = 1 << 11


class _Xing(NamedTuple):
    """A header that states lengths: where its number of bytes stands, and the number."""

    place: int
    num_bytes: int


def mp3_layout(file: Any, *, by_header: bool = False) -> Layout:
    """The layout of a file that begins with an MP3 frame or an ID3 text; `by_header` goes not from frame to frame."""
    end = end_without_tags(file, size_of(file))
    links, states_length, remark, start = [], True, "", 0
    while start < end:
        first = skip_texts(file, start, end)
        xing = _xing_at(file, first)
        if xing is None:
            if _frame_bytes(read_at(file, first, 4)) == 0:
                return Layout((file,), states_length=False)
            states_length = False
            if not by_header and _ends_inside_frame(file, first, end):
                remark = "ends early: its last frame is cut"
            links.append(patched(file, start, end - start, {}))
            break
        stop = min(first + xing.num_bytes, end)
        following = skip_texts(file, stop, end)
        if end - following < _LEAST_BYTES or _frame_bytes(read_at(file, following, 4)) == 0:
            # Some programs do not count the header's own frame, some count wrongly: no other recording begins here.
            stop = end
        # With the right number the library does not remark on a wrong one; the number of samples stays as stated.
        links.append(patched(file, start, stop - start, {xing.place: struct.pack(">I", stop - first)}))
        start = stop
    return Layout(tuple(links), states_length=states_length, remark=remark, lacks_seconds=True)


def skip_texts(file: Any, position: int, end: int) -> int:
    """Where the frames begin behind ID3v2 texts and zeros."""
    while position < end:
        head = read_at(file, position, 10)
        if head[:3] == b"ID3" and len(head) == 10:
            length = sum(byte << shift for byte, shift in zip(head[6:], (21, 14, 7, 0), strict=True))
            position += 10 + length + (10 if head[5] & 0x10 else 0)
        elif head[:1] == b"\0":
            piece = read_at(file, position, min(_PIECE, end - position))
            position += len(piece) - len(piece.lstrip(b"\0"))
        else:
            break
    return position


def _frame_bytes(head: bytes) -> int:
    """Bytes of the layer III frame with this header; 0 if it is none, or says no length."""
    if len(head) < 4 or head[0] != 0xFF or head[1] & 0xE0 != 0xE0:
        return 0
    version, layer = head[1] >> 3 & 3, head[1] >> 1 & 3
    rate_index, kilobit_index = head[2] >> 2 & 3, head[2] >> 4
    if version == 1 or layer != 1 or rate_index == 3 or kilobit_index in (0, 15):
        return 0
    kilobits = _KILOBITS[3 if version == 3 else 2][kilobit_index]
    samples = 1_152 if version == 3 else 576
    return samples // 8 * kilobits * 1_000 // _RATES[version][rate_index] + (head[2] >> 1 & 1)


def _xing_at(file: Any, position: int) -> _Xing | None:
    head = read_at(file, position, 64)
    if _frame_bytes(head[:4]) == 0 or len(head) < 64:
        return None
    is_mono, is_first_version = head[3] >> 6 == 3, head[1] >> 3 & 3 == 3
    side_bytes = (17 if is_mono else 32) if is_first_version else (9 if is_mono else 17)
    place = 4 + side_bytes
    if head[place : place + 4] not in (b"Xing", b"Info"):
        return None
    flags = head[place + 7]
    if flags & 3 != 3:  # both frames and bytes
        return None
    num_bytes = int.from_bytes(head[place + 12 : place + 16], "big")
    return _Xing(position + place + 12, num_bytes) if num_bytes else None


def _ends_inside_frame(file: Any, position: int, end: int) -> bool:
    """Whether the frames from here on reach beyond the end; false where they cannot be followed."""
    piece, base = b"", position
    while position + 4 <= end:
        if position + 4 > base + len(piece):
            piece, base = read_at(file, position, _PIECE), position
        length = _frame_bytes(piece[position - base : position - base + 4])
        if length == 0:
            following = skip_texts(file, position, end)
            if following == position:
                return False
            position = following
            continue
        position += length
    return position > end
