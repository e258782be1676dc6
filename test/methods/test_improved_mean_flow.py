"""The improved mean flow against the Gaussian flow known in closed form: identity, derivative, loss and times."""

from collections.abc import Iterator

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from fixtures.gaussian_mean_flow import SCALE, oracle, plain
from flax import nnx
from scipy.special import logit, ndtr
from scipy.stats import kstest

from meanflow_audio_codec.configs.methods import TimeConfig
from meanflow_audio_codec.configs.networks import ConvNeXtConfig, VelocityNetConfig
from meanflow_audio_codec.datasets.synthetic import instantaneous_velocity, mean_velocity
from meanflow_audio_codec.models.conditioning import Conditioning
from meanflow_audio_codec.models.methods.mean_velocity import mean_velocity_and_derivative
from meanflow_audio_codec.models.methods.times import num_equal, sample_times
from meanflow_audio_codec.models.velocity import Velocity, VelocityNet
from meanflow_audio_codec.preprocessing.specs import TokenSpec


@pytest.fixture(autouse=True)
def _float64() -> Iterator[None]:
    """Identities then hold to rounding errors that no mistake could hide in."""
    with jax.enable_x64(True):
        yield


def times_and_tokens(size: int = 32) -> tuple[jax.Array, jax.Array, jax.Array]:
    """z, r and t, with r = t, r = 0 and t = 1 among them."""
    random = np.random.default_rng(3)
    r, t = np.sort(random.uniform(size=(2, size)), axis=0)
    r[:8], r[8:10], t[9:11] = t[:8], 0.0, 1.0
    return jnp.asarray(random.standard_normal((size, 3, 2))), jnp.asarray(r), jnp.asarray(t)


# The identity and the derivative.


def test_the_compound_velocity_of_the_true_flow_is_the_true_velocity() -> None:
    """V = u + (t - r) du/dt = v (iMF, equation 6) for the closed-form pair (u, v), at r = t, r = 0 and t = 1 too."""
    z, r, t = times_and_tokens()

    @jax.jit
    def compound(tangent: jax.Array) -> tuple[jax.Array, jax.Array]:
        u, du_dt, head = mean_velocity_and_derivative(oracle, z, r, t, tangent, Conditioning())
        assert head is None
        return u, u + (t - r)[:, None, None] * du_dt

    v = instantaneous_velocity(z, t, SCALE)
    u, of_true_tangent = compound(v)
    np.testing.assert_allclose(of_true_tangent, v, rtol=0, atol=1e-13)
    # The identity is not empty: without the derivative, or along another tangent, it is far off.
    assert np.abs(u - v).max() > 0.1
    assert np.abs(compound(jnp.zeros_like(v))[1] - v).max() > 0.1


@pytest.fixture(scope="module")
def network() -> VelocityNet:
    """A real decoder network with every parameter random, in float64."""
    config = VelocityNetConfig(
        architecture=ConvNeXtConfig(width=8, num_blocks=1, kernel_size=3),
        velocity_head=True,
        num_time_frequencies=4,
        condition_width=8,
    )
    skeleton = nnx.eval_shape(
        lambda: VelocityNet(config, TokenSpec((3,), 2), 0, use_guidance=False, rngs=nnx.Rngs(params=jax.random.key(0)))
    )
    random = np.random.default_rng(1)
    with jax.enable_x64(True):
        return jax.tree.map(lambda leaf: jnp.asarray(0.3 * random.standard_normal(leaf.shape)), skeleton)


@pytest.mark.parametrize("which", ["oracle", "network"])
def test_the_derivative_equals_central_differences(which: str, network: VelocityNet) -> None:
    """du/dt = [u(z + h w, r, t + h) - u(z - h w, r, t - h)] / 2h for any tangent w."""
    net = oracle if which == "oracle" else network
    z, r, t = times_and_tokens()
    tangent = jnp.cos(5.0 * z)
    step = 1e-5

    @jax.jit
    def values() -> tuple[tuple[jax.Array, jax.Array, jax.Array | None], Velocity]:
        """By the product with the Jacobian, and at the three shifts -h, 0, h."""
        shifted = jax.lax.map(
            lambda shift: net(z + shift * tangent, r, t + shift, Conditioning()), jnp.array([-step, 0.0, step])
        )
        return mean_velocity_and_derivative(net, z, r, t, tangent, Conditioning()), shifted

    (u, du_dt, head), shifted = values()
    np.testing.assert_allclose(du_dt, (shifted.mean[2] - shifted.mean[0]) / (2 * step), rtol=1e-7, atol=1e-7)
    np.testing.assert_allclose(u, shifted.mean[1], rtol=1e-12)
    if which == "network":
        assert head is not None
        assert shifted.instantaneous is not None
        np.testing.assert_allclose(head, shifted.instantaneous[1], rtol=1e-12)


