"""The packets of a stream: slice of time by slice of time, in each one packet per channel."""

from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple

from meanflow_audio_codec.codec.audio_input import MAX_CHANNELS
from meanflow_audio_codec.codec.container import Packet
from meanflow_audio_codec.codec.container.header import MAX_FRAMES_PER_PACKET
from meanflow_audio_codec.errors import InputError
from meanflow_audio_codec.inference.given_numbers import shown, whole_number

# Frames of one packet: 10 s at 50 frames per second. A packet can be decoded without the others.
FRAMES_PER_PACKET = 500
# Frames of one packet of a live stream: 100 ms at 50 frames per second.
STREAM_FRAMES_PER_PACKET = 5


class StreamPacket(NamedTuple):
    """The payload of `num_frames` frames of one channel; `index` counts the slices of time from 0.

    All packets hold the same number of frames but those of the last slice, which may hold fewer.
    """

    index: int  # pyright: ignore[reportIncompatibleMethodOverride] (the name in the protocol; no tuple method is used)
    channel: int
    num_frames: int
    payload: bytes


def number_packets(packets: Iterable[Packet], *, channels: int) -> Iterator[StreamPacket]:
    """The packets of a file, which come in this order, as those of a stream."""
    for place, packet in enumerate(packets):
        index, channel = divmod(place, channels)
        yield StreamPacket(index, channel, packet.num_frames, packet.payload)


def checked_packet_layout(channels: Any, frames_per_packet: Any) -> tuple[int, int]:
    """Both as Python integers, if a stream can have them.

    Raises:
        InputError: the number of channels or of frames per packet is out of range, or of another type.
    """
    channels = whole_number(channels, "the number of channels")
    frames_per_packet = whole_number(frames_per_packet, "the frames per packet")
    if not 1 <= channels <= MAX_CHANNELS:
        raise InputError(f"the number of channels must lie in 1 ... {MAX_CHANNELS}, not {shown(channels)}")
    if not 1 <= frames_per_packet <= MAX_FRAMES_PER_PACKET:
        raise InputError(
            f"the frames per packet must lie in 1 ... {MAX_FRAMES_PER_PACKET}, not {shown(frames_per_packet)}"
        )
    return channels, frames_per_packet


def packet_places(num_frames: int, frames_per_packet: int, channels: int) -> Iterator[tuple[slice, int]]:
    """The frames and the channel of each packet in file order."""
    for first in range(0, num_frames, frames_per_packet):
        for channel in range(channels):
            yield slice(first, min(first + frames_per_packet, num_frames)), channel
