"""The loss of the improved mean flow against its equations written out by hand: value, gradient and weights."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from fixtures.gaussian_mean_flow import SCALE, oracle, plain
from scipy.stats import kstest

from meanflow_audio_codec.datasets.synthetic import instantaneous_velocity, marginal_scale, mean_velocity
from meanflow_audio_codec.models.conditioning import Conditioning
from meanflow_audio_codec.models.methods.base import adaptive_weight
from meanflow_audio_codec.models.methods.improved_mean_flow import ImprovedMeanFlow
from meanflow_audio_codec.models.velocity import Velocity

Parameters = jax.Array | np.ndarray


@pytest.fixture(autouse=True)
def _float64() -> Iterator[None]:
    """Identities then hold to rounding errors that no mistake could hide in."""
    with jax.enable_x64(True):
        yield


@dataclass(frozen=True)
class Draws:
    """What the loss drew: z, r and t seen by the network, and the noise e solved from z = (1 - t) x + t e."""

    z: jax.Array
    r: jax.Array
    t: jax.Array
    e: jax.Array


def observed_draws(x: jax.Array, key: jax.Array) -> Draws:
    """Watch the loss with no example at r = t; other shares of equal times change only r."""
    seen: list[tuple[np.ndarray, ...]] = []

    def watch(z: jax.Array, r: jax.Array, t: jax.Array, conditioning: Conditioning) -> Velocity:
        jax.debug.callback(lambda *values: seen.append(tuple(np.asarray(value) for value in values)), z, r, t)
        return Velocity(mean=z, instantaneous=None)

    jax.jit(lambda: plain(0.0).loss(watch, x, Conditioning(), jnp.ones_like(x), key))()
    jax.effects_barrier()
    z, r, t = next((z, r, t) for z, r, t in seen if len(r) == len(x) and (r < t).all())
    e = (z - (1.0 - t)[:, None, None] * x) / t[:, None, None]
    return Draws(jnp.asarray(z), jnp.asarray(r), jnp.asarray(t), jnp.asarray(e))


def small_network(parameters: Parameters, *, head: bool) -> Callable[..., Velocity]:
    """u = a z + b t z + c (t - r) z^2, and the head v = d z cos t + b (t - r): non-linear in z, r and t."""

    def net(z: jax.Array, r: jax.Array, t: jax.Array, conditioning: Conditioning) -> Velocity:
        a, b, c, d = parameters
        r, t = r[:, None, None], t[:, None, None]
        return Velocity(a * z + b * t * z + c * (t - r) * z**2, d * z * jnp.cos(t) + b * (t - r) if head else None)

    return net


PARAMETERS = np.array([0.7, -0.4, 0.9, 1.3])
X = 0.8 * np.random.default_rng(0).standard_normal((6, 2, 3)) + 0.2
WEIGHT = np.random.default_rng(1).uniform(0.2, 1.8, X.shape)
KEY = 7


@dataclass(frozen=True)
class ByHand:
    """Errors of V and of the head per example, and their gradients (6 x 4), worked out on paper for `small_network`."""

    error: np.ndarray
    head_error: np.ndarray
    error_slope: np.ndarray
    head_slope: np.ndarray


def by_hand(
    draws: Draws,
    *,
    equal_share: float,
    head: bool,
    constants: np.ndarray = PARAMETERS,
    parameters: np.ndarray = PARAMETERS,
) -> ByHand:
    """Equations 12 and 13 of iMF, with the derivative taken for every example, also those at r = t.

    Tangent and du/dt are made of `constants`; the gradient with respect to `parameters` does not see them.
    """
    equal = np.arange(len(X)) < round(equal_share * len(X))
    z, t = np.asarray(draws.z), np.asarray(draws.t)[:, None, None]
    r = np.where(equal, draws.t, draws.r)[:, None, None]
    target = np.asarray(draws.e) - X
    a, b, c, d = constants
    tangent = d * z * np.cos(t) if head else a * z + b * t * z
    du_dt = (a + b * t + 2.0 * c * (t - r) * z) * tangent + b * z + c * z**2
    u_slope = np.stack([z, t * z, (t - r) * z**2, np.zeros_like(z)])
    head_slope = np.stack([np.zeros_like(z), (t - r) * np.ones_like(z), np.zeros_like(z), z * np.cos(t)])
    residual = np.tensordot(parameters, u_slope, 1) + (t - r) * du_dt - target
    head_residual = np.tensordot(parameters, head_slope, 1) - target
    return ByHand(
        error=(WEIGHT * residual**2).mean((1, 2)),
        head_error=(WEIGHT * head_residual**2).mean((1, 2)) if head else np.zeros(len(X)),
        error_slope=(2.0 * WEIGHT * residual * u_slope).mean((2, 3)).T,
        head_slope=(2.0 * WEIGHT * head_residual * head_slope).mean((2, 3)).T * head,
    )


def loss_and_metrics(method: ImprovedMeanFlow, net: Callable[..., Velocity]) -> tuple[float, dict[str, float]]:
    """On X, with weight 1 for every value."""
    loss, metrics = jax.jit(
        lambda: method.loss(net, jnp.asarray(X), Conditioning(), jnp.ones(X.shape), jax.random.key(KEY))
    )()
    return float(loss), {name: float(value) for name, value in metrics.items()}


def loss_and_gradient(method: ImprovedMeanFlow, *, head: bool) -> tuple[float, np.ndarray]:
    def loss(parameters: jax.Array) -> jax.Array:
        net = small_network(parameters, head=head)
        return method.loss(net, jnp.asarray(X), Conditioning(), jnp.asarray(WEIGHT), jax.random.key(KEY))[0]

    value, gradient = jax.jit(jax.value_and_grad(loss))(jnp.asarray(PARAMETERS))
    return float(value), np.asarray(gradient)


@pytest.fixture(scope="module")
def draws() -> Draws:
    with jax.enable_x64(True):
        return observed_draws(jnp.asarray(X), jax.random.key(KEY))


# The equations.


def test_the_draws_are_a_straight_line_to_unit_noise(draws: Draws) -> None:
    """z has the spread sigma(t) that the closed form assumes, and e is normal."""
    many = observed_draws(SCALE * jax.random.normal(jax.random.key(4), (500, 2, 3)), jax.random.key(8))
    assert kstest(np.ravel(many.e), "norm").pvalue > 1e-3
    assert kstest(np.ravel(many.z / marginal_scale(many.t, SCALE)[:, None, None]), "norm").pvalue > 1e-3
    assert (draws.r < draws.t).all()


@pytest.mark.parametrize(("equal_share", "head"), [(0.0, False), (0.5, False), (0.5, True), (1.0, True)])
def test_value_and_gradient_are_those_of_the_equations(equal_share: float, head: bool, draws: Draws) -> None:
    """No gradient runs through tangent or derivative; at r = t the derivative has no weight and may be left out."""
    value, gradient = loss_and_gradient(plain(equal_share), head=head)
    expected = by_hand(draws, equal_share=equal_share, head=head)
    assert value == pytest.approx((expected.error + expected.head_error).mean(), rel=1e-11)
    np.testing.assert_allclose(gradient, (expected.error_slope + expected.head_slope).mean(0), rtol=1e-10, atol=1e-13)


def test_a_gradient_through_tangent_or_derivative_would_be_seen(draws: Draws) -> None:
    """Central differences of the loss with the constants moved along: what a forgotten stop would give."""
    _, gradient = loss_and_gradient(plain(0.5), head=False)
    moved = []
    for direction in np.eye(4):
        sides = [PARAMETERS + sign * 1e-6 * direction for sign in (1.0, -1.0)]
        up, down = (
            by_hand(draws, equal_share=0.5, head=False, constants=side, parameters=side).error.mean() for side in sides
        )
        moved.append((up - down) / 2e-6)
    assert (np.abs(np.array(moved) - gradient)[:3] > 1e-3).all()


def test_at_equal_times_the_loss_is_flow_matching(draws: Draws) -> None:
    """equal_share = 1: mean of (u(z, t, t) - (e - x))^2, which is also what the log says."""
    loss, metrics = loss_and_metrics(plain(1.0), oracle)
    v = instantaneous_velocity(draws.z, draws.t, SCALE)
    flow_matching = float(((v - (draws.e - X)) ** 2).mean())
    assert loss == pytest.approx(flow_matching, rel=1e-11)
    for name in ("unweighted_loss", "velocity_loss", "velocity_loss_at_equal_times"):
        assert metrics[name] == pytest.approx(flow_matching, rel=1e-11)


def test_the_head_supplies_the_tangent() -> None:
    """With the true v as head, a wrong u(z, t, t) does no harm: the tangent does not come from it."""

    def with_head(z: jax.Array, r: jax.Array, t: jax.Array, conditioning: Conditioning) -> Velocity:
        u = mean_velocity(z, r, t, SCALE) + jnp.where(r == t, 1.0, 0.0)[:, None, None]
        return Velocity(mean=u, instantaneous=instantaneous_velocity(z, t, SCALE))

    without, of_all = loss_and_metrics(plain(0.0), oracle)
    assert of_all["unweighted_loss"] == of_all["velocity_loss"]  # no example has r = t
    loss, metrics = loss_and_metrics(plain(0.0), with_head)
    assert metrics["velocity_loss"] == pytest.approx(without, rel=1e-12)
    # Both are the true flow's, so both errors are e - x less the same v.
    assert metrics["velocity_head_loss"] == pytest.approx(without, rel=1e-12)
    assert loss == pytest.approx(2.0 * without, rel=1e-12)


# Adaptive weight and keys.


def test_the_adaptive_weight_scales_the_gradient_and_is_not_differentiated(draws: Draws) -> None:
    """Each example's error, and apart from it that of the head, by (error + epsilon)^-power."""
    value, gradient = loss_and_gradient(plain(0.5, power=0.75), head=True)
    expected = by_hand(draws, equal_share=0.5, head=True)
    weight, head_weight = ((error + 1e-3) ** -0.75 for error in (expected.error, expected.head_error))
    assert value == pytest.approx((weight * expected.error + head_weight * expected.head_error).mean(), rel=1e-10)
    slopes = weight[:, None] * expected.error_slope + head_weight[:, None] * expected.head_slope
    np.testing.assert_allclose(gradient, slopes.mean(0), rtol=1e-9)


