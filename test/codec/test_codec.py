"""Audio to bytes and back: what must be preserved, what must be refused, and what must be deterministic."""

import hashlib
import json
import subprocess
import sys
import zlib

import jax.numpy as jnp
import numpy as np
import pytest
from fixtures.tiny_models import RATE, codec_folder, other_name_codec, other_weights_folder, sound, tiny_codec
from hypothesis import given, settings
from hypothesis import strategies as st

from meanflow_audio_codec import BitstreamError, Codec
from meanflow_audio_codec.codec.container import payload_bits, read_header, read_stream
from meanflow_audio_codec.codec.tokens import Tokens
from meanflow_audio_codec.errors import InputError


@pytest.fixture(scope="module")
def codec() -> Codec:
    return tiny_codec()


@pytest.fixture(scope="module")
def data(codec) -> bytes:
    return codec.encode(sound(8_000), RATE)


def raises_one_line(call, error: type[Exception], match: str) -> None:
    with pytest.raises(error, match=match) as caught:
        call()
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 300


@settings(max_examples=20, deadline=None)
@given(
    num_samples=st.integers(1, 20_000),
    sample_rate=st.sampled_from([8_000, 11_025, 16_000, 44_100, 48_000]),
    channels=st.integers(1, 3),
)
def test_length_channels_and_rate_are_preserved(num_samples, sample_rate, channels):
    audio = np.stack([sound(num_samples, seed, sample_rate) for seed in range(channels)])
    data = tiny_codec().encode(audio, sample_rate)
    decoded, rate = tiny_codec().decode(data)
    assert (decoded.shape, decoded.dtype, rate) == (audio.shape, np.float32, sample_rate)
    assert np.isfinite(decoded).all()


