"""The transform over blocks of band gains: invertible up to its steps, in floats and in integers alike."""

from collections.abc import Callable
from functools import cache

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from meanflow_audio_codec.preprocessing.block_transform import (
    GAIN_UNIT_DB,
    LARGEST_FIRST,
    LARGEST_OTHER,
    ROUNDING,
    BlockTransform,
    inverse_zigzag,
    zigzag,
)

BANDS, BLOCK, HIGHEST_DB = 5, 4, 110.0
STEPS_DB = (20.0, 6.0, 2.0)
LEVELS = (2 * LARGEST_FIRST + 1, *[2 * LARGEST_OTHER + 1] * (BANDS - 1))


@cache
def orthonormal(bands: int) -> np.ndarray:
    """A rotation whose first column is positive throughout, as that of a fitted basis."""
    columns = np.random.default_rng(bands).standard_normal((bands, bands))
    columns[:, 0] = 1.0
    basis = np.linalg.qr(columns)[0]
    return basis * np.where(basis.sum(axis=0) < 0.0, -1.0, 1.0)


@cache
def transform(bands: int = BANDS, block: int = BLOCK) -> BlockTransform:
    return BlockTransform(bands, block, HIGHEST_DB, STEPS_DB, tuple(orthonormal(bands).ravel().tolist()))


@cache
def compiled(of: BlockTransform, method: str) -> Callable[..., jax.Array]:
    return jax.jit(getattr(of, method))


def quantized(heights: np.ndarray, point: int, of: BlockTransform | None = None) -> np.ndarray:
    steps = np.full(heights.shape[:-1], STEPS_DB[point], np.float32)
    return np.asarray(compiled(of or transform(), "quantize")(np.asarray(heights, np.float32), steps))


def dequantized(symbols: np.ndarray, point: int, of: BlockTransform | None = None) -> np.ndarray:
    steps = np.full(symbols.shape[:-1], STEPS_DB[point], np.float32)
    return np.asarray(compiled(of or transform(), "dequantize")(symbols, steps))


def drawn_heights(num_frames: int) -> st.SearchStrategy[np.ndarray]:
    return arrays(np.float32, (num_frames, BANDS), elements=st.floats(0.0, HIGHEST_DB, width=32))


@st.composite
def drawn_symbols(draw, num_blocks: int) -> np.ndarray:
    columns = [
        draw(arrays(np.int32, num_blocks * BLOCK, elements=st.integers(0, size - 1), fill=st.just(0)))
        for size in LEVELS
    ]
    return np.stack(columns, axis=1)


def test_the_cosines_are_orthonormal_and_the_first_is_the_mean():
    for block in (1, 2, 4, 7):
        cosines = transform(block=block)._cosines
        np.testing.assert_allclose(cosines @ cosines.T, np.eye(block), atol=1e-14)
        np.testing.assert_allclose(cosines[0], 1.0 / np.sqrt(block))