def test_power_one_makes_the_gradient_independent_of_the_error() -> None:
    errors = jnp.array([0.5, 5.0, 500.0])
    slope = jax.grad(lambda scale: adaptive_weight(scale * errors, 1.0, 1e-9).sum())(1.0)
    assert float(slope) == pytest.approx(3.0, rel=1e-6)
    np.testing.assert_array_equal(adaptive_weight(errors, 0.0, 1e-3), errors)


def test_the_logged_figures_are_not_adaptively_weighted() -> None:
    loss, _ = loss_and_metrics(plain(0.5, 0.0), oracle)
    weighted, metrics = loss_and_metrics(plain(0.5, 1.0), oracle)
    assert metrics["velocity_loss"] == pytest.approx(loss, rel=1e-12)
    assert metrics["unweighted_loss"] == metrics["velocity_loss_at_equal_times"] != metrics["velocity_loss"]
    assert abs(weighted - loss) > 1e-2


def test_the_loss_is_a_function_of_the_key() -> None:
    x = jnp.asarray(X)
    loss = jax.jit(lambda key: plain().loss(oracle, x, Conditioning(), jnp.ones_like(x), key)[0])
    values = [float(loss(jax.random.key(seed))) for seed in (1, 1, 2)]
    assert values[0] == values[1] != values[2]
