"""The improved mean flow against the Gaussian flow known in closed form, and against its equations written out."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx
from scipy.special import logit, ndtr
from scipy.stats import kstest

from meanflow_audio_codec.configs.methods import ImprovedMeanFlowConfig, TimeConfig
from meanflow_audio_codec.configs.networks import ConvNeXtConfig, VelocityNetConfig
from meanflow_audio_codec.datasets.synthetic import instantaneous_velocity, marginal_scale, mean_velocity
from meanflow_audio_codec.models.conditioning import Conditioning
from meanflow_audio_codec.models.methods.base import adaptive_weight
from meanflow_audio_codec.models.methods.improved_mean_flow import ImprovedMeanFlow
from meanflow_audio_codec.models.methods.mean_velocity import mean_velocity_and_derivative
from meanflow_audio_codec.models.methods.times import num_equal, sample_times
from meanflow_audio_codec.models.velocity import Velocity, VelocityNet
from meanflow_audio_codec.preprocessing.specs import TokenSpec

SCALE = 0.5
Parameters = jax.Array | np.ndarray


@pytest.fixture(autouse=True)
def _float64() -> Iterator[None]:
    """Identities then hold to rounding errors that no mistake could hide in."""
    with jax.enable_x64(True):
        yield


def oracle(z: jax.Array, r: jax.Array, t: jax.Array, conditioning: Conditioning) -> Velocity:
    """The true mean velocity for x ~ N(0, SCALE^2)."""
    return Velocity(mean=mean_velocity(z, r, t, SCALE), instantaneous=None)


def plain(equal_share: float = 0.5, power: float = 0.0) -> ImprovedMeanFlow:
    return ImprovedMeanFlow(
        ImprovedMeanFlowConfig(time=TimeConfig(equal_share=equal_share), adaptive_weight_power=power)
    )


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


# The loss against its equations.


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
    for name in ("objective", "velocity_loss", "velocity_loss_at_equal_times"):
        assert metrics[name] == pytest.approx(flow_matching, rel=1e-11)


def test_the_head_supplies_the_tangent() -> None:
    """With the true v as head, a wrong u(z, t, t) does no harm: the tangent does not come from it."""

    def with_head(z: jax.Array, r: jax.Array, t: jax.Array, conditioning: Conditioning) -> Velocity:
        u = mean_velocity(z, r, t, SCALE) + jnp.where(r == t, 1.0, 0.0)[:, None, None]
        return Velocity(mean=u, instantaneous=instantaneous_velocity(z, t, SCALE))

    without, _ = loss_and_metrics(plain(0.0), oracle)
    loss, metrics = loss_and_metrics(plain(0.0), with_head)
    assert metrics["velocity_loss"] == pytest.approx(without, rel=1e-12)
    # Both are the true flow's, so both errors are e - x less the same v.
    assert metrics["velocity_head_loss"] == pytest.approx(without, rel=1e-12)
    assert loss == pytest.approx(2.0 * without, rel=1e-12)


# Adaptive weight, keys, times.


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
    assert metrics["velocity_loss"] == metrics["objective"] == pytest.approx(loss, rel=1e-12)
    assert abs(weighted - loss) > 1e-2


def test_the_loss_is_a_function_of_the_key() -> None:
    x = jnp.asarray(X)
    loss = jax.jit(lambda key: plain().loss(oracle, x, Conditioning(), jnp.ones_like(x), key)[0])
    values = [float(loss(jax.random.key(seed))) for seed in (1, 1, 2)]
    assert values[0] == values[1] != values[2]


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
