"""The recipe `speech-16k-live`: streams equal files, and a sample waits for its packet and the overlap alone."""

import tempfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from fixtures.tiny_models import RATE, live_config, sound, write_scalable_codec

from meanflow_audio_codec.codec.codec import Codec
from meanflow_audio_codec.codec.container import read_stream
from meanflow_audio_codec.codec.context import Context, context_of
from meanflow_audio_codec.codec.files.packet_streams import decode_stream, encode_stream
from meanflow_audio_codec.codec.packets import StreamPacket
from meanflow_audio_codec.configs.recipes import recipe

HOP = 160
FRAMES = 4
PACKET = FRAMES * HOP
# float32 sums of at most a few hundred terms, in another order for windows of another size: 2^-24 times some tens.
ROUNDING = 1e-5


@pytest.fixture(scope="module")
def codec() -> Codec:
    with tempfile.TemporaryDirectory(prefix="live-") as folder:
        return Codec.from_pretrained(write_scalable_codec(Path(folder), config=live_config()))


def encode(
    codec: Codec, audio: np.ndarray, bitrate: float | None = None, cuts: tuple[int, ...] = ()
) -> list[StreamPacket]:
    blocks = np.split(audio, sorted(cuts), axis=-1)
    return list(encode_stream(codec, blocks, RATE, bitrate=bitrate, frames_per_packet=FRAMES))


def decode(codec: Codec, packets: Sequence[StreamPacket | None], num_samples: int, **options) -> np.ndarray:
    blocks = decode_stream(codec, packets, RATE, num_samples, frames_per_packet=FRAMES, **options)
    return np.concatenate(list(blocks), axis=1)


def test_no_network_of_the_recipe_looks_ahead() -> None:
    config = recipe("speech-16k-live")
    assert config.encoder is not None
    assert config.prior is not None
    parts = (config.encoder, config.prior, config.decoder)
    contexts = [context_of(part.architecture) for part in parts]
    assert contexts == [Context(past=24, future=0), Context(past=30, future=0), Context(past=30, future=0)]


def test_a_live_packet_is_one_block_and_waits_for_nothing_else(codec: Codec) -> None:
    assert codec.hop_length == HOP
    assert codec.stream_frames_per_packet == FRAMES
    encoder, decoder = codec.streaming_encoder(), codec.streaming_decoder()
    assert (encoder.latency_samples, decoder.latency_samples) == (PACKET + HOP, 0)
    assert encoder.latency_ms + decoder.latency_ms == 50.0
    assert codec.streaming_encoder(frames_per_packet=2 * FRAMES).latency_ms == 90.0


@pytest.mark.parametrize("bitrate", [3.0, 12.0])
def test_every_sample_is_decoded_within_the_stated_latency_and_some_no_earlier(codec: Codec, bitrate: float) -> None:
    """Pushed sample by sample: how many samples have come when the decoded value of each is there, itself counted."""
    encoder, decoder = codec.streaming_encoder(bitrate=bitrate), codec.streaming_decoder()
    latency = encoder.latency_samples + decoder.latency_samples
    assert latency <= 0.060 * RATE
    audio = sound(6 * PACKET)
    came_with = []
    for pushed in range(1, len(audio) + 1):
        for packet in encoder.push(audio[pushed - 1 : pushed]):
            came_with += [pushed] * decoder.push(packet).shape[1]
    assert len(came_with) >= len(audio) - latency
    waited = np.array(came_with) - np.arange(len(came_with))
    assert waited.max() == latency


def test_what_follows_changes_nothing_of_what_is_out(codec: Codec) -> None:
    border, length = 5 * PACKET, 10 * PACKET
    audio = sound(length)
    other = np.concatenate([audio[:border], sound(length - border, seed=5)])
    one, two = (decode(codec, encode(codec, each), length)[0] for each in (audio, other))
    # With sample `border` five packets are full: all is out but the second half of their last frame.
    np.testing.assert_array_equal(one[: border - HOP], two[: border - HOP])
    assert (one[border - HOP : border] != two[border - HOP : border]).any()


@pytest.mark.parametrize("num_samples", [1, PACKET, 37 * HOP + 77, 150 * HOP])
def test_a_stream_has_the_codes_and_the_samples_of_the_file(codec: Codec, num_samples: int) -> None:
    audio = np.stack([sound(num_samples, seed) for seed in range(2)])
    options = {"bitrate": 9.0, "frames_per_packet": FRAMES}
    packets = encode(codec, audio, 9.0, (min(3, num_samples), num_samples // 2))
    in_file = read_stream(codec.encode(audio, RATE, **options)).packets
    assert [packet.payload for packet in packets] == [packet.payload for packet in in_file]
    expected = codec.synthesize(codec.analyze(audio, RATE, **options), num_samples, RATE, seed=3, temperature=0.8)
    decoded = decode(codec, packets, num_samples, channels=2, seed=3, temperature=0.8)
    np.testing.assert_allclose(decoded, expected, rtol=0, atol=ROUNDING * np.abs(expected).max())


def test_at_another_rate_the_length_is_kept(codec: Codec) -> None:
    """And the samples, but for the last ones, which the filter has mixed with the silence of the last block."""
    rate = 48_000
    audio = sound(rate // 2 + 77, sample_rate=rate)
    packets = list(encode_stream(codec, [audio], rate, frames_per_packet=FRAMES))
    blocks = decode_stream(codec, packets, rate, len(audio), frames_per_packet=FRAMES, seed=3, temperature=0.8)
    decoded = np.concatenate(list(blocks), axis=1)
    tokens = codec.analyze(audio, rate, frames_per_packet=FRAMES)
    expected = codec.synthesize(tokens, len(audio), rate, seed=3, temperature=0.8)
    assert decoded.shape == expected.shape
    until = len(audio) - rate // 10
    tolerance = ROUNDING * np.abs(expected).max()
    np.testing.assert_allclose(decoded[:, :until], expected[:, :until], rtol=0, atol=tolerance)


def test_a_lost_packet_touches_nothing_before_it(codec: Codec) -> None:
    length, lost = 60 * HOP, 6
    packets = encode(codec, sound(length))
    whole = decode(codec, packets, length)[0]
    holed = decode(codec, [None if packet.index == lost else packet for packet in packets], length)[0]
    # The block before a packet's first frame holds that frame's first half.
    before = lost * PACKET - HOP
    np.testing.assert_array_equal(holed[:before], whole[:before])
    assert (holed[before : before + PACKET] != whole[before : before + PACKET]).any()
