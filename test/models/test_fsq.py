"""Finite scalar quantisation: encoder and decoder agree to the bit, every level is used, gradients pass."""

import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from pydantic import ValidationError

from meanflow_audio_codec.configs.networks import FSQConfig
from meanflow_audio_codec.models.bottlenecks.bottleneck import Bottleneck, code_entropy
from meanflow_audio_codec.models.bottlenecks.fsq import FSQ

LEVELS = (2, 3, 4, 5, 8, 63, 64)
QUANTISER = FSQ(FSQConfig(levels=LEVELS))
SWEEP = np.linspace(-20.0, 20.0, 20_001, dtype=np.float32)[:, None, None] * np.ones(len(LEVELS), np.float32)

latents = arrays(np.float32, (2, 3, len(LEVELS)), elements=st.floats(-50.0, 50.0, width=32))


@settings(max_examples=50, deadline=None)
@given(latent=latents)
def test_the_decoder_rebuilds_the_latent_from_the_codes_exactly(latent: np.ndarray) -> None:
    output = QUANTISER(jnp.asarray(latent))
    assert (np.asarray(output.codes) >= 0).all()
    assert (np.asarray(output.codes) < np.array(LEVELS)).all()
    np.testing.assert_array_equal(QUANTISER.codes_to_latent(output.codes), output.latent)


def test_the_same_under_compilation() -> None:
    """The codec compiles encoder and decoder separately."""
    latent = 3.0 * jax.random.normal(jax.random.key(0), (50, 7, len(LEVELS)))
    output = jax.jit(QUANTISER)(latent)
    np.testing.assert_array_equal(jax.jit(QUANTISER.codes_to_latent)(output.codes), output.latent)
    np.testing.assert_array_equal(output.codes, QUANTISER(latent).codes)


def test_every_level_is_reached_in_order() -> None:
    """Odd and even level counts, up to the largest allowed."""
    codes = np.asarray(QUANTISER(jnp.asarray(SWEEP)).codes)[:, 0]
    for channel, levels in enumerate(LEVELS):
        assert np.unique(codes[:, channel]).tolist() == list(range(levels))
        assert (np.diff(codes[:, channel]) >= 0).all()


