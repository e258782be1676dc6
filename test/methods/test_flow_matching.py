"""Flow matching against the Gaussian flow known in closed form: its loss, its steps and its guidance."""

from collections.abc import Callable, Iterator
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.special import logit
from scipy.stats import kstest

from meanflow_audio_codec.configs.methods import FlowMatchingConfig
from meanflow_audio_codec.datasets.synthetic import instantaneous_velocity, marginal_scale
from meanflow_audio_codec.models.conditioning import Conditioning
from meanflow_audio_codec.models.methods.base import Method
from meanflow_audio_codec.models.methods.flow_matching import FlowMatching
from meanflow_audio_codec.models.methods.sampling import sample
from meanflow_audio_codec.models.velocity import Velocity

SCALE = 0.5


@pytest.fixture(autouse=True)
def _float64() -> Iterator[None]:
    with jax.enable_x64(True):
        yield


def oracle(z: jax.Array, r: jax.Array, t: jax.Array, conditioning: Conditioning) -> Velocity:
    """The true velocity for x ~ N(0, SCALE^2)."""
    return Velocity(instantaneous_velocity(z, t, SCALE), None)


def field(v: Callable[[jax.Array, jax.Array], jax.Array]) -> Callable[..., Velocity]:
    """A network with u(z, t, t) = v(z, t), and with an error away from r = t: flow matching must not ask there."""

    def net(z: jax.Array, r: jax.Array, t: jax.Array, conditioning: Conditioning) -> Velocity:
        return Velocity(v(z, t[:, None, None]) + jnp.where(r == t, 0.0, jnp.nan)[:, None, None], None)

    return net


def flow_matching(**settings: Any) -> FlowMatching:
    return FlowMatching(FlowMatchingConfig(**settings))


def tokens(size: int = 6) -> jax.Array:
    return 0.8 * jax.random.normal(jax.random.key(0), (size, 2, 3)) + 0.2


# The loss.


def expected_minimum(mean: float, deviation: float) -> float:
    """E over t of Var(e - x | z_t) = s^2 / sigma(t)^2, with logit t normal."""
    normal = np.linspace(-9.0, 9.0, 20_001)
    t = 1.0 / (1.0 + np.exp(-(mean + deviation * normal)))
    density = np.exp(-0.5 * normal**2) / np.sqrt(2.0 * np.pi)
    return float(np.trapezoid(density * SCALE**2 / ((1.0 - t) ** 2 * SCALE**2 + t**2), normal))


def losses_and_slopes(method: FlowMatching) -> tuple[np.ndarray, np.ndarray]:
    """Of the true flow plus shift and stretch, both zero: the loss and its gradient, once per key."""

    def one(key: jax.Array) -> tuple[jax.Array, jax.Array]:
        data_key, loss_key = jax.random.split(key)
        x = SCALE * jax.random.normal(data_key, (256, 4, 4))

        def loss(bend: jax.Array) -> jax.Array:
            net = field(lambda z, t: (1.0 + bend[0]) * instantaneous_velocity(z, t[:, 0, 0], SCALE) + bend[1])
            return method.loss(net, x, Conditioning(), jnp.ones_like(x), loss_key)[0]

        return jax.value_and_grad(loss)(jnp.zeros(2))

    losses, slopes = jax.jit(lambda keys: jax.lax.map(one, keys))(jax.random.split(jax.random.key(11), 64))
    return np.asarray(losses), np.asarray(slopes)


def standard_error(values: np.ndarray) -> np.ndarray:
    return values.std(axis=0, ddof=1) / np.sqrt(len(values))


@pytest.mark.parametrize(("mean", "deviation"), [(-0.4, 1.0), (0.8, 0.5)])
def test_the_loss_of_the_true_flow_is_the_conditional_variance_and_its_gradient_is_zero(
    mean: float, deviation: float
) -> None:
    losses, slopes = losses_and_slopes(flow_matching(time_mean=mean, time_standard_deviation=deviation))
    minimum = expected_minimum(mean, deviation)
    assert standard_error(losses) < 0.01 * minimum
    assert abs(losses.mean() - minimum) < 4 * standard_error(losses)
    assert (np.abs(slopes.mean(axis=0)) < 4 * standard_error(slopes)).all()
    assert (standard_error(slopes) < 0.02).all()  # a bend of a tenth would have slopes of 0.2


