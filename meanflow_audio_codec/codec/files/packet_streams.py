"""Recordings of any length in flat memory: blocks of audio to packets, and packets to blocks of audio."""

from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np
from jaxtyping import Float

from meanflow_audio_codec.codec.audio_input import as_channels
from meanflow_audio_codec.codec.codec import Codec
from meanflow_audio_codec.codec.packets import FRAMES_PER_PACKET, StreamPacket
from meanflow_audio_codec.errors import InputError
from meanflow_audio_codec.inference.given_numbers import whole_number


def encode_stream(
    codec: Codec,
    blocks: Iterable[Any],
    sample_rate: Any,
    *,
    bitrate: float | None = None,
    frames_per_packet: int = FRAMES_PER_PACKET,
) -> Iterator[StreamPacket]:
    """The packets that `Codec.encode` makes of a recording, which comes in blocks of any size.

    Raises:
        InputError: as `Codec.encode`, or blocks of different channel counts.
    """
    encoder = None
    for block in blocks:
        if encoder is None:
            channels = len(as_channels(block, allow_empty=True))
            encoder = codec.streaming_encoder(
                sample_rate=sample_rate, channels=channels, bitrate=bitrate, frames_per_packet=frames_per_packet
            )
        yield from encoder.push(block)
    packets = [] if encoder is None else encoder.finish()
    if encoder is None or encoder.is_empty:
        raise InputError("audio has no samples")
    yield from packets


def decode_stream(
    codec: Codec,
    packets: Iterable[StreamPacket | None],
    sample_rate: Any,
    num_samples: int | None = None,
    *,
    channels: int = 1,
    frames_per_packet: int = FRAMES_PER_PACKET,
    num_steps: int | None = None,
    seed: int = 0,
    temperature: float | None = None,
) -> Iterator[Float[np.ndarray, "channels samples"]]:
    """What `Codec.synthesize` gives with this seed, in blocks; None stands for a lost packet.

    `num_samples` is the length of the recording if it is known; else up to a frame of silence follows the end.

    Raises:
        BitstreamError: a packet is damaged.
        InputError: an option out of range, or packets that do not fit the length.
    """
    decoder = codec.streaming_decoder(
        sample_rate=sample_rate,
        channels=channels,
        frames_per_packet=frames_per_packet,
        num_steps=num_steps,
        seed=seed,
        temperature=temperature,
    )
    num_samples = None if num_samples is None else whole_number(num_samples, "the number of samples")
    num_given = 0
    for packet in packets:
        block = decoder.push(packet)
        # A decoder that sees no frames ahead gives the silence behind the end before it is told where that is.
        block = block if num_samples is None else block[:, : num_samples - num_given]
        num_given += block.shape[1]
        if block.shape[1]:
            yield block
    yield decoder.finish(num_samples)
