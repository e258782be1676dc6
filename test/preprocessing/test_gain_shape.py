"""Gain-shape coding: decoder multiplies by what the encoder divided by; bands are unit variance at any loudness."""

import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from meanflow_audio_codec.preprocessing.gain_shape import (
    HIGHEST_LOG2_GAIN,
    LOWEST_LOG2_GAIN,
    GainShapeNormalizer,
    band_edges,
    bark,
)
from meanflow_audio_codec.preprocessing.mdct import imdct, mdct

NORMALIZER = GainShapeNormalizer(num_bins=64, sample_rate=16_000, num_bands=9)


def loud_and_quiet_frames(frames: int = 40) -> np.ndarray:
    """Levels from 2^-15 to 2^4, changing from frame to frame and from bin to bin, with random signs."""
    random = np.random.default_rng(0)
    level = np.exp2(random.uniform(-14.0, 3.0, (2, frames, 1)) + random.uniform(-1.0, 1.0, (2, frames, 64)))
    return (level * random.choice([-1.0, 1.0], (2, frames, 64))).astype(np.float32)


# Bands.


@settings(max_examples=200, deadline=None)
@given(num_bins=st.integers(1, 2048), sample_rate=st.integers(1_000, 192_000), share=st.floats(0.0, 1.0))
def test_bands_partition_the_bins(num_bins: int, sample_rate: int, share: float) -> None:
    num_bands = 1 + round(share * (num_bins - 1))
    edges = band_edges(num_bins, sample_rate, num_bands)
    assert len(edges) == num_bands + 1
    assert (edges[0], edges[-1]) == (0, num_bins)
    assert (np.diff(edges) >= 1).all()


def test_wide_bands_are_equally_wide_in_bark() -> None:
    """Where a bin is much narrower than a band, each band is one part in num_bands of the critical-band scale."""
    edges = np.array(band_edges(4096, 16_000, 16))
    widths = np.diff(bark(edges * 8_000 / 4096))
    np.testing.assert_allclose(widths, np.full(16, bark(np.array([8_000.0]))[0] / 16), rtol=0.03)


def test_the_bark_scale() -> None:
    """Zwicker's table: 1 Bark at 100 Hz, 8.5 at 1 kHz, about 21 at 8 kHz; increasing."""
    np.testing.assert_allclose(bark(np.array([0.0, 100.0, 1000.0, 8000.0])), [0.0, 1.0, 8.5, 21.3], atol=0.25)
    assert (np.diff(bark(np.linspace(0.0, 96_000.0, 5000))) > 0).all()


@pytest.mark.parametrize("num_bands", [0, 65])
def test_more_bands_than_bins_is_an_error(num_bands: int) -> None:
    with pytest.raises(ValueError, match=f"num_bands must lie in 1 ... 64 .* not {num_bands}"):
        band_edges(64, 16_000, num_bands)


# Gains.


def test_the_decoder_multiplies_by_what_the_encoder_divided_by() -> None:
    """tokens / normalised is one table entry per band, the entry of the index; so decoding is exact."""
    tokens = loud_and_quiet_frames()
    normalised, index = NORMALIZER.normalize(jnp.asarray(tokens))
    assert (np.asarray(index) > 0).all()
    gain = np.exp2(NORMALIZER.log2_gains.astype(np.float64))[np.asarray(index)][..., NORMALIZER.band_of_bin]
    np.testing.assert_allclose(tokens / np.asarray(normalised, np.float64), gain, rtol=1e-6)
    np.testing.assert_allclose(NORMALIZER.denormalize(normalised, index), tokens, rtol=3e-7)


@pytest.mark.parametrize("step_db", [1.0, 3.0, 6.0])
def test_bands_have_unit_power_up_to_half_a_step(step_db: float) -> None:
    normalizer = GainShapeNormalizer(64, 16_000, 9, step_db)
    normalised, index = normalizer.normalize(jnp.asarray(loud_and_quiet_frames()))
    for first, last in zip(normalizer.edges, normalizer.edges[1:], strict=False):
        level_db = 10.0 * np.log10(np.mean(np.asarray(normalised)[..., first:last] ** 2, axis=-1))
        assert np.abs(level_db).max() <= step_db / 2 + 1e-3
    assert index.shape == (2, 40, 9)
    assert int(index.max()) < normalizer.side_levels[0]


@pytest.mark.parametrize("step_db", [0.5, 3.0, 4.0])
def test_gains_are_equal_steps_from_rounding_noise_to_full_scale(step_db: float) -> None:
    normalizer = GainShapeNormalizer(64, 16_000, 9, step_db)
    np.testing.assert_allclose(np.diff(normalizer.log2_gains), step_db / (20.0 * np.log10(2.0)), rtol=1e-3)
    assert normalizer.log2_gains[0] == LOWEST_LOG2_GAIN
    assert HIGHEST_LOG2_GAIN - step_db / 6.0 < normalizer.log2_gains[-1] <= HIGHEST_LOG2_GAIN
    assert normalizer.side_levels == (len(normalizer.log2_gains),) * 9