@pytest.mark.parametrize("sample_rate", [8_000, 44_100])
def test_silence_stays_where_it_is(codec, sample_rate):
    audio = sound(sample_rate, sample_rate=sample_rate)
    audio[: sample_rate // 2] = 0.0
    decoded, _ = codec.decode(codec.encode(audio, sample_rate))
    # One frame of 20 ms before the onset shares samples with it; 20 more for the resampling filters.
    onset = round(0.46 * sample_rate)
    sounding = np.abs(decoded[0, sample_rate // 2 :]).max()
    assert np.abs(decoded[0, :onset]).max() < 1e-3 * sounding


def test_channels_are_coded_apart_and_in_order(codec):
    left, right = sound(5_000, seed=1), sound(5_000, seed=2)
    together = codec.analyze(np.stack([left, right]), RATE)
    for channel, samples in enumerate((left, right)):
        for ours, alone in zip(together, codec.analyze(samples, RATE), strict=True):
            np.testing.assert_array_equal(ours[channel], alone[0])


@pytest.mark.parametrize(
    "audio",
    [np.array([0.5]), np.array([[0.5], [-0.5]]), sound(16), np.where(np.arange(4_000) // 20 % 2, 1.0, -1.0)],
    ids=["one sample", "one sample of two channels", "one millisecond", "full-scale square wave"],
)
def test_edge_inputs_are_coded(codec, audio):
    decoded, _ = codec.decode(codec.encode(audio, RATE))
    assert decoded.shape == np.atleast_2d(audio).shape
    assert np.isfinite(decoded).all()


def test_digital_silence_is_decoded_as_digital_silence(codec):
    data = codec.encode(np.zeros((2, 16_000)), RATE)
    np.testing.assert_array_equal(codec.decode(data)[0], np.zeros((2, 16_000)))


def test_every_kind_of_floating_point_array_gives_the_same_bytes(codec):
    samples = sound(3_000)
    expected = codec.encode(samples, RATE)
    for same in (samples[None], samples.astype(np.float64), jnp.asarray(samples), np.stack([samples] * 2).T[:, 0]):
        assert codec.encode(same, RATE) == expected


@pytest.mark.parametrize(
    ("audio", "match"),
    [
        (np.zeros(9, np.int16), "must be floating point"),
        (np.zeros(0), "no samples"),
        (np.zeros((2, 0)), "no samples"),
        (np.zeros((0, 9)), "no samples"),
        (np.array([0.0, np.nan]), "NaN or infinite"),
        (np.array([0.0, -np.inf]), "NaN or infinite"),
        (np.zeros((1, 2, 9)), "must have shape"),
        (np.float64(0.5), "must have shape"),
        (np.zeros((9_000, 2)), r"9000 channels.*must be \(channels, samples\)"),
        (np.array([0.0, 1e300]), "far beyond full scale"),
        (np.array([3.0, -20_000.0]), "divide integers by full scale"),
    ],
)
def test_what_is_no_audio_is_refused(codec, audio, match):
    raises_one_line(lambda: codec.encode(audio, RATE), InputError, match)
    raises_one_line(lambda: codec.analyze(audio, RATE), InputError, match)


@pytest.mark.parametrize("sample_rate", [0, -16_000, 10**6])
def test_impossible_sample_rates_are_refused(codec, sample_rate):
    raises_one_line(lambda: codec.encode(sound(9), sample_rate), InputError, "sample rate")


@pytest.mark.parametrize(
    ("options", "match"),
    [
        ({"num_steps": 0}, "steps must lie in 1"),
        ({"num_steps": 10**12}, "steps must lie in 1"),
        ({"temperature": -0.1}, "temperature must lie in 0 ... 2"),
        ({"temperature": 2.1}, "temperature must lie in 0 ... 2"),
        ({"temperature": float("nan")}, "temperature must lie in 0 ... 2"),
        ({"seed": -1}, "seed must lie in 0"),
        ({"seed": 2**70}, "seed must lie in 0"),
    ],
)
def test_decoding_options_out_of_range_are_refused(codec, data, options, match):
    raises_one_line(lambda: codec.decode(data, **options), InputError, match)
    raises_one_line(
        lambda: codec.synthesize(codec.analyze(sound(8_000), RATE), 8_000, RATE, **options), InputError, match
    )


def test_decoding_repeats_itself_and_follows_the_seed(codec, data):
    np.testing.assert_array_equal(codec.decode(data)[0], codec.decode(data)[0])
    np.testing.assert_array_equal(codec.decode(data, seed=5)[0], codec.decode(data, seed=5)[0])
    assert np.abs(codec.decode(data, seed=5)[0] - codec.decode(data, seed=6)[0]).max() > 1e-3


def test_another_process_writes_the_same_bytes_and_the_same_samples(codec, data, tmp_path):
    np.save(tmp_path / "audio.npy", sound(8_000))
    script = """
import hashlib, json, sys
import numpy as np
from meanflow_audio_codec import Codec
codec = Codec.from_pretrained(sys.argv[1])
data = codec.encode(np.load(sys.argv[2]), 16_000)
decoded, _ = codec.decode(data)
print(json.dumps([data.hex(), hashlib.sha256(decoded.tobytes()).hexdigest()]))
"""
    command = [sys.executable, "-c", script, str(codec_folder()), str(tmp_path / "audio.npy")]
    finished = subprocess.run(command, capture_output=True, text=True, check=True)
    expected = [data.hex(), hashlib.sha256(codec.decode(data)[0].tobytes()).hexdigest()]
    assert json.loads(finished.stdout) == expected


def test_temperature_zero_has_no_randomness(codec, data):
    np.testing.assert_array_equal(
        codec.decode(data, temperature=0.0, seed=1)[0], codec.decode(data, temperature=0.0, seed=2)[0]
    )


def test_tokens_are_what_the_bytes_hold(codec):
    audio = np.stack([sound(6_000, seed, 11_025) for seed in range(2)])
    tokens = codec.analyze(audio, 11_025)
    data = codec.encode(audio, 11_025)
    stream = read_stream(data)
    assert codec.encode_packets(tokens) == stream.packets
    for ours, theirs in zip(codec.decode_packets(stream.header, stream.packets), tokens, strict=True):
        np.testing.assert_array_equal(ours, theirs)
    assert tokens.codes.shape == (2, codec.num_frames(6_000, 11_025), 4)
    decoded = codec.synthesize(tokens, 6_000, 11_025, seed=4, temperature=0.5)
    np.testing.assert_array_equal(decoded, codec.decode(data, seed=4, temperature=0.5)[0])


def test_tokens_that_do_not_fit_are_refused(codec):
    side, codes = codec.analyze(sound(3_000), RATE)
    for tokens, match in (
        (Tokens(side[:, :-1], codes[:, :-1]), "must have shape"),
        (Tokens(side[..., :-1], codes), "tokens.side must have shape"),
        (Tokens(side, codes[..., :-1]), "tokens.codes must have shape"),
        (Tokens(side, codes + 5), "tokens.codes must lie in 0 ... 4"),
        (Tokens(side - 100, codes), "tokens.side must lie in 0"),
    ):
        raises_one_line(lambda tokens=tokens: codec.synthesize(tokens, 3_000, RATE), InputError, match)
    raises_one_line(lambda: codec.synthesize(Tokens(side, codes), 0, RATE), InputError, "must be positive")


def test_bits_are_the_payload(codec, data):
    packets = read_stream(data).packets
    assert codec.bits(data) == payload_bits(packets) == 8 * sum(len(packet.payload) for packet in packets)
    assert codec.bits(data) < 8 * len(data)


def test_recordings_of_several_packets_are_decoded(codec):
    audio = np.stack([sound(12 * 8_000, seed, 8_000) for seed in range(2)])
    data = codec.encode(audio, 8_000)
    header, _, num_samples, packets = read_stream(data)
    # 12 s are 601 frames: one packet of 500 and one of 101 for each of the two channels.
    assert [packet.num_frames for packet in packets] == [500, 500, 101, 101]
    assert (header.frames_per_packet, num_samples) == (500, 12 * 8_000)
    tokens = codec.analyze(audio, 8_000)
    for ours, theirs in zip(codec.decode_packets(header, packets), tokens, strict=True):
        np.testing.assert_array_equal(ours, theirs)
    decoded, _ = codec.decode(data)
    assert decoded.shape == audio.shape
    assert np.isfinite(decoded).all()


def test_files_of_another_model_are_refused(data):
    raises_one_line(lambda: other_name_codec().decode(data), BitstreamError, "made by model tiny, not another.*--model")


def test_files_of_other_weights_are_refused(data):
    other = Codec.from_pretrained(other_weights_folder())
    raises_one_line(lambda: other.decode(data), BitstreamError, "other weights of tiny")


def test_files_of_a_newer_version_are_refused(codec, data):
    newer = data[:3] + bytes([data[3] + 1]) + data[4:]
    raises_one_line(lambda: codec.decode(newer), BitstreamError, "newer version.*upgrade")


def test_every_truncation_is_refused(codec, data):
    for length in range(len(data)):
        raises_one_line(lambda length=length: codec.decode(data[:length]), BitstreamError, "truncated|empty")


def test_every_flipped_bit_is_noticed(codec, data):
    for bit in range(8 * len(data)):
        damaged = bytearray(data)
        damaged[bit // 8] ^= 1 << bit % 8
        raises_one_line(lambda damaged=damaged: codec.decode(bytes(damaged)), BitstreamError, ".")


def test_the_header_says_what_the_audio_was(codec):
    data = codec.encode(np.stack([sound(777)] * 3), 22_050, tags={"title": "Three"})
    header, tags, num_samples, packets = read_stream(data)
    assert header == read_header(data)
    assert (header.model, header.channels, num_samples, header.sample_rate) == ("tiny", 3, 777, 22_050)
    assert header.noise_seed == zlib.crc32(packets[0].payload)
    assert tags == {"title": "Three"}


def test_the_noise_is_the_one_the_header_names(codec, data):
    seed = read_header(data).noise_seed
    np.testing.assert_array_equal(codec.decode(data)[0], codec.decode(data, seed=seed)[0])


def test_more_audio_than_the_limit_is_refused_with_the_repair(codec, data):
    raises_one_line(lambda: codec.decode(data, max_seconds=0.3), InputError, "max_seconds=1 .--max-seconds")
    assert codec.decode(data, max_seconds=0.5)[0].shape == (1, 8_000)
    for limit in (0.0, -1.0, float("nan")):
        raises_one_line(lambda limit=limit: codec.decode(data, max_seconds=limit), InputError, "must be positive")


def test_a_short_payload_cannot_ask_for_much_audio(codec):
    _, packets = codec.packet_coder, read_stream(codec.encode(np.zeros(8 * RATE), RATE)).packets
    # Even digital silence, the cheapest of recordings, is above the bound.
    assert all(len(packet.payload) >= codec.packet_coder.fewest_bytes(packet.num_frames) for packet in packets)
    assert codec.packet_coder.fewest_bytes(500) > 100
    raises_one_line(
        lambda: codec.packet_coder.decode(bytes(100), 500), BitstreamError, "500 frames in 100 bytes, fewer than any"
    )


@pytest.mark.parametrize("sample_rate", [0, -8_000, 44_100.5, float("nan"), "fast", None])
def test_a_sample_rate_that_is_no_whole_number_is_refused(sample_rate):
    with pytest.raises(InputError, match="sample rate must be"):
        tiny_codec().encode(sound(100), sample_rate)


def test_a_sample_rate_may_be_a_whole_float():
    assert tiny_codec().encode(sound(100), 16_000.0) == tiny_codec().encode(sound(100), 16_000)
