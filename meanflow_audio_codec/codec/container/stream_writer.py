"""Writing a .mfc file packet by packet, into anything that takes bytes."""

import zlib
from collections.abc import Mapping
from types import MappingProxyType

from meanflow_audio_codec.codec.container.byte_files import WritableFile
from meanflow_audio_codec.codec.container.chunks import END, HEADER, INDEX, PACKET, PREAMBLE, TAGS, encode_chunk
from meanflow_audio_codec.codec.container.header import Header
from meanflow_audio_codec.codec.container.packet import Packet, PacketOrder
from meanflow_audio_codec.codec.container.tags import tags_to_bytes
from meanflow_audio_codec.codec.container.trailer import Trailer, index_entry

NO_TAGS: Mapping[str, str] = MappingProxyType({})


class StreamWriter:
    """Writes in order and never goes back, so the file may be a pipe; `finish` must be the last call."""

    def __init__(self, file: WritableFile, header: Header, tags: Mapping[str, str] = NO_TAGS) -> None:
        """Write the preamble, the header and the tags.

        Raises:
            BitstreamError: a tag that cannot be stored.
        """
        self._file = file
        self._order = PacketOrder(header)
        self._index = bytearray()
        self._last_packet = 0
        self._digest = 0
        tag_content = tags_to_bytes(tags)
        file.write(PREAMBLE)
        self._position = len(PREAMBLE)
        self._write(HEADER, header.to_bytes())
        if tag_content:
            self._write(TAGS, tag_content)

    @property
    def position(self) -> int:
        """Bytes written so far; at the end, the size of the file."""
        return self._position

    def write_packet(self, packet: Packet) -> None:
        """Append a packet: slice of time by slice of time, in each one packet per channel.

        Raises:
            BitstreamError: its number of frames is not what its place demands.
        """
        self._order.add(packet)
        self._index += index_entry(self._position - self._last_packet)
        self._last_packet = self._position
        self._write(PACKET, packet.to_bytes())

    def finish(self, num_samples: int) -> None:
        """Write index and end chunk; the file itself is left open.

        Raises:
            BitstreamError: the last slice lacks a channel, or there are too many packets or samples.
        """
        self._order.finish()
        trailer = Trailer(
            num_samples, self._order.num_packets, self._position, 0
        )  # before anything too long is written
        self._write(INDEX, bytes(self._index))
        self._write(END, Trailer(num_samples, trailer.num_packets, trailer.index_position, self._digest).to_bytes())

    def _write(self, kind: bytes, content: bytes) -> None:
        chunk = encode_chunk(kind, content)
        self._file.write(chunk)
        self._position += len(chunk)
        self._digest = zlib.crc32(chunk[-4:], self._digest)
