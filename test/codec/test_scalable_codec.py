"""One model at several bit rates: it keeps to what is asked, and everything else is as with one rate."""

import io
from functools import cache

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from fixtures.computation import loss_of
from fixtures.tiny_models import HOP, RATE, scalable_codec, scalable_config, scalable_normalizer, sound, tiny_codec

from meanflow_audio_codec import BitstreamError
from meanflow_audio_codec.codec.codec import Codec
from meanflow_audio_codec.codec.container import SeekableReader, StreamReader, read_stream
from meanflow_audio_codec.codec.files.excerpt import decode_excerpt
from meanflow_audio_codec.codec.files.packet_streams import decode_stream, encode_stream
from meanflow_audio_codec.codec.files.verification import verify_packets
from meanflow_audio_codec.codec.tokens import Tokens
from meanflow_audio_codec.errors import InputError
from meanflow_audio_codec.preprocessing.block_gain_shape import DETAIL, FULL_DETAIL, BlockGainShapeNormalizer

BLOCK, BANDS, DIGITS = 4, 8, 12
RATES = (0.36, 0.6, 0.9, 1.2, 1.5, 1.8)
# As in test_streaming.py: float32 sums in another order for windows of another size.
ROUNDING = 1e-5


@pytest.fixture(scope="module")
def codec() -> Codec:
    return scalable_codec()


@cache
def steady() -> np.ndarray:
    """20 s in which something always sounds."""
    return sum((sound(20 * RATE, seed) for seed in (0, 2, 4)), start=np.zeros(20 * RATE, np.float32))


@cache
def small_file() -> bytes:
    return scalable_codec().encode(sound(3_000, 3), RATE, bitrate=1.2)


# The rate.


def test_the_payload_has_the_rate_that_is_asked_for(codec):
    rates = [codec.bits(codec.encode(steady(), RATE, bitrate=rate)) / 20_000 for rate in RATES]
    assert sorted(rates) == rates
    for asked, had in zip(RATES, rates, strict=True):
        # Never more, but for the last half of the rounding to bytes; generosity comes in steps of a few percent.
        assert 0.8 * asked <= had <= 1.01 * asked, (asked, had)


def test_short_packets_keep_to_the_rate_too(codec):
    for rate in (0.9, 1.8):
        data = codec.encode(steady(), RATE, bitrate=rate, frames_per_packet=2 * BLOCK)
        assert 0.85 * rate <= codec.bits(data) / 20_000 <= 1.02 * rate


def test_without_a_rate_it_is_the_default(codec):
    assert codec.encode(sound(8_000), RATE) == codec.encode(sound(8_000), RATE, bitrate=1.2)
    assert codec.encode(sound(8_000), RATE) != codec.encode(sound(8_000), RATE, bitrate=1.8)


def test_digital_silence_has_no_digits_and_stays_silent(codec):
    data = codec.encode(np.zeros((2, 20 * RATE), np.float32), RATE, bitrate=3.6)
    tokens = codec.analyze(np.zeros(20 * RATE, np.float32), RATE, bitrate=1.8)
    assert not tokens.side[..., : BANDS + 1].any()
    assert (tokens.codes == 2).all()
    # Two channels, two packets each, of 8 bits and the rounding to bytes.
    assert codec.bits(data) <= 4 * 16
    assert not codec.decode(data)[0].any()


def test_of_details_that_keep_equally_many_digits_one_is_written(codec):
    """5 digits have 6 counts in 9 details."""
    envelope = codec.packet_coder.envelope
    detail = codec.analyze(steady(), RATE, bitrate=0.6).side[..., BANDS + DETAIL]
    used = np.unique(detail)
    assert 1 < len(used) <= 6
    assert len(np.unique(envelope.digits[0][used])) == len(used)


@pytest.mark.parametrize(
    ("bitrate", "match"),
    [(0.3, r"0.36 \.\.\. 1.8 kbit/s, not 0.3"), (1.9, "not 1.9"), (-1, "not -1"), (float("nan"), "not nan")]
    + [(value, "must be a number of kbit/s") for value in ("fast", True, [1.2], b"1")],
)
def test_rates_that_cannot_be_served_are_refused(codec, bitrate, match):
    for call in (
        lambda: codec.encode(sound(100), RATE, bitrate=bitrate),
        lambda: codec.tokenize(sound(100), RATE, bitrate=bitrate),
        lambda: codec.streaming_encoder(bitrate=bitrate),
    ):
        # Annotations are checked while tests run, and refuse other types in their own way.
        with pytest.raises((InputError, TypeError)) as caught:
            call()
        if isinstance(caught.value, InputError):
            assert caught.match(match)
            assert "\n" not in str(caught.value)


def test_a_model_of_one_rate_says_so():
    with pytest.raises(InputError, match=r"--bitrate\) of this model cannot be chosen: leave 1.2 out"):
        tiny_codec().encode(sound(100), RATE, bitrate=1.2)


