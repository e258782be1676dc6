"""The .mfc file: a header and packets that can each be checked and decoded alone.

The layout, byte by byte, is in documentation/implementation/file_format.md.
"""

import struct
import zlib
from collections.abc import Sequence
from dataclasses import dataclass

from meanflow_audio_codec.errors import InputError

MAGIC = b"MFC"
VERSION = 1
WEIGHTS_HASH_BYTES = 8
MAX_SAMPLE_RATE = 768_000
MAX_SAMPLES = 2**48
MAX_FRAMES_PER_PACKET = 2**12
# sample rate, channels, samples, frames per packet, packets; after the model name and the weights hash
_NUMBERS = struct.Struct("<IBQII")
_CRC = struct.Struct("<I")
_LENGTH = struct.Struct("<H")
_MIN_PACKET_BYTES = 1 + _CRC.size


class BitstreamError(InputError):
    """The bytes are not a stream this version can decode; the message says where and why."""


@dataclass(frozen=True)
class Header:
    """What a decoder must know before the first packet: the model, the exact weights, and the size of the signal.

    `num_samples` counts one channel. A packet holds `frames_per_packet` frames of one channel, the last ones fewer.

    Raises:
        BitstreamError: a field lies outside its range.
    """

    model: str
    weights_hash: bytes
    sample_rate: int
    channels: int
    num_samples: int
    frames_per_packet: int

    def __post_init__(self) -> None:
        if not 1 <= len(self.model.encode("utf-8", "surrogateescape")) <= 255 or not self.model.isprintable():
            raise BitstreamError(f"model name must be 1 ... 255 printable UTF-8 bytes, not {self.model[:40]!r}")
        if len(self.weights_hash) != WEIGHTS_HASH_BYTES:
            raise BitstreamError(f"weights hash must be {WEIGHTS_HASH_BYTES} bytes, not {len(self.weights_hash)}")
        _check_range("sample rate", self.sample_rate, 1, MAX_SAMPLE_RATE)
        _check_range("channel count", self.channels, 1, 255)
        _check_range("sample count", self.num_samples, 0, MAX_SAMPLES - 1)
        _check_range("frames per packet", self.frames_per_packet, 1, MAX_FRAMES_PER_PACKET)


def write_stream(header: Header, packets: Sequence[bytes]) -> bytes:
    """The bytes of a file: the header, then the packets in order (time slice by time slice, channels inside)."""
    name = header.model.encode("utf-8")
    fields = (
        bytes([len(name)])
        + name
        + header.weights_hash
        + _NUMBERS.pack(header.sample_rate, header.channels, header.num_samples, header.frames_per_packet, len(packets))
    )
    head = MAGIC + bytes([VERSION]) + _LENGTH.pack(len(fields)) + fields
    parts = [head, _CRC.pack(zlib.crc32(head))]
    for payload in packets:
        parts += [_leb128(len(payload)), _CRC.pack(zlib.crc32(payload)), payload]
    return b"".join(parts)


def read_header(data: bytes) -> Header:
    """The header of a file, checked; the packets are not looked at.

    Raises:
        BitstreamError: not a file of this format, a newer version, truncated, corrupted or out of range.
    """
    return _read_header(data)[0]


def read_stream(data: bytes) -> tuple[Header, list[bytes]]:
    """The header and the payloads of a file, every checksum verified.

    Raises:
        BitstreamError: as `read_header`; or a packet is truncated or corrupted; or bytes follow the last packet.
    """
    header, num_packets, position = _read_header(data)
    # Checked before anything is allocated: a hostile count must not cost more than the bytes that came with it.
    if num_packets * _MIN_PACKET_BYTES > len(data) - position:
        raise BitstreamError(
            f"the file is truncated: {num_packets} packets announced, {len(data) - position} bytes left for them"
        )
    payloads = []
    for index in range(num_packets):
        where = f"packet {index} of {num_packets}"
        length, position = _read_leb128(data, position, where)
        end = position + _CRC.size + length
        if end > len(data):
            raise BitstreamError(
                f"the file is truncated in {where}: {end - position} bytes expected, {len(data) - position} left"
            )
        (crc,) = _CRC.unpack_from(data, position)
        payload = data[position + _CRC.size : end]
        if zlib.crc32(payload) != crc:
            raise BitstreamError(f"{where} is corrupted: its CRC-32 does not match; obtain the file again")
        payloads.append(payload)
        position = end
    if position != len(data):
        raise BitstreamError(f"{len(data) - position} unexpected bytes after the last packet; cut the file there")
    return header, payloads


def payload_bits(packets: Sequence[bytes]) -> int:
    """Bits of the payloads alone: what a stated bit rate counts."""
    return 8 * sum(len(payload) for payload in packets)


def _read_header(data: bytes) -> tuple[Header, int, int]:
    """Header, number of packets, and the position of the first packet."""
    if not data:
        raise BitstreamError("the file is empty: not an .mfc file")
    if data[:3] != MAGIC[: len(data)]:
        raise BitstreamError("not an .mfc file: it does not begin with 'MFC'")
    fields_start = len(MAGIC) + 1 + _LENGTH.size
    if len(data) > len(MAGIC) and data[3] != VERSION:
        if data[3] > VERSION:
            raise BitstreamError(
                f"the file was written by a newer version of this format ({data[3]}, this program reads {VERSION}); "
                "upgrade meanflow-audio-codec"
            )
        raise BitstreamError(f"the file has format version {data[3]}, which does not exist")
    if len(data) < fields_start:
        raise BitstreamError(f"the file is truncated in the header: {len(data)} bytes")
    (length,) = _LENGTH.unpack_from(data, fields_start - _LENGTH.size)
    crc_start = fields_start + length
    if len(data) < crc_start + _CRC.size:
        raise BitstreamError(
            f"the file is truncated in the header: {crc_start + _CRC.size} bytes expected, {len(data)} present"
        )
    if zlib.crc32(data[:crc_start]) != _CRC.unpack_from(data, crc_start)[0]:
        raise BitstreamError("the header is corrupted: its CRC-32 does not match; obtain the file again")
    fields = data[fields_start:crc_start]
    name_end = 1 + fields[0] if fields else 0
    if length != name_end + WEIGHTS_HASH_BYTES + _NUMBERS.size:
        raise BitstreamError(f"the header has an implausible length of {length} bytes")
    try:
        name = fields[1:name_end].decode("utf-8")
    except UnicodeDecodeError as error:
        raise BitstreamError("the model name in the header is not UTF-8") from error
    rate, channels, samples, frames, num_packets = _NUMBERS.unpack_from(fields, name_end + WEIGHTS_HASH_BYTES)
    weights_hash = fields[name_end : name_end + WEIGHTS_HASH_BYTES]
    return Header(name, weights_hash, rate, channels, samples, frames), num_packets, crc_start + _CRC.size


def _check_range(name: str, value: int, lowest: int, highest: int) -> None:
    if not lowest <= value <= highest:
        raise BitstreamError(f"implausible {name} {value}: must lie in {lowest} ... {highest}")


def _leb128(value: int) -> bytes:
    encoded = bytearray()
    while value >= 0x80:
        encoded.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes([*encoded, value])


def _read_leb128(data: bytes, position: int, where: str) -> tuple[int, int]:
    value = 0
    for index in range(5):
        if position + index >= len(data):
            raise BitstreamError(f"the file is truncated in the length of {where}")
        byte = data[position + index]
        value |= (byte & 0x7F) << (7 * index)
        if byte < 0x80:
            if index and byte == 0:
                break
            return value, position + index + 1
    raise BitstreamError(f"the length of {where} is malformed")