def test_a_factor_of_one_step_moves_every_index_by_one() -> None:
    """Loudness is only in the side information: the networks see the same tokens."""
    normalizer = GainShapeNormalizer(64, 16_000, 9, 20.0 * np.log10(2.0))  # steps of exactly one octave of amplitude
    tokens = loud_and_quiet_frames()
    normalised, index = normalizer.normalize(jnp.asarray(tokens))
    of_louder, index_of_louder = normalizer.normalize(jnp.asarray(2.0 * tokens))
    np.testing.assert_array_equal(index_of_louder, np.asarray(index) + 1)
    np.testing.assert_allclose(of_louder, normalised, rtol=1e-6)


def test_silence_decodes_to_silence() -> None:
    """Exactly zero, whatever the decoder's network says about it, and in its band alone."""
    normalised, index = NORMALIZER.normalize(jnp.zeros((1, 3, 64)))
    assert not index.any()
    assert not normalised.any()
    noise = jnp.ones((1, 3, 64))
    assert not NORMALIZER.denormalize(noise, index).any()
    one_band = NORMALIZER.denormalize(noise, index.at[:, :, 4].set(20))
    np.testing.assert_array_equal(np.flatnonzero(one_band[0, 0]), np.flatnonzero(NORMALIZER.band_of_bin == 4))


def test_a_single_bit_of_16_bit_audio_is_heard_and_its_rounding_noise_is_not() -> None:
    """Dither of one bit has root mean square 2^-15.3 in every coefficient; rounding errors have 2^-16.8."""
    normalizer = GainShapeNormalizer(64, 16_000, 1)
    random = np.random.default_rng(1)
    dither, rounding = random.integers(-1, 2, 64 * 50) / 2**15, random.uniform(-0.5, 0.5, 64 * 50) / 2**15
    indices = [
        np.asarray(normalizer.normalize(mdct(jnp.asarray(signal, jnp.float32)[None], 64))[1])[:, 1:-1]
        for signal in (dither, rounding)
    ]
    assert (indices[0] > 0).all()
    assert not indices[1].any()


@pytest.mark.parametrize("kind", ["square", "noise", "sine", "beyond"])
def test_the_loudest_signals_survive(kind: str) -> None:
    """Full-scale signals are within the table or clipped to its top, and decode to themselves either way."""
    n = np.arange(64 * 40)
    signal = {
        "square": np.where(n // 16 % 2, 1.0, -1.0),
        "noise": np.random.default_rng(2).choice([-1.0, 1.0], len(n)),
        "sine": np.sin(2 * np.pi * n * 0.25 / 64),
        "beyond": 40.0 * np.where(n // 16 % 2, 1.0, -1.0),
    }[kind].astype(np.float32)
    coefficients = mdct(jnp.asarray(signal)[None], 64)
    normalised, index = NORMALIZER.normalize(coefficients)
    assert int(index.max()) <= NORMALIZER.side_levels[0] - 1
    assert (int(index.max()) == NORMALIZER.side_levels[0] - 1) == (kind == "beyond")
    decoded = imdct(NORMALIZER.denormalize(normalised, index), length=len(n))
    np.testing.assert_allclose(decoded[0], signal, atol=1e-4 * np.abs(signal).max())


# What networks and losses are told.


def test_features_are_the_gains_on_a_scale_of_units() -> None:
    levels = NORMALIZER.side_levels[0]
    side = jnp.broadcast_to(jnp.arange(levels)[:, None], (levels, 9))
    features = np.asarray(NORMALIZER.features(side))
    steps = np.broadcast_to(np.diff(NORMALIZER.log2_gains)[:, None] / 4.0, (levels - 1, 9))
    np.testing.assert_allclose(np.diff(features, axis=0), steps, rtol=1e-4)
    assert np.abs(features).max() < 3.5


@pytest.mark.parametrize("exponent", [0.0, 0.5, 2.0])
def test_the_loss_weight(exponent: float) -> None:
    """Mean 1 in every frame; the weights of a band sum to a share that goes as its gain to this power."""
    normalizer = GainShapeNormalizer(64, 16_000, 9, 3.0, exponent)
    _, index = normalizer.normalize(jnp.asarray(loud_and_quiet_frames()))
    weight = np.asarray(normalizer.loss_weight(index), np.float64)
    np.testing.assert_allclose(weight.mean(axis=-1), 1.0, rtol=1e-5)
    shares = np.add.reduceat(weight, normalizer.edges[:-1], axis=-1)
    gains = np.exp2(normalizer.log2_gains.astype(np.float64))[np.asarray(index)]
    np.testing.assert_allclose(shares / shares[..., :1], (gains / gains[..., :1]) ** exponent, rtol=1e-4)


def test_nothing_is_fitted() -> None:
    assert NORMALIZER.state() == {}
