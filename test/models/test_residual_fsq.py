"""Residual finite scalar quantisation: stages nest, every digit kept refines, encoder and decoder agree to the bit."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from pydantic import ValidationError

from meanflow_audio_codec.configs.networks import ResidualFSQConfig
from meanflow_audio_codec.models.bottlenecks.bottleneck import Bottleneck
from meanflow_audio_codec.models.bottlenecks.residual_fsq import ResidualFSQ

CHANNELS, STAGES, LEVELS = 3, 4, 5
HALF = LEVELS // 2
CODES = CHANNELS * STAGES
QUANTISER = ResidualFSQ(ResidualFSQConfig(channels=CHANNELS, num_stages=STAGES, num_levels=LEVELS))
quantise, rebuild = jax.jit(QUANTISER), jax.jit(QUANTISER.codes_to_latent)


def bounded(latent: np.ndarray) -> np.ndarray:
    """What is quantised, in units of the latent, in float64."""
    return 0.5 * LEVELS * np.tanh(latent.astype(np.float64)) / HALF


@settings(max_examples=50, deadline=None)
@given(
    latent=arrays(np.float32, (2, 3, CHANNELS), elements=st.floats(-50.0, 50.0, width=32)),
    num_kept=arrays(np.int32, (2, 3), elements=st.integers(0, CODES)),
)
def test_the_decoder_rebuilds_the_latent_from_the_codes_exactly(latent: np.ndarray, num_kept: np.ndarray) -> None:
    """Of what is kept: codes that are left out may be any."""
    whole, part = quantise(jnp.asarray(latent)), quantise(jnp.asarray(latent), jnp.asarray(num_kept))
    for output in (whole, part):
        assert (np.asarray(output.codes) >= 0).all()
        assert (np.asarray(output.codes) < LEVELS).all()
    np.testing.assert_array_equal(rebuild(whole.codes), whole.latent)
    for codes in (whole.codes, part.codes):
        np.testing.assert_array_equal(rebuild(codes, jnp.asarray(num_kept)), part.latent)
    kept = np.arange(CODES) < num_kept[..., None]
    np.testing.assert_array_equal(part.codes, np.where(kept, whole.codes, HALF))


def test_what_is_kept_is_the_sum_of_its_digits() -> None:
    """Digit c of stage s is worth (code - 2) / 2 / 5^s in channel c, whatever else is kept."""
    latent = 2.0 * jax.random.normal(jax.random.key(0), (1, CODES + 1, CHANNELS))
    codes = np.asarray(quantise(latent).codes, np.float64).reshape(1, CODES + 1, STAGES, CHANNELS)
    worth = (codes - HALF) / HALF / LEVELS ** np.arange(STAGES)[:, None]
    kept = np.arange(CODES).reshape(STAGES, CHANNELS) < np.arange(CODES + 1)[:, None, None]
    part = quantise(latent, jnp.arange(CODES + 1)[None])
    np.testing.assert_allclose(part.latent, (worth * kept).sum(axis=2), atol=1e-6)


def test_every_stage_divides_the_largest_error_by_the_number_of_levels() -> None:
    """Equation (11) of codec_design.md, on a fine sweep; a uniform error has a third of its bound squared."""
    sweep = np.arctanh(np.linspace(-0.9999, 0.9999, 20_001)).astype(np.float32)
    latent = jnp.asarray(np.repeat(sweep[None, :, None], CHANNELS, axis=-1))
    for stages in range(STAGES + 1):
        output = quantise(latent, jnp.full(latent.shape[:2], stages * CHANNELS))
        error = (np.asarray(output.latent, np.float64) - bounded(np.asarray(latent))) * HALF
        bound = 0.5 * LEVELS ** (1 - stages)
        # tanh in float32 is right to some units of 2^-24 of 1.
        assert np.abs(error).max() <= bound + 1e-5
        assert (error**2).mean() == pytest.approx(bound**2 / 3.0, rel=0.02)


def test_all_stages_are_one_uniform_quantiser() -> None:
    """5^4 levels, each reached, at equal distances, in order: no two codes mean the same."""
    sweep = np.arctanh(np.linspace(-1.0, 1.0, 40_003)[1:-1]).astype(np.float32)
    latent = jnp.asarray(np.repeat(sweep[None, :, None], CHANNELS, axis=-1))
    values = np.asarray(quantise(latent).latent, np.float64)[0, :, 0] * HALF * LEVELS ** (STAGES - 1)
    assert (np.diff(values) >= -1e-4).all()
    largest = LEVELS**STAGES // 2
    np.testing.assert_allclose(np.unique(np.rint(values)), np.arange(-largest, largest + 1))


def test_the_gradient_is_that_of_the_bound_where_anything_is_kept() -> None:
    """Straight through all stages: 5/2 (1 - tanh^2) / 2; channels without a digit have none."""
    latent = jnp.asarray(np.linspace(-2.0, 2.0, 41, dtype=np.float32)[None, :, None] * np.ones(CHANNELS, np.float32))
    expected = 0.5 * LEVELS * (1.0 - np.tanh(np.asarray(latent, np.float64)) ** 2) / HALF
    for kept in (None, jnp.full((1, 41), 2), jnp.full((1, 41), CHANNELS + 1)):
        slope = jax.grad(lambda latent, kept=kept: QUANTISER(latent, kept).latent.sum())(latent)
        digits = CODES if kept is None else int(kept[0, 0])
        np.testing.assert_allclose(slope, expected * (np.arange(CHANNELS) < digits), rtol=1e-4, atol=1e-6)


def test_zero_is_the_middle_of_every_digit() -> None:
    output = quantise(jnp.zeros((1, 1, CHANNELS)))
    assert not output.latent.any()
    np.testing.assert_array_equal(output.codes, np.full((1, 1, CODES), HALF))


def test_it_is_a_bottleneck_without_parameters() -> None:
    assert isinstance(QUANTISER, Bottleneck)
    assert (QUANTISER.channels, QUANTISER.levels) == (CHANNELS, (LEVELS,) * CODES)
    assert jax.tree.leaves(QUANTISER) == []
    assert float(quantise(jnp.ones((1, 1, CHANNELS))).loss) == 0.0


@pytest.mark.parametrize(
    "settings_of_one", [{"num_levels": 4}, {"num_levels": 65}, {"num_stages": 0}, {"num_stages": 9}]
)
def test_stages_that_float32_cannot_tell_apart_are_an_error(settings_of_one: dict[str, int]) -> None:
    with pytest.raises(ValidationError, match="num_"):
        ResidualFSQConfig(**settings_of_one)