def test_packets_that_cut_blocks_are_refused(codec):
    for call in (
        lambda: codec.encode(sound(100), RATE, frames_per_packet=5),
        lambda: codec.streaming_encoder(frames_per_packet=6),
        lambda: codec.streaming_decoder(frames_per_packet=6),
    ):
        with pytest.raises(InputError, match=r"multiple of 4, not [56]"):
            call()
    assert (codec.stream_frames_per_packet, tiny_codec().stream_frames_per_packet) == (4, 5)
    assert codec.frames_per_second == 50.0


# Files.


@pytest.mark.parametrize(("num_samples", "rate"), [(1, 16_000), (320, 16_000), (9_999, 44_100), (5_000, 8_000)])
def test_length_channels_and_rate_are_preserved(codec, num_samples, rate):
    audio = np.stack([sound(num_samples, seed, rate) for seed in range(2)])
    decoded, decoded_rate = codec.decode(codec.encode(audio, rate, bitrate=1.8))
    assert (decoded.shape, decoded.dtype, decoded_rate) == (audio.shape, np.float32, rate)
    assert np.isfinite(decoded).all()


def test_an_excerpt_has_the_samples_of_the_whole(codec):
    data = codec.encode(steady()[: 12 * RATE], RATE, bitrate=0.9)
    whole, _ = codec.decode(data)
    for start, end in ((0.0, 0.01), (9.9, 10.7), (11.5, None)):
        part, _ = decode_excerpt(codec, SeekableReader(io.BytesIO(data)), start=start, end=end)
        last = None if end is None else round(end * RATE)
        np.testing.assert_array_equal(part, whole[:, round(start * RATE) : last])
    verify_packets(codec, StreamReader(io.BytesIO(data)))


def test_every_changed_byte_is_refused_or_changes_no_integer(codec):
    data = small_file()
    expected = codec.decode_packets(read_stream(data).header, read_stream(data).packets)
    for place in range(len(data)):
        for change in (0x01, 0xFF):
            damaged = bytearray(data)
            damaged[place] ^= change
            try:
                reader = StreamReader(io.BytesIO(bytes(damaged)))
                verify_packets(codec, reader)
                stream = read_stream(bytes(damaged))
            except (BitstreamError, InputError):
                continue
            for ours, theirs in zip(codec.decode_packets(stream.header, stream.packets), expected, strict=True):
                np.testing.assert_array_equal(ours, theirs)


# Streams.


@pytest.mark.parametrize("bitrate", [1.2, 3.0])
def test_a_stream_has_the_packets_and_the_samples_of_the_file(codec, bitrate):
    audio = np.stack([sound(70 * HOP + 77, seed) for seed in range(2)])
    frames = 2 * BLOCK
    options = {"bitrate": bitrate, "frames_per_packet": frames}
    blocks = np.split(audio, [1, 999, 5_000], axis=1)
    packets = list(encode_stream(codec, blocks, RATE, **options))
    in_file = read_stream(codec.encode(audio, RATE, **options)).packets
    assert [packet.payload for packet in packets] == [packet.payload for packet in in_file]
    expected = codec.synthesize(codec.analyze(audio, RATE, **options), audio.shape[1], RATE, seed=3, temperature=0.8)
    decoded = np.concatenate(
        list(
            decode_stream(
                codec, packets, RATE, audio.shape[1], channels=2, frames_per_packet=frames, seed=3, temperature=0.8
            )
        ),
        axis=1,
    )
    np.testing.assert_allclose(decoded, expected, rtol=0, atol=ROUNDING * np.abs(expected).max())


# Integers.


def test_codes_do_not_depend_on_the_windows(codec):
    """The encoder sees less than a block beyond its frame, but windows begin where blocks do."""
    networks, samples, frames = codec.networks, sound(127 * HOP, 3), 128
    (side, codes), (other_side, other_codes) = (networks.encode(samples, frames, core) for core in (frames, 4 * BLOCK))
    # As of a model of one rate: rounding may move one value in a thousand over the border of its level.
    for ours, reference in ((side, other_side), (codes, other_codes)):
        assert np.mean(ours != reference) <= 1e-3
        assert np.abs(ours - reference).max() <= 1


def test_tokens_are_one_array_and_give_what_the_decoder_gives(codec):
    audio = np.stack([sound(31 * HOP, seed) for seed in range(2)])  # 32 frames: nothing is filled up
    tokens = codec.tokenize(audio, RATE, bitrate=1.5)
    assert (tokens.shape, tokens.dtype) == ((2, 32, BANDS + 2 + DIGITS), np.int32)
    assert (tokens >= 0).all()
    assert (tokens < np.asarray(codec.codebook_sizes)).all()
    # The bit rate is that of all channels, which share it equally.
    np.testing.assert_array_equal(codec.tokenize(audio[1], RATE, bitrate=0.75), tokens[1])
    expected, _ = codec.decode(codec.encode(audio, RATE, bitrate=1.5), seed=5)
    np.testing.assert_array_equal(codec.detokenize(tokens, seed=5), expected)
    for same in (tokens[0].astype(np.int64), tokens[0].astype(np.uint16)):
        np.testing.assert_array_equal(codec.detokenize(same, seed=5), expected[0])


