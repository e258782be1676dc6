"""AIFF, AU and W64, which the audio library reads as well: whether the file holds as many bytes as it says."""

import struct
from collections.abc import Callable
from typing import Any, NamedTuple

from meanflow_audio_codec.datasets.audio.layouts.layout import Layout, early, read_at, size_of

# Bytes of a sample by the encodings of AU; of others none is known.
_AU_BYTES = {1: 1, 2: 1, 3: 2, 4: 3, 5: 4, 6: 4, 7: 8, 27: 1}
_W64_TAIL = bytes.fromhex("f3acd3118cd100c04f8edb8a")
_MOST_CHUNKS = 10_000


class _Samples(NamedTuple):
    """Where samples begin, how many bytes they are said to take (negative: left open), and bytes per second."""

    start: int
    stated: int
    byte_rate: float


def other_layout(file: Any) -> Layout:
    """The layout of a file of one of these formats, or of one that is not looked into: a single recording."""
    read = _READERS.get(read_at(file, 0, 4))
    size = size_of(file)
    samples = read(file) if read is not None else None
    if samples is None or samples.byte_rate <= 0 or samples.stated < 0:
        return Layout((file,))
    available = max(size - samples.start, 0)
    remark = early(samples.stated / samples.byte_rate, available / samples.byte_rate)
    return Layout((file,), remark=remark if samples.stated > available else "")


def _read_au(file: Any) -> _Samples | None:
    head = read_at(file, 4, 20)
    if len(head) < 20:
        return None
    start, stated, encoding, rate, channels = struct.unpack(">5I", head)
    is_open = stated == 2**32 - 1
    return _Samples(start, -1 if is_open else stated, rate * channels * _AU_BYTES.get(encoding, 0))


def _read_aiff(file: Any) -> _Samples | None:
    position, byte_rate = 12, 0.0
    for _ in range(_MOST_CHUNKS):
        head = read_at(file, position, 26)
        if len(head) < 8:
            break
        kind, length = head[:4], int.from_bytes(head[4:8], "big")
        if kind == b"COMM" and len(head) == 26:
            channels, _, bits, exponent, mantissa = struct.unpack(">hIhHQ", head[8:26])
            # The rate is an 80-bit floating-point number.
            byte_rate = mantissa * 2.0 ** min((exponent & 0x7FFF) - 16_446, 64) * channels * (-(-bits // 8))
        if kind == b"SSND":
            return _Samples(position + 16, length - 8, byte_rate)
        position += 8 + length + length % 2
    return None


def _read_w64(file: Any) -> _Samples | None:
    position, byte_rate = 40, 0
    for _ in range(_MOST_CHUNKS):
        head = read_at(file, position, 36)
        if len(head) < 24:
            break
        length = int.from_bytes(head[16:24], "little")
        if head[:16] == b"fmt " + _W64_TAIL and len(head) == 36:
            byte_rate = int.from_bytes(head[32:36], "little")
        if head[:16] == b"data" + _W64_TAIL:
            # From a pipe the length of the file is left open, and that of the samples with it.
            is_open = length >= 2**63 - 1 or read_at(file, 16, 8) == b"\xff" * 8
            return _Samples(position + 24, -1 if is_open else length - 24, byte_rate)
        position += max(length, 24) + -length % 8
    return None


_READERS: dict[bytes, Callable[[Any], _Samples | None]] = {
    b".snd": _read_au,
    b"FORM": _read_aiff,
    b"riff": _read_w64,
}
