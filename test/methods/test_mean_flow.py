"""The mean flow against the Gaussian flow known in closed form, flow matching and improved mean flow."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from meanflow_audio_codec.configs.methods import (
    FixedGuidanceConfig,
    FlowMatchingConfig,
    ImprovedMeanFlowConfig,
    MeanFlowConfig,
    TimeConfig,
)
from meanflow_audio_codec.datasets.synthetic import instantaneous_velocity, mean_velocity
from meanflow_audio_codec.models.conditioning import Conditioning
from meanflow_audio_codec.models.methods import flow_matching, times
from meanflow_audio_codec.models.methods.base import Method
from meanflow_audio_codec.models.methods.flow_matching import FlowMatching
from meanflow_audio_codec.models.methods.improved_mean_flow import ImprovedMeanFlow
from meanflow_audio_codec.models.methods.mean_flow import MeanFlow
from meanflow_audio_codec.models.methods.mean_velocity import mean_velocity_and_correction
from meanflow_audio_codec.models.methods.sampling import sample
from meanflow_audio_codec.models.velocity import Velocity

SCALE = 0.5
PARAMETERS = np.array([0.7, -0.4, 0.9])
X = 0.8 * np.random.default_rng(0).standard_normal((6, 2, 3)) + 0.2
WEIGHT = np.random.default_rng(1).uniform(0.2, 1.8, X.shape)


@pytest.fixture(autouse=True)
def _float64() -> Iterator[None]:
    """Identities then hold to rounding errors that no mistake could hide in."""
    with jax.enable_x64(True):
        yield


def oracle(z: jax.Array, r: jax.Array, t: jax.Array, conditioning: Conditioning) -> Velocity:
    """The true mean velocity for x ~ N(0, SCALE^2)."""
    return Velocity(mean_velocity(z, r, t, SCALE), None)


def plain(equal_share: float = 0.5, **settings: Any) -> MeanFlow:
    settings = {"adaptive_weight_power": 0.0} | settings
    return MeanFlow(MeanFlowConfig(time=TimeConfig(equal_share=equal_share), **settings))


def mean_of(parameters: Any, z: jax.Array, r: jax.Array, t: jax.Array) -> jax.Array:
    """u = a z + b t sin z + c (t - r) z^2: non-linear in z, r and t."""
    a, b, c = parameters
    r, t = r[:, None, None], t[:, None, None]
    return a * z + b * t * jnp.sin(z) + c * (t - r) * z**2


def loss_and_gradient(method: Method, *, head: bool = False) -> tuple[float, np.ndarray]:
    """Of the network above; with the velocity (z - x) / t = e - x of the very line as its auxiliary head on demand."""

    def loss(parameters: jax.Array) -> jax.Array:
        def net(z: jax.Array, r: jax.Array, t: jax.Array, conditioning: Conditioning) -> Velocity:
            assert conditioning.local is not None
            line = (z - conditioning.local) / t[:, None, None]
            return Velocity(mean_of(parameters, z, r, t), line if head else None)

        x = jnp.asarray(X)
        return method.loss(net, x, Conditioning(local=x), jnp.asarray(WEIGHT), jax.random.key(7))[0]

    value, gradient = jax.jit(jax.value_and_grad(loss))(jnp.asarray(PARAMETERS))
    return float(value), np.asarray(gradient)


# The identity.


def test_the_true_flow_fulfils_the_mean_flow_identity() -> None:
    """u = v - (t - r) du/dt for the closed-form pair (u, v), at r = t, r = 0 and t = 1 too."""
    random = np.random.default_rng(3)
    r, t = np.sort(random.uniform(size=(2, 32)), axis=0)
    r[:8], r[8:10], t[9:11] = t[:8], 0.0, 1.0
    z, r, t = jnp.asarray(random.standard_normal((32, 3, 2))), jnp.asarray(r), jnp.asarray(t)
    v = instantaneous_velocity(z, t, SCALE)
    for front in (0, 8):
        u, correction, head = jax.jit(
            lambda tangent: mean_velocity_and_correction(oracle, z, r, t, tangent, Conditioning())
        )(v[front:])
        assert head is None
        np.testing.assert_allclose(u, v - correction, rtol=0, atol=1e-13)
        np.testing.assert_array_equal(correction[:8], 0.0)
    assert np.abs(u - v).max() > 0.1


@pytest.mark.parametrize("num_steps", [1, 3])
def test_one_step_maps_noise_to_data_exactly(num_steps: int) -> None:
    noise = jax.random.normal(jax.random.key(0), (50, 4, 5))
    x = sample(plain(), oracle, noise, Conditioning(), num_steps=num_steps)
    np.testing.assert_allclose(x, SCALE * noise, rtol=1e-12)


# The loss on the true flow.


def losses_and_slopes(method: MeanFlow, blend: float = 0.0) -> tuple[np.ndarray, np.ndarray]:
    """Of the true flow, bent in two directions by zero: loss and gradient, once per key.

    With blend = 1 the network gives the velocity at t for the mean over [r, t].
    """

    def one(key: jax.Array) -> tuple[jax.Array, jax.Array]:
        data_key, loss_key = jax.random.split(key)
        x = SCALE * jax.random.normal(data_key, (256, 4, 4))

        def loss(bend: jax.Array) -> jax.Array:
            def net(z: jax.Array, r: jax.Array, t: jax.Array, conditioning: Conditioning) -> Velocity:
                u = mean_velocity(z, r + blend * (t - r), t, SCALE)
                return Velocity(u + bend[0] * z + (bend[1] * (t - r))[:, None, None] * z, None)

            return method.loss(net, x, Conditioning(), jnp.ones_like(x), loss_key)[0]

        return jax.value_and_grad(loss)(jnp.zeros(2))

    losses, slopes = jax.jit(lambda keys: jax.lax.map(one, keys))(jax.random.split(jax.random.key(11), 64))
    return np.asarray(losses), np.asarray(slopes)


def expected_minimum(equal_share: float) -> float:
    """E over (r, t) of s^2 sigma(r)^2 / sigma(t)^4.

    u - u_tgt = (1 - (t - r) d_z u)(v - (e - x)), whose first factor is sigma(r) / sigma(t), and whose second has the
    variance s^2 / sigma(t)^2.
    """
    draws = 1.0 / (1.0 + np.exp(0.4 - np.random.default_rng(0).standard_normal((2, 1_000_000))))
    (r, t), s = np.sort(draws, axis=0), SCALE
    at_r, at_t = ((1.0 - time) ** 2 * s**2 + time**2 for time in (r, t))
    return float(equal_share * np.mean(s**2 / at_t) + (1.0 - equal_share) * np.mean(s**2 * at_r / at_t**2))


@pytest.mark.parametrize("equal_share", [0.0, 0.75])
def test_the_loss_of_the_true_flow_is_known_and_its_gradient_is_zero(equal_share: float) -> None:
    losses, slopes = losses_and_slopes(plain(equal_share))
    minimum = expected_minimum(equal_share)
    error = losses.std(ddof=1) / np.sqrt(len(losses))
    assert error < 0.01 * minimum
    assert abs(losses.mean() - minimum) < 4 * error
    assert t_statistics(slopes).max() < 4.0
    assert t_statistics(losses_and_slopes(plain(equal_share), blend=1.0)[1]).max() > 10.0


def t_statistics(slopes: np.ndarray) -> np.ndarray:
    return np.abs(slopes.mean(axis=0)) / (slopes.std(axis=0, ddof=1) / np.sqrt(len(slopes)))


# The loss against its equations.


@dataclass(frozen=True)
class Draws:
    """z, r and t that the loss asks the network at with no example at r = t."""

    z: jax.Array
    r: jax.Array
    t: jax.Array


@pytest.fixture(scope="module")
def draws() -> Draws:
    seen: list[tuple[np.ndarray, ...]] = []

    def watch(z: jax.Array, r: jax.Array, t: jax.Array, conditioning: Conditioning) -> Velocity:
        jax.debug.callback(lambda *values: seen.append(tuple(np.asarray(value) for value in values)), z, r, t)
        return Velocity(z, None)

    with jax.enable_x64(True):
        x = jnp.asarray(X)
        jax.jit(lambda: plain(0.0).loss(watch, x, Conditioning(), jnp.ones_like(x), jax.random.key(7)))()
        jax.effects_barrier()
        z, r, t = next(values for values in seen if len(values[1]) == len(X))
        assert (r < t).all()
        return Draws(jnp.asarray(z), jnp.asarray(r), jnp.asarray(t))


def residual(draws: Draws, equal_share: float, parameters: np.ndarray, frozen: np.ndarray) -> jax.Array:
    """u - u_tgt, with the derivative of the target by central differences of the `frozen` network along (v, 0, 1)."""
    equal = np.arange(len(X)) < round(equal_share * len(X))
    z, r, t = draws.z, jnp.where(equal, draws.t, draws.r), draws.t
    v = (z - X) / t[:, None, None]
    step = 1e-5
    later = mean_of(frozen, z + step * v, r, t + step)
    earlier = mean_of(frozen, z - step * v, r, t - step)
    target = v - (t - r)[:, None, None] * (later - earlier) / (2 * step)
    return mean_of(parameters, z, r, t) - target


@pytest.mark.parametrize("equal_share", [0.0, 0.5, 1.0])
def test_the_target_is_the_velocity_less_the_derivative_and_has_no_gradient(equal_share: float, draws: Draws) -> None:
    def by_hand(parameters: np.ndarray) -> float:
        return float((WEIGHT * residual(draws, equal_share, parameters, PARAMETERS) ** 2).mean())

    value, gradient = loss_and_gradient(plain(equal_share))
    assert value == pytest.approx(by_hand(PARAMETERS), rel=1e-8)
    step = 1e-5
    slopes = [(by_hand(PARAMETERS + d) - by_hand(PARAMETERS - d)) / (2 * step) for d in step * np.eye(3)]
    np.testing.assert_allclose(gradient, slopes, rtol=1e-6, atol=1e-9)


def test_a_gradient_through_the_target_would_be_seen(draws: Draws) -> None:
    def moved(parameters: np.ndarray) -> float:
        return float((WEIGHT * residual(draws, 0.0, parameters, parameters) ** 2).mean())

    slopes = [(moved(PARAMETERS + d) - moved(PARAMETERS - d)) / 2e-5 for d in 1e-5 * np.eye(3)]
    assert (np.abs(loss_and_gradient(plain(0.0))[1] - np.array(slopes)) > 1e-2).all()


@pytest.mark.parametrize(("equal_share", "power"), [(0.0, 0.0), (0.5, 1.0)])
def test_improved_mean_flow_with_the_same_tangent_has_the_same_loss_and_gradient(
    equal_share: float, power: float
) -> None:
    """V - v = u + (t - r) du/dt - v = u - u_tgt; the head's own loss is zero, since it is the line's velocity."""
    config = ImprovedMeanFlowConfig(time=TimeConfig(equal_share=equal_share), adaptive_weight_power=power)
    value, gradient = loss_and_gradient(plain(equal_share, adaptive_weight_power=power))
    other_value, other_gradient = loss_and_gradient(ImprovedMeanFlow(config), head=True)
    assert value == pytest.approx(other_value, rel=1e-12)
    np.testing.assert_allclose(gradient, other_gradient, rtol=1e-11)
    # With its own velocity as tangent improved mean flow is another regression.
    assert np.abs(loss_and_gradient(ImprovedMeanFlow(config))[1] - gradient).max() > 1e-3


def test_at_equal_times_the_loss_is_that_of_flow_matching(monkeypatch: pytest.MonkeyPatch) -> None:
    """On the same times and the same noise."""
    fixed = jnp.linspace(0.05, 0.95, len(X))
    for module in (flow_matching, times):
        monkeypatch.setattr(module, "sample_logit_normal", lambda mean, sd, shape, key: jnp.broadcast_to(fixed, shape))
    value, gradient = loss_and_gradient(plain(1.0))
    other_value, other_gradient = loss_and_gradient(FlowMatching(FlowMatchingConfig()))
    assert value == pytest.approx(other_value, rel=1e-13)
    np.testing.assert_allclose(gradient, other_gradient, rtol=1e-12)


def test_the_logged_figures_are_not_adaptively_weighted(draws: Draws) -> None:
    x = jnp.asarray(X)

    def run(power: float) -> tuple[jax.Array, dict[str, jax.Array]]:
        method = plain(0.5, adaptive_weight_power=power)
        return jax.jit(lambda: method.loss(oracle, x, Conditioning(), jnp.ones_like(x), jax.random.key(7)))()

    (loss, _), (weighted, metrics) = run(0.0), run(1.0)
    line = (draws.z - x) / draws.t[:, None, None]
    at_equal_times = ((instantaneous_velocity(draws.z, draws.t, SCALE) - line) ** 2)[:3].mean()
    assert metrics["velocity_loss_at_equal_times"] == pytest.approx(float(at_equal_times), rel=1e-11)
    assert metrics["mean_velocity_loss"] == pytest.approx(float(loss), rel=1e-12)
    assert metrics["unweighted_loss"] == metrics["velocity_loss_at_equal_times"] != metrics["mean_velocity_loss"]
    assert abs(weighted - loss) > 1e-2
    assert MeanFlowConfig().adaptive_weight_power == 1.0


# Guidance; the field that training settles on is in test_guidance.py.


@pytest.mark.parametrize("mixing", [0.0, 0.4])
def test_guidance_moves_target_and_tangent_together(mixing: float, draws: Draws) -> None:
    """For u = a z, and a z + shift without label, the target is v~ - (t - r) a v~ with v~ = omega v + ..."""
    a, shift, omega = 0.5, 0.3, 3.0 * (1.0 - mixing)
    guidance = FixedGuidanceConfig(scale=3.0, mixing=mixing, label_drop_rate=0.0)

    def net(z: jax.Array, r: jax.Array, t: jax.Array, conditioning: Conditioning) -> Velocity:
        assert conditioning.guidance is None
        assert conditioning.drop is not None
        return Velocity(a * z + shift * conditioning.drop[:, None, None], None)

    x, conditioning = jnp.asarray(X), Conditioning(label=jnp.arange(len(X)))
    loss = jax.jit(
        lambda: plain(0.0, guidance=guidance).loss(net, x, conditioning, jnp.ones_like(x), jax.random.key(7))
    )
    z, r, t = draws.z, draws.r[:, None, None], draws.t[:, None, None]
    guided = omega * (z - X) / t + mixing * a * z + (1.0 - omega - mixing) * (a * z + shift)
    expected = ((a * z - guided + (t - r) * a * guided) ** 2).mean()
    assert float(loss()[0]) == pytest.approx(float(expected), rel=1e-11)


@pytest.mark.parametrize("mixing", [0.0, 0.4])
def test_without_labels_there_is_no_guidance(mixing: float) -> None:
    value, gradient = loss_and_gradient(plain(0.5))
    guided = plain(0.5, guidance=FixedGuidanceConfig(scale=3.0, mixing=mixing))
    unlabelled_value, unlabelled_gradient = loss_and_gradient(guided)
    assert unlabelled_value == value
    np.testing.assert_array_equal(unlabelled_gradient, gradient)


def test_what_decoding_does_unless_told_otherwise() -> None:
    method = plain(default_num_steps=2, default_temperature=0.7)
    assert (method.default_num_steps, method.default_temperature, method.noise_scale) == (2, 0.7, 1.0)
    assert isinstance(method, Method)
