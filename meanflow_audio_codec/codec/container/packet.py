"""The packet chunk: some frames of one channel, and the order that packets come in."""

import struct
from typing import NamedTuple

from meanflow_audio_codec.codec.container.bitstream_error import BitstreamError
from meanflow_audio_codec.codec.container.header import Header

_NUM_FRAMES = struct.Struct("<H")


class Packet(NamedTuple):
    """A number of frames, and the payload they are decoded from."""

    num_frames: int
    payload: bytes

    def to_bytes(self) -> bytes:
        """The content of the chunk."""
        return _NUM_FRAMES.pack(self.num_frames) + self.payload

    @classmethod
    def from_bytes(cls, content: bytes, where: str) -> "Packet":
        """The packet in a chunk's content.

        Raises:
            BitstreamError: it is too short to hold a packet.
        """
        if len(content) < _NUM_FRAMES.size:
            raise BitstreamError(f"{where} is malformed: {len(content)} bytes")
        return cls(_NUM_FRAMES.unpack_from(content)[0], content[_NUM_FRAMES.size :])


class PacketOrder:
    """Packets of the slices of time, one per channel in each: all of full length, but for those of the last slice."""

    def __init__(self, header: Header) -> None:
        self._header = header
        self._slice_frames = header.frames_per_packet
        self.num_packets = 0
        self.num_frames = 0

    def add(self, packet: Packet) -> None:
        """Check the next packet.

        Raises:
            BitstreamError: its number of frames is not what its place demands.
        """
        full = self._header.frames_per_packet
        where = f"packet {self.num_packets}"
        if self.num_packets % self._header.channels:
            if packet.num_frames != self._slice_frames:
                raise BitstreamError(
                    f"{where} has {packet.num_frames} frames, those of the channel before it {self._slice_frames}: "
                    "the file is damaged"
                )
        else:
            if self._slice_frames < full:
                raise BitstreamError(f"{where} follows packets of fewer than {full} frames: the file is damaged")
            if not 1 <= packet.num_frames <= full:
                raise BitstreamError(f"{where} has {packet.num_frames} frames, not 1 ... {full}: the file is damaged")
            self._slice_frames = packet.num_frames
            self.num_frames += packet.num_frames
        self.num_packets += 1

    def finish(self) -> None:
        """Check that the last slice has a packet for every channel.

        Raises:
            BitstreamError: it lacks some.
        """
        missing = -self.num_packets % self._header.channels
        if missing:
            raise BitstreamError(f"the last slice of time lacks {missing} channel(s): the file is damaged")
