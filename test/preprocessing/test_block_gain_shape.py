"""Gain-shape normalisation at several bit rates: what is divided comes back, and detail and temperature do as said."""

from collections.abc import Callable
from functools import cache
from itertools import pairwise
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from meanflow_audio_codec.configs.decoding import DecodingConfig
from meanflow_audio_codec.configs.tokens import BlockGainShapeConfig, OperatingPointConfig
from meanflow_audio_codec.preprocessing.block_gain_shape import (
    FULL_DETAIL,
    SILENT_GAINS,
    BlockGainShapeNormalizer,
    fit_band_basis,
)
from meanflow_audio_codec.preprocessing.block_transform import GAIN_UNIT_DB

BINS, BANDS, FRAMES, RATE = 64, 6, 16, 16_000
POINTS = ((600, 20.0, 5), (1_200, 10.0, 9), (2_400, 5.0, 24))


@cache
def normalizer(**fields: float) -> BlockGainShapeNormalizer:
    config = BlockGainShapeConfig(
        num_bands=BANDS,
        operating_points=tuple(
            OperatingPointConfig(bits_per_second=rate, envelope_step_db=step, num_digits=digits)
            for rate, step, digits in POINTS
        ),
    )
    return BlockGainShapeNormalizer(
        config, DecodingConfig(**fields), BINS, RATE, fit_band_basis([noise()], config, BINS, RATE)
    )


def noise(seed: int = 0, batch: int = 4) -> jax.Array:
    """Falling spectrum, loud and quiet frames, between -50 and 0 dB."""
    rng = np.random.default_rng(seed)
    level = 10.0 ** (-rng.uniform(0.0, 2.0, (batch, FRAMES, 1)) - np.linspace(0.0, 0.5, BINS))
    return jnp.asarray(level * rng.standard_normal((batch, FRAMES, BINS)), jnp.float32)


def side_of(gains: int, detail: int = FULL_DETAIL, point: int = 0) -> jax.Array:
    columns = np.empty((FRAMES, BANDS + 2), np.int32)
    columns[:, :BANDS] = gains
    columns[:, BANDS:] = detail, point
    return jnp.asarray(columns)


@cache
def compiled(method: str) -> Callable[..., Any]:
    return jax.jit(getattr(normalizer(), method))


def at_point(tokens: jax.Array, point: int) -> tuple[jax.Array, jax.Array]:
    return compiled("at_point")(tokens, jnp.full(tokens.shape[:-1], point))


def test_divided_coefficients_come_back_except_in_silent_bands():
    tokens = noise()
    tokens = tokens.at[:, :4, normalizer().band_of_bin == 2].set(0.0).at[:, 8:12].set(0.0)
    for point in range(len(POINTS)):
        _, side = at_point(tokens, point)
        back = normalizer().denormalize(normalizer().divide(tokens, side), side)
        silent = (side[..., :BANDS] < SILENT_GAINS)[..., normalizer().band_of_bin]
        assert silent[:, 8:12].all()
        # Two exponentials and two products of float32.
        np.testing.assert_allclose(back, jnp.where(silent, 0.0, tokens), rtol=2e-6, atol=0.0)


def test_normalising_is_the_highest_point_in_full_detail():
    x, side = normalizer().normalize(noise())
    _, expected = at_point(noise(), 2)
    np.testing.assert_array_equal(side, expected)
    np.testing.assert_allclose(x, normalizer().divide(noise(), expected), rtol=1e-6)
    assert (normalizer().detail(side) == FULL_DETAIL).all()
    # A step of 5 dB in all directions of the transform: bands are within some dB of unit energy.
    assert 0.7 < float(jnp.sqrt(jnp.mean(x**2))) < 1.4


def test_symbols_stand_for_the_side_information_up_to_one_unit():
    for point in range(len(POINTS)):
        symbols, side = at_point(noise(), point)
        for ours, of_encoder in zip(np.asarray(symbols), np.asarray(side), strict=True):
            decoded = normalizer().side_of_symbols(ours)
            assert np.abs(decoded - of_encoder).max() <= 1
            np.testing.assert_array_equal(decoded[:, BANDS:], ours[:, BANDS:])
            assert (decoded >= 0).all()
            assert (decoded < np.asarray(normalizer().side_levels)).all()


def test_blocks_of_several_operating_points_are_decoded_each_with_its_step():
    symbols = [np.asarray(at_point(noise(), point)[0][0]) for point in (2, 0, 1)]
    together = normalizer().side_of_symbols(np.concatenate(symbols))
    np.testing.assert_array_equal(together, np.concatenate([normalizer().side_of_symbols(part) for part in symbols]))
    with pytest.raises(ValueError, match="4 frames of a block must have one operating point"):
        normalizer().side_of_symbols(np.concatenate([symbols[0][:2], symbols[1][:2]]))
    with pytest.raises(ValueError, match="6 frames are no whole number of blocks of 4"):
        normalizer().side_of_symbols(symbols[0][:6])
    assert normalizer().side_of_symbols(symbols[0][:0]).shape == (0, BANDS + 2)