# The loss on the true flow.


def expected_minimum(config: TimeConfig, scale: float) -> float:
    """E over t of Var(e - x | z_t) = s^2 / sigma(t)^2, the part of e - x that z_t does not determine.

    For jointly Gaussian e - x and z_t the conditional variance is (1 + s^2) - (t - (1 - t) s^2)^2 / sigma(t)^2, which
    simplifies to s^2 / sigma(t)^2. The logit of t is the larger of two normal draws, of density 2 phi Phi / deviation.
    """
    normal = np.linspace(-9.0, 9.0, 20_001)
    density = 2.0 * np.exp(-0.5 * normal**2) / np.sqrt(2.0 * np.pi) * ndtr(normal)
    t = 1.0 / (1.0 + np.exp(-(config.mean + config.standard_deviation * normal)))
    marginal_variance = (1.0 - t) ** 2 * scale**2 + t**2
    variance = (1.0 + scale**2) - (t - (1.0 - t) * scale**2) ** 2 / marginal_variance
    np.testing.assert_allclose(variance, scale**2 / marginal_variance, rtol=1e-9)
    return float(np.trapezoid(density * variance, normal))


class Losses:
    """The loss of a wrong flow on fresh data, once per key; the same draws whatever is wrong."""

    def __init__(self, equal_share: float):
        method = plain(equal_share)

        def loss(key: jax.Array, shift: jax.Array, stretch: jax.Array, blend: jax.Array) -> jax.Array:
            def net(z: jax.Array, r: jax.Array, t: jax.Array, conditioning: Conditioning) -> Velocity:
                # blend = 1 replaces the mean over [r, t] by the velocity at t.
                u = mean_velocity(z, r + blend * (t - r), t, SCALE)
                return Velocity(mean=stretch * u + shift, instantaneous=None)

            data_key, loss_key = jax.random.split(key)
            x = SCALE * jax.random.normal(data_key, (256, 4, 4))
            return method.loss(net, x, Conditioning(), jnp.ones_like(x), loss_key)[0]

        self._loss = jax.jit(
            lambda shift, stretch, blend: jax.lax.map(
                lambda key: loss(key, shift, stretch, blend), jax.random.split(jax.random.key(11), 64)
            )
        )

    def __call__(self, *, shift: float = 0.0, stretch: float = 1.0, blend: float = 0.0) -> np.ndarray:
        return np.asarray(self._loss(shift, stretch, blend))


@pytest.mark.parametrize("equal_share", [0.0, 0.5, 1.0])
def test_the_loss_of_the_true_flow_is_the_conditional_variance(equal_share: float) -> None:
    """And every wrong flow has a larger one."""
    losses = Losses(equal_share)
    values = losses()
    error = values.std(ddof=1) / np.sqrt(len(values))
    minimum = expected_minimum(TimeConfig(), SCALE)
    assert error < 0.01 * minimum
    assert abs(values.mean() - minimum) < 4 * error
    for wrong in ({"shift": 0.1}, {"stretch": 1.1}, {"blend": 1.0}):
        excess = losses(**wrong) - values
        if equal_share == 1.0 and "blend" in wrong:
            np.testing.assert_allclose(excess, 0.0, atol=1e-12)  # without intervals there is nothing to blend
        else:
            assert excess.mean() > 4 * excess.std(ddof=1) / np.sqrt(len(excess)), wrong


def test_white_tokens_of_unit_variance_have_the_loss_that_the_guide_states() -> None:
    assert expected_minimum(TimeConfig(), 1.0) == pytest.approx(1.79, abs=0.005)


# Times.


@pytest.mark.parametrize(("share", "count"), [(0.0, 0), (0.25, 1000), (1.0, 4000)])
def test_times_are_two_sorted_logit_normal_draws(share: float, count: int) -> None:
    config = TimeConfig(mean=-0.4, standard_deviation=1.3, equal_share=share)
    r, t = (np.asarray(value) for value in sample_times(config, 4000, jax.random.key(0)))
    assert num_equal(config, 4000) == count
    np.testing.assert_array_equal(r[:count], t[:count])
    assert (r[count:] < t[count:]).all()
    assert r.min() > 0.0
    assert t.max() < 1.0

    def larger_of_two(value: np.ndarray) -> np.ndarray:
        return ndtr((logit(value) + 0.4) / 1.3) ** 2

    def smaller_of_two(value: np.ndarray) -> np.ndarray:
        return 1.0 - (1.0 - ndtr((logit(value) + 0.4) / 1.3)) ** 2

    assert kstest(t, larger_of_two).pvalue > 1e-3
    if count < 4000:
        assert kstest(r[count:], smaller_of_two).pvalue > 1e-3