@settings(deadline=None)
@given(arrays(np.int32, 20, elements=st.integers(-LARGEST_FIRST, LARGEST_FIRST)))
def test_zigzag_numbers_the_integers_by_magnitude(values):
    symbols = np.asarray(zigzag(jnp.asarray(values)))
    np.testing.assert_array_equal(inverse_zigzag(symbols), values)
    np.testing.assert_array_equal((symbols + 1) // 2, np.abs(values))
    assert (symbols <= 2 * LARGEST_FIRST).all()


def test_zigzag_is_onto():
    symbols = np.arange(2 * LARGEST_FIRST + 1)
    np.testing.assert_array_equal(np.asarray(zigzag(jnp.asarray(inverse_zigzag(symbols)))), symbols)


@settings(deadline=None, max_examples=60)
@given(st.data(), st.integers(1, 3), st.sampled_from(range(len(STEPS_DB))))
def test_float_dequantisation_is_at_most_one_unit_from_the_integers(data, num_blocks, point):
    symbols = data.draw(drawn_symbols(num_blocks))
    gains = transform().gains(symbols, point)
    assert gains.min() >= 0
    assert gains.max() < transform().num_gains
    assert np.abs(dequantized(symbols, point) - gains).max() <= 1


def test_integer_gains_are_those_of_exact_arithmetic_but_for_rounding():
    """Matrices of 14 bits: an error of 2^-15 per entry, times the magnitudes that gains within range need."""
    rng = np.random.default_rng(0)
    for point, step in enumerate(STEPS_DB):
        symbols = quantized(rng.uniform(0.0, HIGHEST_DB, (400, BANDS)), point)
        values = inverse_zigzag(symbols).reshape(-1, BLOCK, BANDS) * step
        exact = np.einsum("ft,mfb->mtb", transform()._cosines, values) @ orthonormal(BANDS).T
        exact = (exact.reshape(-1, BANDS) / GAIN_UNIT_DB).clip(0, transform().num_gains - 1)
        assert np.abs(transform().gains(symbols, point) - exact).max() <= 0.5 + 0.2


@settings(deadline=None, max_examples=60)
@given(drawn_heights(2 * BLOCK), st.sampled_from((0, 1)))
def test_the_error_is_bounded_per_coefficient_and_by_parseval_in_all(heights, point):
    """A magnitude is rounded up from 1 - ROUNDING on, so the error of a coefficient is below that many steps."""
    step = STEPS_DB[point]
    symbols = quantized(heights, point)
    coefficients = np.einsum("ft,mtb->mfb", transform()._cosines, heights.reshape(2, BLOCK, BANDS))
    coefficients = (coefficients @ orthonormal(BANDS)).reshape(-1, BANDS)
    error = np.abs(inverse_zigzag(symbols) * step - coefficients)
    assert error.max() <= (1.0 - ROUNDING) * step + 1e-3
    # The transform is orthonormal and clipping to the range of heights only helps; gains are rounded to their unit.
    decoded = transform().gains(symbols, point) * GAIN_UNIT_DB
    rounding = 0.7 * GAIN_UNIT_DB * np.sqrt(heights.size)
    assert np.linalg.norm(decoded - heights) <= np.linalg.norm(error) + rounding


def test_a_finer_step_errs_less():
    heights = np.random.default_rng(1).uniform(0.0, HIGHEST_DB - 10.0, (200, BANDS))
    errors = []
    for point in range(len(STEPS_DB)):
        decoded = transform().gains(quantized(heights, point), point) * GAIN_UNIT_DB
        errors.append(np.sqrt(np.mean((decoded - heights) ** 2)))
    assert sorted(errors, reverse=True) == errors
    # Uniform over a step whose middle is 0.14 off; below a step, where all is zero, between -0.64 and 0.64.
    for error, step in zip(errors, STEPS_DB, strict=True):
        assert 0.3 * step < error < 0.37 * step


def test_magnitudes_stop_at_the_end_of_their_alphabet():
    first, other = (np.zeros((BLOCK, BANDS)) for _ in range(2))
    first[:] = 1e6 * orthonormal(BANDS)[:, 0]
    other[:] = -1e6 * orthonormal(BANDS)[:, 1]
    assert (quantized(first, 2)[0, 0], quantized(other, 2)[0, 1]) == (2 * LARGEST_FIRST, 2 * LARGEST_OTHER - 1)
    assert transform().levels == LEVELS


@pytest.mark.parametrize("point", range(len(STEPS_DB)))
def test_silence_is_all_zeros_and_back(point):
    symbols = quantized(np.zeros((3, 2 * BLOCK, BANDS)), point)
    assert not symbols.any()
    assert not transform().gains(symbols[0], point).any()
    assert not dequantized(symbols, point).any()


@settings(deadline=None, max_examples=30)
@given(st.data(), st.lists(st.integers(1, 3), min_size=1, max_size=4), st.sampled_from(range(len(STEPS_DB))))
def test_blocks_are_decoded_alone(data, num_blocks, point):
    """However packets cut a recording, as long as they cut it between blocks."""
    symbols = data.draw(drawn_symbols(sum(num_blocks)))
    cuts = BLOCK * np.cumsum(num_blocks)[:-1]
    apart = [transform().gains(part, point) for part in np.split(symbols, cuts)]
    np.testing.assert_array_equal(np.concatenate(apart), transform().gains(symbols, point))


def test_examples_are_quantised_alone():
    heights = np.random.default_rng(2).uniform(0.0, HIGHEST_DB, (3, 2 * BLOCK, BANDS))
    together = quantized(heights, 1)
    for ours, example in zip(together, heights, strict=True):
        np.testing.assert_array_equal(ours, quantized(example, 1))


def test_a_block_may_be_one_frame_and_one_band():
    single = transform(bands=1, block=1)
    heights = np.linspace(0.0, HIGHEST_DB, 30)[:, None]
    decoded = single.gains(quantized(heights, 2, single), 2) * GAIN_UNIT_DB
    assert np.abs(decoded - heights).max() <= (1.0 - ROUNDING) * STEPS_DB[2] + GAIN_UNIT_DB


def test_ragged_blocks_are_refused():
    for call in (
        lambda: quantized(np.zeros((BLOCK + 1, BANDS)), 0),
        lambda: dequantized(np.zeros((BLOCK + 1, BANDS), np.int32), 0),
        lambda: transform().gains(np.zeros((BLOCK + 1, BANDS), np.int32), 0),
    ):
        with pytest.raises(ValueError, match=f"{BLOCK + 1} frames are no whole number of blocks of {BLOCK}"):
            call()


@pytest.mark.parametrize(
    ("basis", "match"),
    [
        (np.eye(BANDS)[:-1], "has 25 entries, not 20"),
        (2.0 * np.eye(BANDS), "not orthonormal"),
        (np.ones((BANDS, BANDS)), "not orthonormal"),
        (np.full((BANDS, BANDS), np.nan), "not orthonormal"),
    ],
)
def test_what_is_no_orthonormal_basis_is_refused(basis, match):
    with pytest.raises(ValueError, match=match):
        BlockTransform(BANDS, BLOCK, HIGHEST_DB, STEPS_DB, tuple(basis.ravel().tolist()))