def test_digits_are_the_share_of_the_points_digits_rounded():
    for point, (_, _, full) in enumerate(POINTS):
        counts = [int(normalizer().num_kept(side_of(9, detail, point))[0]) for detail in range(FULL_DETAIL + 1)]
        assert counts == [int(np.floor(full * detail / FULL_DETAIL + 0.5)) for detail in range(FULL_DETAIL + 1)]
        assert (counts[0], counts[-1]) == (0, full)
        assert sorted(counts) == counts


def test_another_detail_changes_nothing_else():
    side = side_of(30, point=1)
    changed = np.asarray(normalizer().with_detail(side, jnp.arange(FRAMES) % 9))
    assert changed[:, BANDS].tolist() == [frame % 9 for frame in range(FRAMES)]
    np.testing.assert_array_equal(np.delete(changed, BANDS, axis=1), np.delete(side, BANDS, axis=1))


@settings(deadline=None, max_examples=10)
@given(st.integers(0, 2**31 - 1))
def test_drawn_examples_have_one_point_each_and_a_detail_per_frame(seed):
    x, side = compiled("draw")(noise(batch=32), jax.random.key(seed))
    points, detail = normalizer().point(side), np.asarray(normalizer().detail(side))
    assert (points == points[:, :1]).all()
    assert set(np.unique(points)) == {0, 1, 2}  # 32 draws miss one of three points once in 140,000 batches
    assert 0 <= detail.min() <= detail.max() <= FULL_DETAIL
    uniform = (detail == detail[:, :1]).all(axis=1)
    assert 0 < uniform.sum() < 32
    assert (detail[uniform] >= FULL_DETAIL * 3 // 4).all()
    np.testing.assert_allclose(x, normalizer().divide(noise(batch=32), side), rtol=1e-6)


def test_drawn_detail_follows_loudness():
    _, side = compiled("draw")(noise(batch=32), jax.random.key(1))
    detail, loudness = np.asarray(normalizer().detail(side)), np.asarray(normalizer().loudness(side))
    for frames, loud in zip(detail, loudness, strict=True):
        assert (np.diff(frames[np.argsort(loud)]) >= 0).all()
        # Whatever is at least 2/3 as loud as loud frames has the same, from 3/4 up; below it is spent in proportion.
        deserved = np.minimum(1.5 * loud / np.quantile(loud, 0.9), 1.0)
        if (frames == frames[0]).all():
            continue
        full = frames[deserved == 1.0]
        assert (full == full[0]).all()
        assert full[0] >= 6
        assert (frames >= np.floor(0.75 * 8 * deserved - 0.5)).all()
        assert (frames <= np.ceil(1.05 * 8 * deserved + 0.5)).all()


def test_silence_is_drawn_without_detail_or_with_one_for_all():
    _, side = compiled("draw")(jnp.zeros((32, FRAMES, BINS)), jax.random.key(0))
    assert not side[..., :BANDS].any()
    detail = np.asarray(normalizer().detail(side))
    assert {0} < set(np.unique(detail)) <= {0, 6, 7, 8}


def test_the_weight_makes_errors_relative_to_the_energy_of_the_band():
    x = noise()
    weight = normalizer().relative_weight(x)
    edges = normalizer().edges
    energy = np.stack([np.mean(np.asarray(x)[..., a:b] ** 2, axis=-1) for a, b in pairwise(edges)])
    expected = np.moveaxis(np.minimum(1.0 / energy, 4.0), 0, -1)[..., normalizer().band_of_bin]
    np.testing.assert_allclose(weight, expected, rtol=1e-5)
    np.testing.assert_allclose(normalizer().relative_weight(jnp.zeros((FRAMES, BINS))), 4.0)


def test_features_are_finite_and_tell_gains_digits_and_step():
    features = []
    for gains in (0, normalizer().transform.num_gains - 1):
        for detail in (0, FULL_DETAIL):
            for point in range(len(POINTS)):
                features.append(np.asarray(normalizer().features(side_of(gains, detail, point))))
    assert {array.shape for array in features} == {(FRAMES, len(normalizer().side_levels))}
    assert np.isfinite(features).all()
    assert np.abs(features).max() < 5.0
    # At detail 0 all points have no digits, but other steps.
    assert len({array.tobytes() for array in features}) == len(features)


def test_loudness_is_none_in_silence_and_grows_with_the_level():
    levels = [float(normalizer().loudness(side_of(gains))[0]) for gains in range(0, 400, 40)]
    assert levels[0] == 0.0
    assert (np.diff(levels) > 0.0).all()
    # 10 dB are a factor of 10^0.23, as far as the floor is far.
    loud, louder = (float(normalizer().loudness(side_of(gains))[0]) for gains in (360, 400))
    assert (louder + BANDS) / (loud + BANDS) == pytest.approx(10.0**0.23, rel=1e-4)


# At the decoder's end.


def band_energy(tokens: jax.Array) -> np.ndarray:
    return np.add.reduceat(np.asarray(tokens, np.float64) ** 2, np.asarray(normalizer().edges[:-1]), axis=-1)


def test_full_restoration_gives_every_band_the_expected_energy():
    tokens = noise(1) / 0.05
    expected = tokens**2 * np.repeat(np.linspace(0.3, 7.5, BANDS), np.diff(normalizer().edges)).astype(np.float32)
    for temperature in (0.25, 0.7, 1.0, 2.0):
        restored = normalizer(energy_restoration=1.0).restore_energy(tokens, expected, jnp.float32(temperature))
        np.testing.assert_allclose(band_energy(restored), band_energy(jnp.sqrt(expected)), rtol=1e-4, atol=1e-4 * BINS)


def test_energy_is_multiplied_by_a_quarter_to_eight_at_most():
    tokens = jnp.ones((FRAMES, BINS))
    for expected, factor in ((1e-4, 0.25), (1e4, 8.0)):
        restored = normalizer(energy_restoration=1.0).restore_energy(
            tokens, jnp.full((FRAMES, BINS), expected), jnp.float32(1.0)
        )
        np.testing.assert_allclose(restored, factor**0.5, rtol=1e-5)


def test_no_restoration_and_temperature_zero_change_nothing():
    tokens, expected = noise(1) / 0.01, jnp.full((4, FRAMES, BINS), 3.0)
    for restoration, temperature in ((0.0, 1.0), (1.0, 0.0)):
        restored = normalizer(energy_restoration=restoration).restore_energy(tokens, expected, jnp.float32(temperature))
        np.testing.assert_array_equal(restored, tokens)
    half = normalizer(energy_restoration=0.5).restore_energy(tokens, 4.0 * tokens**2, jnp.float32(1.0))
    # Half of 6 dB.
    np.testing.assert_allclose(half, 2.0**0.5 * tokens, rtol=1e-4)


def test_noise_follows_the_share_of_a_band_that_is_unknown():
    shares = np.linspace(0.05, 1.0, BANDS).astype(np.float32)
    expected = jnp.asarray(np.random.default_rng(1).uniform(0.5, 2.0, (FRAMES, BINS)), jnp.float32)
    variance = jnp.asarray(shares)[normalizer().band_of_bin] * expected
    ones = jnp.ones_like(expected)
    for exponent in (0.5, 1.0):
        factor = np.asarray(normalizer(uncertainty_exponent=exponent).scale_noise(ones, variance, expected))
        wanted = np.broadcast_to(shares[normalizer().band_of_bin] ** exponent, factor.shape)
        np.testing.assert_allclose(factor, wanted, rtol=1e-4)
    nothing_known = normalizer(uncertainty_exponent=1.0).scale_noise(ones, expected, expected)
    np.testing.assert_allclose(nothing_known, 1.0, rtol=1e-6)
    np.testing.assert_array_equal(normalizer(uncertainty_exponent=0.0).scale_noise(ones, variance, expected), 1.0)


def test_the_fitted_basis_orders_the_variance_and_does_not_depend_on_the_cut():
    config = normalizer().config
    heights = np.asarray(normalizer().heights_db(noise()), np.float64).reshape(-1, BANDS)
    basis = np.asarray(normalizer().basis).reshape(BANDS, BANDS)
    variances = np.var(heights @ basis, axis=0)
    assert (np.diff(variances) <= 1e-9).all()
    assert (basis.sum(axis=0) >= 0.0).all()
    off_diagonal = np.cov((heights @ basis).T) - np.diag(np.diag(np.cov((heights @ basis).T)))
    np.testing.assert_allclose(off_diagonal, 0.0, atol=1e-9 * variances.max())
    in_two = fit_band_basis([noise()[:1], noise()[1:]], config, BINS, RATE)
    np.testing.assert_allclose(in_two, normalizer().basis, atol=1e-9)


def test_the_state_is_the_basis():
    state = normalizer().state()
    assert state == {"basis": list(normalizer().basis)}
    with pytest.raises(ValueError, match="not orthonormal"):
        BlockGainShapeNormalizer(normalizer().config, DecodingConfig(), BINS, RATE, (0.5, *normalizer().basis[1:]))


def test_gains_reach_from_the_floor_to_louder_than_full_scale():
    top = normalizer().transform.num_gains - 1
    x = normalizer().denormalize(jnp.ones((FRAMES, BINS)), side_of(top))
    np.testing.assert_allclose(20.0 * np.log10(x), normalizer().config.floor_db + top * GAIN_UNIT_DB, atol=1e-3)
    assert normalizer().config.floor_db + top * GAIN_UNIT_DB == 30.0
