"""The packets of a stream: slice of time by slice of time, in each one packet per channel."""

from collections.abc import Iterable, Iterator
from typing import NamedTuple

from meanflow_audio_codec.codec.audio_input import MAX_CHANNELS
from meanflow_audio_codec.codec.container import BitstreamError
from meanflow_audio_codec.errors import InputError

# Frames of one packet: 10 s at 50 frames per second. A packet can be decoded without the others.
FRAMES_PER_PACKET = 500
# Frames of one packet of a live stream: 100 ms at 50 frames per second.
STREAM_FRAMES_PER_PACKET = 5
# More than this would be one long packet: refused, so that a few damaged bytes cannot ask for hours of work.
MAX_FRAMES_PER_PACKET = 2_000


class Packet(NamedTuple):
    """The payload of `num_frames` frames of one channel; `index` counts the slices of time from 0.

    All packets hold the same number of frames but those of the last slice, which may hold fewer.
    """

    index: int
    channel: int
    num_frames: int
    payload: bytes


def number_packets(
    payloads: Iterable[bytes], *, num_frames: int, frames_per_packet: int, channels: int
) -> Iterator[Packet]:
    """The payloads of a file of this many frames, in file order, as packets.

    Raises:
        BitstreamError: there are more or fewer payloads than the frames need.
    """
    places = (
        (index, channel, min(frames_per_packet, num_frames - index * frames_per_packet))
        for index in range(-(-num_frames // frames_per_packet))
        for channel in range(channels)
    )
    for payload in payloads:
        place = next(places, None)
        if place is None:
            raise BitstreamError(f"more packets than {num_frames} frames need: the file is damaged")
        yield Packet(*place, payload)
    missing = next(places, None)
    if missing is not None:
        raise BitstreamError(f"packet {missing[0]} of channel {missing[1]} is missing: the file is damaged")


def check_packet_layout(channels: int, frames_per_packet: int) -> None:
    """Refuse what no stream can have.

    Raises:
        InputError: the number of channels or of frames per packet is out of range.
    """
    if not 1 <= channels <= MAX_CHANNELS:
        raise InputError(f"the number of channels must lie in 1 ... {MAX_CHANNELS}, not {channels}")
    if not 1 <= frames_per_packet <= MAX_FRAMES_PER_PACKET:
        raise InputError(f"the frames per packet must lie in 1 ... {MAX_FRAMES_PER_PACKET}, not {frames_per_packet}")
