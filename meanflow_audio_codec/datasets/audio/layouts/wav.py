"""WAV and RF64: where the samples lie, whatever the header says of their number."""

import struct
from dataclasses import dataclass
from typing import Any

from meanflow_audio_codec.datasets.audio.layouts.layout import (
    Layout,
    early,
    end_without_tags,
    late,
    read_at,
    size_of,
)
from meanflow_audio_codec.datasets.audio.spliced_file import Part, SplicedFile, patched, spliced

# Byte order by the first four bytes.
KINDS = {b"RIFF": "<", b"RF64": "<", b"BW64": "<", b"RIFX": ">"}
_LARGEST = 2**32 - 1
# What programs write that cannot know a length, because they write into a pipe: the largest, or a little less.
_OPEN = (range(0x7FFF0000, 0x80000001), range(0xFFFF0000, _LARGEST + 1))
_PIECE = 1 << 16


@dataclass(frozen=True)
class _Header:
    """What stands before the samples; `chunks_start` is behind what only RF64 has, lengths are in bytes."""

    order: str
    chunks_start: int
    data_start: int
    riff_length: int
    data_length: int
    is_open: bool
    byte_rate: int
    block_bytes: int


def wav_layout(file: Any) -> Layout:
    """The layout of a file that begins with one of `KINDS`; one without samples is left to the library."""
    size = size_of(file)
    links, remarks, start = [], [], 0
    while start < size:
        link, remark, end = _one(patched(file, start, size - start, {}) if start else file, size - start)
        links.append(link)
        remarks.append(remark)
        start += end
    return Layout(tuple(links), remark=next(filter(None, remarks), ""))


def _one(file: Any, size: int) -> tuple[Any, str, int]:
    """The file's first recording, the remark on its end, and where another one begins or the file ends."""
    header = _read_header(file, size)
    if header is None:
        return file, "", size
    start, stated, available = header.data_start, header.data_length, size - header.data_start
    if stated > available or (header.is_open and stated >= _LARGEST):
        remark = "" if header.is_open else early(stated / header.byte_rate, available / header.byte_rate)
        return _with_length(file, header, available), remark, size
    if stated == 0:
        # A file that really has no samples says how long it is itself, whatever follows.
        is_open = available > 0 and header.riff_length + 8 != size
        found, end = (available if is_open else 0), size
    else:
        found, end = _found_length(file, start, stated, size)
    if found == stated:
        return (file if end == size else patched(file, 0, end, {})), "", end
    remark = late(stated / header.byte_rate, found / header.byte_rate)
    return _with_length(file, header, found), remark, size


def _read_header(file: Any, size: int) -> _Header | None:
    start = read_at(file, 0, 12)
    if start[8:] != b"WAVE":
        return None
    order, is_long = KINDS[start[:4]], start[:4] in (b"RF64", b"BW64")
    riff_length = struct.unpack(order + "I", start[4:8])[0]
    position = chunks_start = 12
    byte_rate, block_bytes, long_length = 1, 1, 0
    while position + 8 <= size:
        head = read_at(file, position, 8 + 16)
        kind, length = head[:4], struct.unpack(order + "I", head[4:8])[0]
        position += 8
        if kind == b"data":
            is_long = is_long and length == _LARGEST
            return _Header(
                order,
                chunks_start,
                position,
                riff_length,
                long_length if is_long else length,
                long_length == 2**64 - 1 if is_long else any(length in marks for marks in _OPEN),
                max(byte_rate, 1),
                max(block_bytes, 1),
            )
        if kind == b"fmt " and len(head) == 24:
            byte_rate, block_bytes = struct.unpack(order + "IH", head[16:22])
        position += length + length % 2
        if kind == b"ds64" and len(head) == 24:
            riff_length, long_length = struct.unpack(order + "QQ", head[8:24])
            chunks_start = position
    return None


def _found_length(file: Any, start: int, stated: int, size: int) -> tuple[int, int]:
    """Bytes of samples, and where another file begins or this one ends.

    They are as many as stated if chunks, players' texts, zeros or another file follow, else all that there are.
    """
    position, end = start + stated + stated % 2, end_without_tags(file, size)
    while position + 8 <= end:
        head = read_at(file, position, 12)
        if head[:4] in KINDS and head[8:] == b"WAVE":
            return stated, position
        if not all(32 <= byte < 127 for byte in head[:4]):
            return (stated if _is_silence(file, position, end) else end - start), size
        length = int.from_bytes(head[4:8], "little")
        position += 8 + length + length % 2
    return stated, size


def _is_silence(file: Any, start: int, end: int) -> bool:
    return not any(any(read_at(file, position, min(_PIECE, end - position))) for position in range(start, end, _PIECE))


def _with_length(file: Any, header: _Header, length: int) -> SplicedFile:
    """The file with all lengths right, and nothing behind the samples."""
    chunks = Part(file, header.chunks_start, header.data_start - 4 - header.chunks_start)
    samples = Part(file, header.data_start, length)
    riff_length = 4 + chunks.length + 4 + length
    if riff_length <= _LARGEST or header.order == ">":
        kind, number = (b"RIFX", ">I") if header.order == ">" else (b"RIFF", "<I")
        return spliced(
            kind + struct.pack(number, min(riff_length, _LARGEST)) + b"WAVE",
            chunks,
            struct.pack(number, min(length, _LARGEST)),
            samples,
        )
    long_lengths = struct.pack("<IQQQI", 28, riff_length + 36, length, length // header.block_bytes, 0)
    unknown = struct.pack("<I", _LARGEST)
    return spliced(b"RF64" + unknown + b"WAVEds64" + long_lengths, chunks, unknown, samples)