def test_the_draws_are_logit_normal_times_on_a_straight_line_to_noise() -> None:
    seen: list[tuple[np.ndarray, ...]] = []

    def watch(z: jax.Array, r: jax.Array, t: jax.Array, conditioning: Conditioning) -> Velocity:
        seen.append((np.asarray(z), np.asarray(r), np.asarray(t)))
        return Velocity(z, None)

    x = SCALE * jax.random.normal(jax.random.key(4), (2000, 1, 2))
    method = flow_matching(time_mean=0.3, time_standard_deviation=1.7)
    method.loss(watch, x, Conditioning(), jnp.ones_like(x), jax.random.key(8))
    ((z, r, t),) = seen
    np.testing.assert_array_equal(r, t)
    assert kstest((logit(t) - 0.3) / 1.7, "norm").pvalue > 1e-3
    e = (z - (1.0 - t)[:, None, None] * np.asarray(x)) / t[:, None, None]
    assert kstest(np.ravel(e), "norm").pvalue > 1e-3
    assert kstest(np.ravel(z / marginal_scale(jnp.asarray(t), SCALE)[:, None, None]), "norm").pvalue > 1e-3


@pytest.mark.parametrize("power", [0.0, 0.7])
def test_the_adaptive_weight_scales_the_gradient_of_each_example(power: float) -> None:
    """Error e_i of example i counts e_i (e_i + epsilon)^-power; one example shows it."""
    x = tokens(1)

    def run(power: float) -> tuple[Any, jax.Array]:
        def loss(shift: jax.Array) -> tuple[jax.Array, dict[str, jax.Array]]:
            method = flow_matching(adaptive_weight_power=power, adaptive_weight_epsilon=0.3)
            return method.loss(field(lambda z, t: z + shift), x, Conditioning(), jnp.ones_like(x), jax.random.key(3))

        return jax.jit(jax.value_and_grad(loss, has_aux=True))(0.5)

    (plain, _), plain_slope = run(0.0)
    (value, metrics), slope = run(power)
    assert float(value) == pytest.approx(float(plain * (plain + 0.3) ** -power), rel=1e-12)
    assert float(slope) == pytest.approx(float(plain_slope * (plain + 0.3) ** -power), rel=1e-12)
    assert metrics["unweighted_loss"] == metrics["velocity_loss"] == plain
    assert FlowMatchingConfig().adaptive_weight_power == 0.0


def test_values_are_weighted() -> None:
    """A weight that is zero but for one channel leaves that channel's error."""
    x, weight = tokens(), jnp.zeros((1, 1, 3)).at[..., 1].set(3.0)

    @jax.jit
    def loss(wrong: float) -> jax.Array:
        net = field(lambda z, t: jnp.zeros_like(z).at[..., 0].set(wrong))
        return flow_matching().loss(net, x, Conditioning(), weight, jax.random.key(0))[0]

    assert loss(1e6) == loss(0.0) > 0.1


@pytest.mark.parametrize(("rate", "share"), [(0.0, 0.0), (0.3, 0.3), (1.0, 1.0)])
def test_labels_are_dropped_in_training(rate: float, share: float) -> None:
    shares = []

    def watch(z: jax.Array, r: jax.Array, t: jax.Array, conditioning: Conditioning) -> Velocity:
        assert conditioning.guidance is None
        shares.append(None if conditioning.drop is None else float(conditioning.drop.mean()))
        return Velocity(z, None)

    x = jnp.zeros((4000, 1, 1))
    for label in (jnp.zeros(4000, jnp.int32), None):
        flow_matching(label_drop_rate=rate).loss(
            watch, x, Conditioning(label=label), jnp.ones_like(x), jax.random.key(0)
        )
    assert shares == [pytest.approx(share, abs=4 * np.sqrt(rate * (1 - rate) / 4000)), None]


# The steps.


def convergence(method: FlowMatching, net: Callable[..., Velocity], factor: float) -> tuple[float, float]:
    """The order of the error in the step size, and the error with the most steps; exact is z_0 = factor z_1."""
    noise = jnp.linspace(-2.0, 2.0, 6).reshape(1, 2, 3)
    errors = [
        float(jnp.abs(sample(method, net, noise, Conditioning(), num_steps=count) - factor * noise).max())
        for count in (100, 200)
    ]
    return float(np.log2(errors[0] / errors[1])), errors[1]


def test_the_order_of_convergence() -> None:
    """On v = z (1 + t), whose flow is z_0 = z_1 exp(-3/2)."""
    net = field(lambda z, t: z * (1.0 + t))
    found, _ = convergence(flow_matching(), net, np.exp(-1.5))
    assert found == pytest.approx(1.0, abs=0.1)


