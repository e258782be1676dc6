"""The closed form that a network of patches starts from."""

import jax
import jax.numpy as jnp
import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from meanflow_audio_codec.models.gaussian_velocity import beyond_gaussian, gaussian_scale, gaussian_velocity_gain

TIMES = st.floats(0.0, 1.0, width=32)


@settings(deadline=None, max_examples=50)
@given(TIMES, TIMES)
def test_is_the_mean_velocity_of_unit_gaussian_data(first, second):
    """z_r = z_t sigma(r) / sigma(t) along a path, so u = z_t (1 - sigma(r) / sigma(t)) / (t - r)."""
    r, t = min(first, second), max(first, second)

    def sigma(time):
        return np.sqrt((1.0 - time) ** 2 + time**2)

    gain = float(gaussian_velocity_gain(jnp.array([r]), jnp.array([t]))[0])
    # Multiplied out: the closed form divides by t - r, which may be zero.
    assert abs(gain * (t - r) - (1.0 - sigma(r) / sigma(t))) < 1e-6


@settings(deadline=None, max_examples=25)
@given(TIMES)
def test_at_equal_times_it_is_the_instantaneous_velocity(t):
    """d log sigma / dt = (2 t - 1) / sigma^2."""
    time = jnp.array([t])
    expected = jax.grad(lambda time: jnp.log(gaussian_scale(time)).sum())(time)
    assert abs(float(gaussian_velocity_gain(time, time)[0]) - float(expected[0])) < 1e-5


def test_one_step_of_a_network_that_is_zero_leaves_noise_as_it_is():
    z = jax.random.normal(jax.random.key(0), (2, 3, 4))
    u = beyond_gaussian(jnp.zeros_like(z), z, jnp.zeros(2), jnp.ones(2))
    assert np.array_equal(z - u, z)


def test_the_mean_flow_identity_holds():
    """u = v - (t - r) du/dt (arXiv 2505.13447, equation 6) for Gaussian data."""
    z = jax.random.normal(jax.random.key(0), (5, 2, 3))
    r, t = jnp.linspace(0.0, 0.6, 5), jnp.linspace(0.4, 1.0, 5)

    def u(z, r, t):
        return beyond_gaussian(jnp.zeros_like(z), z, r, t)

    v = u(z, t, t)
    _, derivative = jax.jvp(u, (z, r, t), (v, jnp.zeros_like(r), jnp.ones_like(t)))
    assert np.allclose(u(z, r, t), v - (t - r)[:, None, None] * derivative, atol=1e-5)
