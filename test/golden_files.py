"""The .mfc files that every later version must decode to the same integers, and where they come from."""

from pathlib import Path

import numpy as np

from meanflow_audio_codec.codec.container import Header, Packet, Stream, write_stream
from meanflow_audio_codec.codec.entropy import PacketCoder
from meanflow_audio_codec.codec.tokens import Tokens

GOLDEN = Path(__file__).parent / "golden"
# The codecs that come with the package.
SHIPPED = ("speech-16k", "speech-16k-live", "audio-44k")
TAGS = {"title": "Röslein auf der Heiden", "comment": "two\nlines", "tracknumber": "3"}


def speech_signal() -> np.ndarray:
    """0.8 s at 16 kHz: two gliding tones with a pause between."""
    t = np.arange(12_800) / 16_000
    loudness = np.where((t > 0.35) & (t < 0.45), 0.0, 0.3)
    glides = np.sin(2 * np.pi * (150 * t + 80 * t**2)) + 0.5 * np.sin(2 * np.pi * (900 * t - 200 * t**2))
    return (loudness * glides).astype(np.float32)


def several_channels(coder: PacketCoder) -> tuple[bytes, Tokens]:
    """Two channels of 44 frames in packets of 20, with tags, of integers drawn and not of any sound."""
    assert coder.envelope is not None
    rng = np.random.default_rng(2026)
    bands, levels = coder.envelope.model.num_bands, coder.envelope.model.num_levels
    side = np.clip(levels // 2 + np.cumsum(rng.integers(-2, 3, (2, 44, bands)), axis=1), 0, levels - 1).astype(np.int32)
    codes = rng.integers(0, coder.codes.levels, (2, 44, len(coder.codes.levels))).astype(np.int32)
    packets = [
        Packet(len(side[channel, part]), coder.encode(side[channel, part], codes[channel, part]))
        for part in (slice(0, 20), slice(20, 40), slice(40, 44))
        for channel in range(2)
    ]
    header = Header("tiny", bytes(range(8)), 44_100, 2, 20, noise_seed=123_456_789)
    return write_stream(header, 37_000, packets, TAGS), Tokens(side, codes)


def decode_tokens(coder: PacketCoder, stream: Stream) -> Tokens:
    """The integers of a file, by its packets alone."""
    channels = stream.header.channels
    decoded = [coder.decode(packet.payload, packet.num_frames) for packet in stream.packets]
    joined = [
        [np.concatenate(kind) for kind in zip(*decoded[channel::channels], strict=True)] for channel in range(channels)
    ]
    return Tokens(*(np.stack(kind) for kind in zip(*joined, strict=True)))