def test_levels_are_equally_spaced_around_zero() -> None:
    """Codes count from the lowest level up; L odd: -1 ... 1; L even: -1 ... 1 - 2 / L."""
    for channel, levels in enumerate(LEVELS):
        codes = jnp.zeros((1, levels, len(LEVELS)), jnp.int32).at[0, :, channel].set(jnp.arange(levels))
        values = np.asarray(QUANTISER.codes_to_latent(codes))[0, :, channel]
        np.testing.assert_allclose(values, (np.arange(levels) - levels // 2) / max(levels // 2, 1), rtol=1e-6)


def test_zero_is_a_level() -> None:
    """Silence of the encoder is the code in the middle, for even counts by their shift of half a level."""
    output = QUANTISER(jnp.zeros((1, 1, len(LEVELS))))
    np.testing.assert_array_equal(output.latent, np.zeros((1, 1, len(LEVELS))))
    np.testing.assert_array_equal(output.codes[0, 0], np.array(LEVELS) // 2)


def test_codes_survive_the_round_trip_through_the_latent() -> None:
    """All 3 * 4 * 5 codes: quantising a latent that is already on a level gives that level."""
    levels = (3, 4, 5)
    quantiser = FSQ(FSQConfig(levels=levels))
    codes = np.array(list(itertools.product(*map(range, levels))), np.int32)[None]
    latent = np.asarray(quantiser.codes_to_latent(jnp.asarray(codes)), np.float64)
    # The unbounded value whose bounded value is that level: the inverse of the bound.
    half, offset = (np.array(levels) - 1) / 2 * 1.001, np.where(np.array(levels) % 2 == 0, 0.5, 0.0)
    unbounded = np.arctanh((latent * (np.array(levels) // 2) + offset) / half) - np.arctanh(offset / half)
    np.testing.assert_array_equal(quantiser(jnp.asarray(unbounded, jnp.float32)).codes, codes)


def test_the_gradient_is_that_of_the_bound() -> None:
    """Straight through the rounding: d latent / d input = half (1 - tanh^2(x + shift)) / floor(L / 2)."""
    x = np.linspace(-2.0, 2.0, 41)
    slope = jax.grad(lambda latent: QUANTISER(latent).latent.sum())(
        jnp.asarray(x[:, None, None] * np.ones(len(LEVELS)), jnp.float32)
    )
    for channel, levels in enumerate(LEVELS):
        half, offset = (levels - 1) / 2 * 1.001, 0.5 if levels % 2 == 0 else 0.0
        expected = half * (1.0 - np.tanh(x + np.arctanh(offset / half)) ** 2) / max(levels // 2, 1)
        np.testing.assert_allclose(np.asarray(slope)[:, 0, channel], expected, rtol=2e-3, atol=1e-6)


def test_digits_that_are_kept_stay_and_the_others_are_silent() -> None:
    latent = jax.random.normal(jax.random.key(2), (2, len(LEVELS) + 1, len(LEVELS)))
    num_kept = jnp.tile(jnp.arange(len(LEVELS) + 1), (2, 1))
    whole, part = QUANTISER(latent), QUANTISER(latent, num_kept)
    for kept in range(len(LEVELS) + 1):
        np.testing.assert_array_equal(part.codes[:, kept, :kept], whole.codes[:, kept, :kept])
        np.testing.assert_array_equal(part.latent[:, kept, :kept], whole.latent[:, kept, :kept])
        np.testing.assert_array_equal(
            part.codes[:, kept, kept:], np.tile([level // 2 for level in LEVELS[kept:]], (2, 1))
        )
        assert not part.latent[:, kept, kept:].any()
    # The decoder looks at no digit that is left out, whatever it is.
    for codes in (whole.codes, part.codes):
        np.testing.assert_array_equal(QUANTISER.codes_to_latent(codes, num_kept), part.latent)
    slope = jax.grad(lambda latent: QUANTISER(latent, num_kept).latent.sum())(latent)
    np.testing.assert_array_equal(slope != 0.0, np.arange(len(LEVELS)) < num_kept[..., None])


def test_channels_do_not_interact() -> None:
    latent = jax.random.normal(jax.random.key(1), (4, 3, len(LEVELS)))
    jacobian = jax.jacobian(lambda row: QUANTISER(row[None, None]).latent[0, 0])(latent[0, 0])
    np.testing.assert_array_equal(jacobian, np.diag(np.diag(jacobian)))


def test_the_entropy_of_codes() -> None:
    """Uniform digits: the sum of log2 of the level counts; constant digits: nothing."""
    levels = (2, 4, 5)
    uniform = jnp.asarray(np.stack([np.arange(40) % count for count in levels], axis=-1), jnp.int32)[None]
    assert float(code_entropy(uniform, levels)) == pytest.approx(np.log2(2 * 4 * 5), rel=1e-5)
    assert float(code_entropy(jnp.zeros((2, 5, 3), jnp.int32), levels)) == pytest.approx(0.0, abs=1e-6)


def test_it_is_a_bottleneck_without_parameters() -> None:
    assert isinstance(QUANTISER, Bottleneck)
    assert QUANTISER.channels == len(LEVELS)
    assert jax.tree.leaves(QUANTISER) == []
    assert float(QUANTISER(jnp.ones((1, 2, len(LEVELS)))).loss) == 0.0


@pytest.mark.parametrize("levels", [(1,), (65,), (5, 0)])
def test_level_counts_out_of_range_are_an_error(levels: tuple[int, ...]) -> None:
    with pytest.raises(ValidationError, match="levels"):
        FSQConfig(levels=levels)
