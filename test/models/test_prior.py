"""The Gaussian prediction of the tokens: what its two losses move, and by how much."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from meanflow_audio_codec.models.prior import Prediction

RANDOM = np.random.default_rng(0)
SHAPE = (2, 3, 4)
X, MEAN, LOG_SCALE = (jnp.asarray(RANDOM.standard_normal(SHAPE), jnp.float32) for _ in range(3))
WEIGHT = jnp.asarray(RANDOM.uniform(0.5, 2.0, SHAPE), jnp.float32)


def prediction(mean: jax.Array = MEAN, log_scale: jax.Array = LOG_SCALE) -> Prediction:
    return Prediction(jnp.zeros((2, 3, 5)), mean, log_scale)


def test_the_scale_loss_is_the_likelihood_of_the_scale() -> None:
    """-log N(x; mean, scale^2) without its constant, each value by its weight."""
    scale = np.exp(np.asarray(LOG_SCALE, np.float64))
    density = np.exp(-0.5 * ((np.asarray(X) - np.asarray(MEAN)) / scale) ** 2) / scale
    expected = -np.mean(np.asarray(WEIGHT) * np.log(density))
    assert float(prediction().scale_loss(X, WEIGHT)) == pytest.approx(expected, rel=1e-5)


def test_the_scale_loss_leaves_the_mean_alone_and_is_lowest_at_the_error() -> None:
    of_mean = jax.grad(lambda mean: prediction(mean).scale_loss(X, WEIGHT))(MEAN)
    np.testing.assert_array_equal(of_mean, 0.0)
    at_error = jax.grad(lambda log_scale: prediction(log_scale=log_scale).scale_loss(X, WEIGHT))
    np.testing.assert_allclose(at_error(jnp.log(jnp.abs(X - MEAN))), 0.0, atol=1e-6)


def test_the_squared_error_moves_the_mean_by_its_weight_and_nothing_else() -> None:
    of_mean, of_scale = jax.grad(lambda *values: prediction(*values).squared_error(X, WEIGHT), argnums=(0, 1))(
        MEAN, LOG_SCALE
    )
    np.testing.assert_allclose(of_mean, 2.0 * WEIGHT * (MEAN - X) / X.size, rtol=1e-5)
    np.testing.assert_array_equal(of_scale, 0.0)


def test_what_is_standardised_is_restored_and_its_mean_square_is_the_stated_one() -> None:
    np.testing.assert_allclose(prediction().restore(prediction().standardize(X)), X, rtol=1e-5, atol=1e-5)
    many = jnp.asarray(RANDOM.standard_normal((20_000, *SHAPE)), jnp.float32)
    drawn = jax.vmap(prediction().restore)(many)
    # The variance of (m + s e)^2 is 2 s^4 + 4 m^2 s^2: five standard errors of its mean.
    mean, variance = np.asarray(MEAN), np.asarray(prediction().variance)
    tolerance = 5.0 * np.sqrt(2.0 * variance**2 + 4.0 * mean**2 * variance)
    difference = np.asarray((drawn**2).mean(axis=0) - prediction().mean_square)
    assert (np.abs(difference) <= tolerance / np.sqrt(len(many))).all()
