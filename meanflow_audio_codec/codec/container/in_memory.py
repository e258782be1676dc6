"""Whole .mfc files in memory."""

import io
from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

from meanflow_audio_codec.codec.container.header import Header
from meanflow_audio_codec.codec.container.packet import Packet
from meanflow_audio_codec.codec.container.stream_reader import StreamReader
from meanflow_audio_codec.codec.container.stream_writer import NO_TAGS, StreamWriter


class Stream(NamedTuple):
    """What a file holds; `num_samples` counts one channel."""

    header: Header
    tags: dict[str, str]
    num_samples: int
    packets: list[Packet]


def write_stream(
    header: Header, num_samples: int, packets: Iterable[Packet], tags: Mapping[str, str] = NO_TAGS
) -> bytes:
    """The bytes of a file: packets in order, time slice by time slice, channels inside.

    Raises:
        BitstreamError: packets in an impossible order, or tags that cannot be stored.
    """
    file = io.BytesIO()
    writer = StreamWriter(file, header, tags)
    for packet in packets:
        writer.write_packet(packet)
    writer.finish(num_samples)
    return file.getvalue()


def read_header(data: bytes) -> Header:
    """The header of a file, checked; the packets are not looked at.

    Raises:
        BitstreamError: not a file of this format, another version, truncated, corrupted or out of range.
    """
    return StreamReader(io.BytesIO(data)).header


def read_stream(data: bytes) -> Stream:
    """Everything in a file, every checksum verified.

    Raises:
        BitstreamError: the file is damaged.
    """
    reader = StreamReader(io.BytesIO(data))
    packets = list(reader.packets())
    return Stream(reader.header, reader.tags, reader.trailer.num_samples, packets)


def payload_bits(packets: Sequence[Packet]) -> int:
    """Bits of the payloads alone: what a stated bit rate counts."""
    return 8 * sum(len(packet.payload) for packet in packets)
