"""Whatever the bottleneck: codes go through bytes, streams and tokens, and what is left out does not count."""

import tempfile
from functools import cache
from math import log2
from pathlib import Path

import jax.numpy as jnp
import numpy as np
import pytest
from fixtures.tiny_models import HOP, RATE, scalable_config, sound, write_scalable_codec

from meanflow_audio_codec.codec.codec import Codec
from meanflow_audio_codec.codec.container import read_stream
from meanflow_audio_codec.codec.files.packet_streams import encode_stream
from meanflow_audio_codec.codec.tokens import Tokens
from meanflow_audio_codec.configs.experiment import ExperimentConfig
from meanflow_audio_codec.configs.networks import BottleneckConfig, FSQConfig, ResidualFSQConfig, RVQConfig
from meanflow_audio_codec.configs.serialization import apply_overrides
from meanflow_audio_codec.errors import InputError
from meanflow_audio_codec.tools.benchmarks.coding.quantisers import bottlenecks, experiment_config

# Twelve codes each, as the operating points of the tiny model have.
BOTTLENECKS: dict[str, BottleneckConfig] = {
    "residual-fsq": ResidualFSQConfig(channels=4, num_stages=3, num_levels=5),
    "rvq": RVQConfig(channels=6, num_codebooks=12, codebook_size=300, code_channels=3),
}
AUDIO = sound(31 * HOP)
_FOLDER = tempfile.TemporaryDirectory(prefix="bottlenecks-")


@cache
def codec_of(kind: str) -> Codec:
    config = scalable_config(bottleneck=BOTTLENECKS[kind])
    return Codec.from_pretrained(write_scalable_codec(Path(_FOLDER.name) / kind, config=config))


@pytest.fixture(params=BOTTLENECKS)
def codec(request: pytest.FixtureRequest) -> Codec:
    return codec_of(request.param)


def kept(codec: Codec, side: np.ndarray) -> np.ndarray:
    """Which codes of each frame count."""
    return np.arange(12) < np.asarray(codec.networks.normalizer.num_kept(jnp.asarray(side)))[..., None]


def test_codes_survive_the_bytes(codec: Codec) -> None:
    sizes = []
    for bitrate in (0.6, 1.8):
        tokens = codec.analyze(AUDIO, RATE, bitrate=bitrate)
        stream = read_stream(codec.encode(AUDIO, RATE, bitrate=bitrate))
        for ours, theirs in zip(codec.decode_packets(stream.header, stream.packets), tokens, strict=True):
            np.testing.assert_array_equal(ours, theirs)
        sizes.append(sum(len(packet.payload) for packet in stream.packets))
        count = kept(codec, tokens.side)
        assert 0 < count.sum() < count.size
        middle = np.broadcast_to(np.array(codec.codebook_sizes[-12:]) // 2, tokens.codes.shape)
        np.testing.assert_array_equal(tokens.codes[~count], middle[~count])
    assert sizes[0] < sizes[1]


def test_a_stream_has_the_packets_of_the_file(codec: Codec) -> None:
    options = {"bitrate": 1.8, "frames_per_packet": 8}
    packets = encode_stream(codec, np.split(AUDIO[None], [999, 5_000], axis=1), RATE, **options)
    in_file = read_stream(codec.encode(AUDIO, RATE, **options)).packets
    assert [packet.payload for packet in packets] == [packet.payload for packet in in_file]


def test_tokens_give_what_the_file_gives(codec: Codec) -> None:
    tokens = codec.tokenize(AUDIO, RATE, bitrate=1.8)
    assert (tokens < np.asarray(codec.codebook_sizes)).all()
    expected, _ = codec.decode(codec.encode(AUDIO, RATE, bitrate=1.8), seed=5)
    np.testing.assert_array_equal(codec.detokenize(tokens, seed=5), expected[0])


def test_codes_that_are_left_out_change_no_sample_and_the_others_do(codec: Codec) -> None:
    tokens = codec.analyze(AUDIO, RATE, bitrate=1.2)
    other = (tokens.codes + 1) % np.array(codec.codebook_sizes[-12:])

    def decoded(codes: np.ndarray) -> np.ndarray:
        return codec.synthesize(Tokens(tokens.side, codes.astype(np.int32)), len(AUDIO), RATE, seed=1)

    count = kept(codec, tokens.side)
    np.testing.assert_array_equal(decoded(np.where(count, tokens.codes, other)), decoded(tokens.codes))
    assert (decoded(np.where(count, other, tokens.codes)) != decoded(tokens.codes)).any()


def test_codes_must_be_as_many_as_the_operating_points_say() -> None:
    valid = scalable_config(bottleneck=BOTTLENECKS["rvq"])
    for setting in ("bottleneck.num_codebooks=11", 'bottleneck={"kind": "residual-fsq", "channels": 5}'):
        with pytest.raises(InputError, match=r"keeps 12 digits, but the bottleneck has 1[01]"):
            apply_overrides(valid, [setting])
    # Only FSQ has to have a middle level; a codebook may have any size.
    assert isinstance(apply_overrides(valid, ["bottleneck.codebook_size=256"]), ExperimentConfig)
    with pytest.raises(InputError, match="use odd numbers of levels"):
        apply_overrides(scalable_config(bottleneck=FSQConfig(levels=(5,) * 12)), [f"bottleneck.levels={[4] * 12}"])


def test_the_benchmark_compares_equal_bits_at_every_share() -> None:
    for name, bottleneck in bottlenecks().items():
        config = experiment_config(bottleneck, num_steps=2, seed=0)
        codes = [point.num_digits for point in config.normalization.operating_points]
        bits_per_code = 48 * log2(5) / bottleneck.num_codes
        levels = {"fsq": 5, "residual-fsq": 5, "rvq": 625}[bottleneck.kind]
        assert log2(levels) == pytest.approx(bits_per_code), name
        assert [count * bits_per_code for count in codes] == pytest.approx([12 * log2(5), 24 * log2(5), 48 * log2(5)])