def test_samples_converge_to_those_of_the_true_flow() -> None:
    found, error = convergence(flow_matching(), oracle, SCALE)
    assert found == pytest.approx(1.0, abs=0.1)
    assert error < 0.02


@pytest.mark.parametrize(("num_steps", "factor"), [(1, 0.0), (2, 0.25 / 1.25)])
def test_few_steps_over_all_times_multiply_by_a_known_factor(num_steps: int, factor: float) -> None:
    """One by 0, whatever s is; two by s^2 / (1 + s^2)."""
    noise = jax.random.normal(jax.random.key(0), (3, 4, 5))
    x = sample(flow_matching(), oracle, noise, Conditioning(), num_steps=num_steps)
    np.testing.assert_allclose(x, factor * noise, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize(("r", "t"), [(0.0, 1.0), (0.25, 0.75), (0.5, 0.5), (0.6, 0.600001)])
def test_a_step_follows_the_velocity_at_its_start(r: float, t: float) -> None:
    method, z, early, late = flow_matching(), tokens(), jnp.full(6, r), jnp.full(6, t)
    linear = method.velocity(field(lambda z, t: z), z, early, late, Conditioning())
    np.testing.assert_allclose(linear, z, rtol=1e-12)
    quadratic = method.velocity(field(lambda z, t: t**2 + 0.0 * z), z, early, late, Conditioning())
    np.testing.assert_allclose(quadratic, jnp.full_like(z, t**2), rtol=1e-12)


@pytest.mark.parametrize("num_steps", [1, 3, 7])
def test_times_stay_between_noise_and_data_in_float32(num_steps: int) -> None:
    seen: list[float] = []

    def watch(z: jax.Array, r: jax.Array, t: jax.Array, conditioning: Conditioning) -> Velocity:
        seen.extend(np.asarray(t).tolist())
        return Velocity(z, None)

    with jax.enable_x64(False), jax.disable_jit():
        sample(flow_matching(), watch, jnp.ones((1, 1, 1)), Conditioning(), num_steps=num_steps)
    assert max(seen) == 1.0
    assert min(seen) > 0.0


# Guidance.


def labelled_field(z: jax.Array, r: jax.Array, t: jax.Array, conditioning: Conditioning) -> Velocity:
    """Another non-linear field for each label and for none; it must not be told of guidance."""
    assert conditioning.guidance is None
    assert conditioning.interval is None
    assert conditioning.label is not None
    assert conditioning.local is not None
    drop = jnp.zeros(len(t), bool) if conditioning.drop is None else conditioning.drop
    place = jnp.where(drop, -3.0, conditioning.label)[:, None, None]
    return Velocity(jnp.sin(z + place) + place * t[:, None, None] + conditioning.local, None)


def test_guided_steps_follow_the_guided_field() -> None:
    """The step of w v(z, t | label) + (1 - w) v(z, t), with another w for each example."""
    z, r, t = tokens(), jnp.full(6, 0.2), jnp.full(6, 0.7)
    conditioning = Conditioning(label=jnp.arange(6), local=jnp.cos(tokens()))
    scale = jnp.array([1.0, 1.5, 2.0, 3.0, 4.0, 7.0])

    def guided(z: jax.Array, r: jax.Array, t: jax.Array, conditioning: Conditioning) -> Velocity:
        w = scale[:, None, None]
        own = labelled_field(z, r, t, conditioning).mean
        common = labelled_field(z, r, t, conditioning.with_drop(jnp.ones(6, bool))).mean
        return Velocity(w * own + (1.0 - w) * common, None)

    method = flow_matching()
    step = method.velocity(labelled_field, z, r, t, conditioning.with_guidance(scale))
    np.testing.assert_allclose(step, method.velocity(guided, z, r, t, conditioning), rtol=1e-12)
    unguided = method.velocity(labelled_field, z, r, t, conditioning)
    np.testing.assert_allclose(step[0], unguided[0], rtol=1e-12)
    assert np.abs(step[1:] - unguided[1:]).max(axis=(1, 2)).min() > 0.1


def test_what_decoding_does_unless_told_otherwise() -> None:
    method = flow_matching(default_num_steps=5, default_temperature=0.7)
    assert (method.default_num_steps, method.default_temperature, method.noise_scale) == (5, 0.7, 1.0)
    assert isinstance(method, Method)
