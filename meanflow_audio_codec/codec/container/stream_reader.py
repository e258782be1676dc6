"""Reading a .mfc file from its first byte to its last, every checksum verified."""

import zlib
from collections.abc import Iterator

from meanflow_audio_codec.codec.container.bitstream_error import BitstreamError
from meanflow_audio_codec.codec.container.byte_files import ReadableFile
from meanflow_audio_codec.codec.container.chunks import (
    END,
    HEADER,
    INDEX,
    PACKET,
    TAGS,
    ByteSource,
    Chunk,
    read_chunk,
    read_preamble,
)
from meanflow_audio_codec.codec.container.header import Header
from meanflow_audio_codec.codec.container.packet import Packet, PacketOrder
from meanflow_audio_codec.codec.container.tags import tags_from_bytes
from meanflow_audio_codec.codec.container.trailer import Trailer, index_entry


class StreamReader:
    """Header and tags at once, then the packets one by one; the file may be a pipe.

    Memory holds one packet, and four bytes for each packet before it. `trailer` is known once `packets` has ended.
    """

    def __init__(self, file: ReadableFile) -> None:
        """Read up to the first packet.

        Raises:
            BitstreamError: not a file of this format, another version, truncated, corrupted or out of range.
        """
        self._source = ByteSource(file)
        self._digest = 0
        read_preamble(self._source)
        chunk = self._next("in the header")
        if chunk.kind != HEADER:
            raise BitstreamError(f"the file begins with {chunk.name}, not with the header: it is damaged")
        self.header = Header.from_bytes(chunk.content)
        self.tags: dict[str, str] = {}
        self._trailer: Trailer | None = None
        self._order = PacketOrder(self.header)
        self._pending = self._next_known("before the first packet")
        if self._pending.kind == TAGS:
            self.tags = tags_from_bytes(self._pending.content)
            self._pending = self._next_known("before the first packet")

    @property
    def num_frames(self) -> int:
        """Frames of one channel in the packets read so far."""
        return self._order.num_frames

    @property
    def position(self) -> int:
        """Bytes read so far; at the end, the size of the file."""
        return self._source.position

    @property
    def trailer(self) -> Trailer:
        """Length and number of packets.

        Raises:
            ValueError: the packets have not been read to their end.
        """
        if self._trailer is None:
            raise ValueError("the length of a stream is known only once all of its packets are read")
        return self._trailer

    def packets(self) -> Iterator[Packet]:
        """Every packet in order, once; then index, end chunk and the end of the file are checked.

        Raises:
            BitstreamError: as the constructor; or chunks out of order, repeated or missing; or bytes after the end.
        """
        index = bytearray()
        last_start = 0
        chunk = self._pending
        while chunk.kind == PACKET:
            where = f"packet {self._order.num_packets}"
            packet = Packet.from_bytes(chunk.content, where)
            self._order.add(packet)
            index += index_entry(self._chunk_start - last_start)
            last_start = self._chunk_start
            yield packet
            chunk = self._next_known(f"after packet {self._order.num_packets - 1}")
        self._order.finish()
        where = f"after the last of {self._order.num_packets} packets"
        if chunk.kind != INDEX:
            raise BitstreamError(f"{chunk.name} stands where the index belongs, {where}: the file is damaged")
        if chunk.content != bytes(index):
            raise BitstreamError("the index does not lead to the packets: the file is damaged")
        index_start, digest_expected = self._chunk_start, self._digest
        end = self._next(where)
        if end.kind != END:
            raise BitstreamError(f"{end.name} stands where the end chunk belongs: the file is damaged")
        trailer = Trailer.from_bytes(end.content)
        if (trailer.num_packets, trailer.index_position) != (self._order.num_packets, index_start):
            raise BitstreamError(f"the end chunk counts {trailer.num_packets} packets: the file is damaged")
        if trailer.digest != digest_expected:
            raise BitstreamError("chunks are missing, exchanged or from another file; obtain the file again")
        if self._source.read(1):
            raise BitstreamError(f"unexpected bytes after the end chunk; cut the file at {self._source.position - 1}")
        self._trailer = trailer

    def check_rest(self) -> Trailer:
        """Read all packets for their checksums alone.

        Raises:
            BitstreamError: as `packets`.
        """
        for _ in self.packets():
            pass
        return self.trailer

    def _next(self, where: str) -> Chunk:
        self._chunk_start = self._source.position
        chunk = read_chunk(self._source, where)
        self._digest = zlib.crc32(chunk.crc, self._digest)
        return chunk

    def _next_known(self, where: str) -> Chunk:
        """The next chunk that is not an unknown optional one."""
        while True:
            chunk = self._next(where)
            if chunk.kind in (PACKET, INDEX, END, TAGS, HEADER):
                return chunk
