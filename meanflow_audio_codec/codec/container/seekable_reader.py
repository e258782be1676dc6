"""Reading single packets of a .mfc file, without those before them."""

import numpy as np
from jaxtyping import Int

from meanflow_audio_codec.codec.container.bitstream_error import BitstreamError
from meanflow_audio_codec.codec.container.byte_files import SeekableFile
from meanflow_audio_codec.codec.container.chunks import (
    CHUNK_CHECK_BYTES,
    HEADER,
    INDEX,
    PACKET,
    TAGS,
    SeekableSource,
    read_chunk,
    read_chunk_head,
    read_preamble,
)
from meanflow_audio_codec.codec.container.header import Header
from meanflow_audio_codec.codec.container.packet import Packet
from meanflow_audio_codec.codec.container.tags import tags_from_bytes
from meanflow_audio_codec.codec.container.trailer import END_CHUNK_BYTES, END_CHUNK_HEAD, Trailer, packet_positions


class SeekableReader:
    """Header, tags, length and index at once, and any packet on demand; nothing else of the file is read.

    Every chunk that is read is verified, the others are not: `StreamReader` verifies a whole file.
    """

    def __init__(self, file: SeekableFile) -> None:
        """Read header, end chunk, index and tags.

        Raises:
            BitstreamError: not a file of this format, another version, truncated, corrupted or out of range.
        """
        self._source = source = SeekableSource(file)
        source.move(0)
        read_preamble(source)  # before all of it is asked for, which from a pipe may never end
        chunk = read_chunk(source, "in the header")
        if chunk.kind != HEADER:
            raise BitstreamError(f"the file begins with {chunk.name}, not with the header: it is damaged")
        self.header = Header.from_bytes(chunk.content)
        header_end = source.position
        end_start = source.size() - END_CHUNK_BYTES
        self.trailer = self._read_trailer(header_end, end_start)
        self._positions = self._read_index(header_end, end_start)
        self.tags = self._read_tags(header_end)

    @property
    def num_packets(self) -> int:
        """Packets of all channels together."""
        return len(self._positions)

    def packet(self, index: int) -> Packet:
        """One packet, by its number in the file.

        Raises:
            BitstreamError: it is truncated or corrupted, or is not of full length and not of the last slice.
        """
        where = f"packet {index}"
        self._source.move(int(self._positions[index]))
        chunk = read_chunk(self._source, f"in {where}")
        if chunk.kind != PACKET:
            raise BitstreamError(f"{chunk.name} stands where the index has {where}: the file is damaged")
        packet = Packet.from_bytes(chunk.content, where)
        full = self.header.frames_per_packet
        last_slice = index >= self.num_packets - self.header.channels
        if not (1 if last_slice else full) <= packet.num_frames <= full:
            raise BitstreamError(f"{where} has an impossible number of frames, {packet.num_frames}")
        return packet

    def _read_trailer(self, header_end: int, end_start: int) -> Trailer:
        if end_start < header_end:
            raise BitstreamError("the file is truncated after the header: it has no end chunk")
        self._source.move(end_start)
        if self._source.read(len(END_CHUNK_HEAD)) != END_CHUNK_HEAD:
            raise BitstreamError("the file is truncated, or bytes follow its end: it does not end with the end chunk")
        self._source.move(end_start)
        return Trailer.from_bytes(read_chunk(self._source, "in the end chunk").content)

    def _read_index(self, header_end: int, end_start: int) -> Int[np.ndarray, " packets"]:
        start = self.trailer.index_position
        if not header_end <= start <= end_start:
            raise BitstreamError("the end chunk has no possible position of the index: the file is damaged")
        self._source.move(start)
        chunk = read_chunk(self._source, "in the index")
        if chunk.kind != INDEX or self._source.position != end_start:
            raise BitstreamError("there is no index before the end chunk: the file is damaged")
        if self.trailer.num_packets % self.header.channels:
            raise BitstreamError("the last slice of time lacks a channel: the file is damaged")
        return packet_positions(chunk.content, self.trailer.num_packets, first=header_end, end=start)

    def _read_tags(self, header_end: int) -> dict[str, str]:
        """The tags among the chunks before the first packet; those unknown are stepped over unread."""
        end = int(self._positions[0]) if self.num_packets else self.trailer.index_position
        self._source.move(header_end)
        while self._source.position < end:
            start = self._source.position
            kind, size = read_chunk_head(self._source, "before the first packet")
            if kind == TAGS or not kind.islower():
                self._source.move(start)
                chunk = read_chunk(self._source, "before the first packet")
                if kind != TAGS:
                    raise BitstreamError(f"{chunk.name} stands before the first packet: the file is damaged")
                return tags_from_bytes(chunk.content)
            self._source.move(self._source.position + size + CHUNK_CHECK_BYTES)
        return {}
