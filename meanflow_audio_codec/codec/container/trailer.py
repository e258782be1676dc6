"""The last two chunks: where each packet lies, and what is known only once all packets are written."""

import struct
from dataclasses import dataclass

import numpy as np
from jaxtyping import Int

from meanflow_audio_codec.codec.container.bitstream_error import BitstreamError, check_range
from meanflow_audio_codec.codec.container.chunks import CHUNK_OVERHEAD, END, INDEX, MAX_BYTES, encode_chunk

MAX_SAMPLES = 2**48 - 1
# samples, packets, position of the index, CRC-32 of the CRCs of all chunks before this one
_NUMBERS = struct.Struct("<QIQI")
END_CHUNK_BYTES = CHUNK_OVERHEAD + _NUMBERS.size
# Type and size: what the end of a file is recognised by.
END_CHUNK_HEAD = encode_chunk(END, bytes(_NUMBERS.size))[:5]
INDEX_ENTRY_BYTES = 4
MAX_PACKETS = MAX_BYTES[INDEX] // INDEX_ENTRY_BYTES


@dataclass(frozen=True)
class Trailer:
    """The content of the end chunk; `num_samples` counts one channel.

    Raises:
        BitstreamError: a field lies outside its range.
    """

    num_samples: int
    num_packets: int
    index_position: int
    digest: int

    def __post_init__(self) -> None:
        check_range("sample count", self.num_samples, 0, MAX_SAMPLES)
        check_range("packet count", self.num_packets, 0, MAX_PACKETS)

    def to_bytes(self) -> bytes:
        """The content of the chunk."""
        return _NUMBERS.pack(self.num_samples, self.num_packets, self.index_position, self.digest)

    @classmethod
    def from_bytes(cls, content: bytes) -> "Trailer":
        """The trailer in a chunk's content.

        Raises:
            BitstreamError: the content has another size, or a field lies outside its range.
        """
        if len(content) != _NUMBERS.size:
            raise BitstreamError(f"the end chunk has an implausible size of {len(content)} bytes")
        return cls(*_NUMBERS.unpack(content))


def index_entry(distance: int) -> bytes:
    """Bytes from the start of one packet's chunk to the start of the next one's; for the first, from the file's start.

    Raises:
        BitstreamError: a distance beyond 4 GiB.
    """
    check_range("distance between packets", distance, 0, 2**32 - 1)
    return distance.to_bytes(INDEX_ENTRY_BYTES, "little")


def packet_positions(content: bytes, num_packets: int, *, first: int, end: int) -> Int[np.ndarray, " packets"]:
    """Position of each packet's chunk in the file; all of them must lie within first ... end, one after the other.

    Raises:
        BitstreamError: another number of packets, or positions that cannot be.
    """
    if len(content) != INDEX_ENTRY_BYTES * num_packets:
        raise BitstreamError(f"the index has {len(content)} bytes for {num_packets} packets: the file is damaged")
    distances = np.frombuffer(content, "<u4").astype(np.int64)
    positions = np.cumsum(distances)
    if num_packets and (
        positions[0] < first or (distances[1:] < CHUNK_OVERHEAD).any() or positions[-1] + CHUNK_OVERHEAD > end
    ):
        raise BitstreamError("the index points outside the packets: the file is damaged")
    return positions