def test_tokens_of_several_rates_may_follow_each_other(codec):
    parts = [codec.tokenize(sound(31 * HOP), RATE, bitrate=rate) for rate in (0.6, 1.8)]
    joined = np.concatenate(parts)
    assert np.isfinite(codec.detokenize(joined)).all()
    with pytest.raises(InputError, match="4 frames of a block must have one operating point"):
        codec.detokenize(np.concatenate([parts[0][:2], parts[1][:2]]))


def test_arrays_that_are_no_tokens_are_refused(codec):
    tokens = codec.tokenize(sound(31 * HOP), RATE)
    for bad, match in (
        (tokens[:, :-1], r"integers of shape \(frames, 22\)"),
        (tokens.astype(np.float32), "not of float32"),
        (tokens[:0], "must be positive"),
        (tokens[:7], "must have shape"),
        (tokens + 10**4, "must lie in 0"),
        (tokens.astype(np.int64) + 2**32, "must lie in 0"),
        (tokens - 1, "must lie in 0"),
    ):
        with pytest.raises(InputError, match=match) as caught:
            codec.detokenize(bad)
        assert "\n" not in str(caught.value)


def test_a_model_of_one_rate_has_tokens_too():
    codec, audio = tiny_codec(), sound(20 * HOP)
    tokens = codec.tokenize(audio, RATE)
    assert tokens.shape == (21, len(codec.codebook_sizes))
    side, codes = codec.analyze(audio, RATE)
    np.testing.assert_array_equal(tokens, np.concatenate([side[0], codes[0]], axis=1))
    np.testing.assert_array_equal(
        codec.detokenize(tokens, seed=2), codec.decode(codec.encode(audio, RATE), seed=2)[0][0]
    )


def test_fewer_digits_are_a_prefix_of_more(codec):
    """0.9 and 1.2 kbit/s have one operating point, so the networks see the same."""
    fewer, more = (codec.analyze(sound(16_000), RATE, bitrate=rate) for rate in (0.9, 1.2))
    np.testing.assert_array_equal(np.delete(fewer.side, BANDS, -1), np.delete(more.side, BANDS, -1))
    counts = []
    for tokens in (fewer, more):
        counts.append(codec.networks.normalizer.num_kept(jnp.asarray(tokens.side)))
        kept = np.arange(DIGITS) < np.asarray(counts[-1])[..., None]
        assert (tokens.codes[~kept] == 2).all()
    assert (counts[0] <= counts[1]).all()
    assert (counts[0] < counts[1]).any()
    both = np.arange(DIGITS) < np.asarray(counts[0])[..., None]
    np.testing.assert_array_equal(fewer.codes[both], more.codes[both])


def test_files_may_change_their_operating_point_between_packets(codec):
    low, high = (codec.analyze(sound(31 * HOP), RATE, bitrate=rate) for rate in (0.6, 1.8))
    joined = Tokens(*(np.concatenate(kinds, axis=1) for kinds in zip(low, high, strict=True)))
    packets = codec.encode_packets(joined, frames_per_packet=32)
    for ours, theirs in zip(codec.decode_packets(read_stream(small_file()).header, packets), joined, strict=True):
        np.testing.assert_array_equal(ours, theirs)
    assert np.isfinite(codec.synthesize(joined, 63 * HOP, RATE)).all()


# Training.


def test_the_loss_has_finite_gradients_and_sees_the_detail(codec, monkeypatch):
    from meanflow_audio_codec.inference.pretrained import PretrainedModel
    from meanflow_audio_codec.preprocessing.specs import SignalSpec
    from meanflow_audio_codec.preprocessing.tokenizers import build_tokenizer

    pretrained: PretrainedModel = codec.pretrained
    tokenizer = build_tokenizer(scalable_config().tokenizer, SignalSpec((31 * HOP,), RATE))

    class Parts:
        config, segment_tokenizer, method = scalable_config(), tokenizer, pretrained.method
        normalizer = scalable_normalizer()

    Parts.tokenizer = tokenizer
    signal = jnp.asarray([sound(31 * HOP, seed) for seed in range(2)])

    def losses(detail: int | None) -> tuple[float, list[np.ndarray]]:
        draw = BlockGainShapeNormalizer.draw

        def fixed(self, tokens, key):
            x, side = draw(self, tokens, key)
            return x, side if detail is None else self.with_detail(side, jnp.full(side.shape[:-1], detail))

        with monkeypatch.context() as patch:
            patch.setattr(BlockGainShapeNormalizer, "draw", fixed)
            step = jax.jit(jax.value_and_grad(loss_of(Parts), has_aux=True))
            (loss, metrics), gradient = step(pretrained.model, signal, None, jax.random.key(0), jnp.array(0))
        assert all(np.isfinite(value) for value in metrics.values())
        return float(loss), [np.asarray(leaf) for leaf in jax.tree.leaves(gradient)]

    drawn, gradient = losses(None)
    assert np.isfinite(drawn)
    assert all(np.isfinite(leaf).all() for leaf in gradient)
    assert all(leaf.any() for leaf in gradient)
    full, none = losses(FULL_DETAIL)[0], losses(0)[0]
    assert len({drawn, full, none}) == 3
