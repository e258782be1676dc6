"""Classifier-free guidance: the density of the scales, the guided target, and the field that training settles on."""

from collections.abc import Callable, Iterator

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from meanflow_audio_codec.configs.methods import (
    FixedGuidanceConfig,
    GuidanceConfig,
    ImprovedMeanFlowConfig,
    MeanFlowConfig,
    MethodConfig,
    TimeConfig,
)
from meanflow_audio_codec.models.build import build_method
from meanflow_audio_codec.models.conditioning import Conditioning
from meanflow_audio_codec.models.methods.guidance import (
    drop_labels,
    fixed_guided_velocity,
    guided_velocity,
    sample_drop,
    sample_scale,
)
from meanflow_audio_codec.models.velocity import Velocity


@pytest.fixture(autouse=True)
def _float64() -> Iterator[None]:
    with jax.enable_x64(True):
        yield


# Scales.


@pytest.mark.parametrize(
    ("beta", "quantile"),
    [
        (1.0, lambda p: 4.0**p),  # density 1 / (w log 4)
        (2.0, lambda p: 1.0 / (1.0 - p * (1.0 - 1.0 / 4.0))),  # density (4 / 3) / w^2
    ],
)
def test_the_quantiles_of_the_scales(beta: float, quantile: Callable[[np.ndarray], np.ndarray]) -> None:
    config = GuidanceConfig(max_scale=4.0, beta=beta)
    scales = np.asarray(sample_scale(config, 40_000, jax.random.key(0)))
    p = np.linspace(0.02, 0.98, 25)
    np.testing.assert_allclose(np.quantile(scales, p), quantile(p), rtol=0.03)


@pytest.mark.parametrize("beta", [0.5, 1.0, 3.0])
def test_the_density_of_the_scales_is_a_power_law(beta: float) -> None:
    """Kolmogorov-Smirnov distance to the numerical integral of w^-beta."""
    config = GuidanceConfig(max_scale=3.0, beta=beta)
    scales = np.sort(sample_scale(config, 20_000, jax.random.key(1)))
    grid = np.linspace(1.0, 3.0, 20_001)
    middles = 0.5 * (grid[1:] + grid[:-1])
    distribution = np.concatenate([[0.0], np.cumsum(middles**-beta)])
    expected = np.interp(scales, grid, distribution / distribution[-1])
    assert np.abs(expected - np.arange(len(scales)) / len(scales)).max() < 1.7 / np.sqrt(len(scales))


@settings(max_examples=30, deadline=None)
@example(max_scale=3.0, beta=1.0 + 1e-9)
@given(max_scale=st.floats(1.0, 20.0), beta=st.one_of(st.floats(0.01, 5.0), st.floats(0.9999, 1.0001)))
def test_scales_stay_in_range_in_float32(max_scale: float, beta: float) -> None:
    with jax.enable_x64(False):
        scales = np.asarray(sample_scale(GuidanceConfig(max_scale=max_scale, beta=beta), 512, jax.random.key(2)))
    assert np.isfinite(scales).all()
    assert scales.min() >= 1.0 - 1e-5
    assert scales.max() <= max_scale * (1.0 + 1e-5)
    if max_scale > 1.5 and beta < 3.0:
        assert scales.std() > 0.01


def test_labels_are_dropped_at_the_configured_rate() -> None:
    drop = np.asarray(sample_drop(GuidanceConfig(label_drop_rate=0.2), 20_000, jax.random.key(0)))
    assert drop.mean() == pytest.approx(0.2, abs=4 * np.sqrt(0.2 * 0.8 / 20_000))
    assert not sample_drop(GuidanceConfig(label_drop_rate=0.0), 100, jax.random.key(0)).any()
    assert sample_drop(GuidanceConfig(label_drop_rate=1.0), 100, jax.random.key(0)).all()


def test_without_labels_all_count_as_dropped_and_nobody_is_told() -> None:
    conditioning, drop = drop_labels(GuidanceConfig(label_drop_rate=0.0), Conditioning(), 5, jax.random.key(0))
    assert drop.all()
    assert conditioning.drop is None


def test_a_sampling_scale_that_was_not_trained_is_an_error() -> None:
    with pytest.raises(ValidationError, match=r"sampling_scale 3\.0 must not exceed max_scale 2\.0"):
        GuidanceConfig(max_scale=2.0, sampling_scale=3.0)
    assert GuidanceConfig(max_scale=2.0, sampling_scale=2.0).sampling_scale == 2.0


# The target.


def random_fields() -> tuple[jax.Array, jax.Array, jax.Array]:
    expected, unconditional = jax.random.normal(jax.random.key(5), (2, 6, 2, 3))
    return expected, unconditional, jnp.array([1.0, 1.5, 2.0, 3.0, 4.0, 7.0])


def test_ordinary_guidance_is_the_fixed_point_of_the_target() -> None:
    """v_c = w E + (1 - w) v_u is what the target's mean E + (1 - 1/w)(v_c - v_u) asks for."""
    expected, unconditional, scale = random_fields()
    w = scale[:, None, None]
    guided = w * expected + (1.0 - w) * unconditional
    target = guided_velocity(expected, guided, unconditional, scale, jnp.zeros(6, bool))
    np.testing.assert_allclose(target, guided, rtol=1e-12, atol=1e-12)
    # And the only one: the map contracts with factor 1 - 1/w, so iterating from anywhere leads there.
    iterate = jnp.zeros_like(guided)
    for _ in range(400):
        iterate = guided_velocity(expected, iterate, unconditional, scale, jnp.zeros(6, bool))
    np.testing.assert_allclose(iterate, guided, rtol=1e-9, atol=1e-9)


def test_examples_without_label_and_scale_one_keep_their_own_velocity() -> None:
    expected, unconditional, scale = random_fields()
    other = expected + 10.0
    dropped = guided_velocity(expected, other, unconditional, scale, jnp.ones(6, bool))
    np.testing.assert_array_equal(dropped, expected)
    unscaled = guided_velocity(expected, other, unconditional, jnp.ones(6), jnp.zeros(6, bool))
    np.testing.assert_array_equal(unscaled, expected)


@pytest.mark.parametrize("mixing", [0.0, 0.4, 0.92])
def test_ordinary_guidance_is_the_fixed_point_of_the_fixed_target(mixing: float) -> None:
    """v_c = w E + (1 - w) v_u again, with w the scale of the configuration however much of v_c is mixed in."""
    expected, unconditional, _ = random_fields()
    guidance, drop = FixedGuidanceConfig(scale=2.5, mixing=mixing), jnp.zeros(6, bool)
    guided = 2.5 * expected - 1.5 * unconditional
    target = fixed_guided_velocity(guidance, expected, guided, unconditional, drop)
    np.testing.assert_allclose(target, guided, rtol=1e-12, atol=1e-12)
    # Elsewhere the target moves with v_c by the mixing, which is less than one: the map contracts to that point.
    moved = fixed_guided_velocity(guidance, expected, guided + 1.0, unconditional, drop)
    np.testing.assert_allclose(moved - target, mixing, rtol=1e-12)


def test_mixing_takes_noise_out_of_the_target() -> None:
    """The line's own velocity counts omega = scale (1 - mixing): the paper's 0.2 and 0.92 make a scale of 2.5."""
    zeros, drop = jnp.zeros((6, 2, 3)), jnp.zeros(6, bool)
    target = fixed_guided_velocity(FixedGuidanceConfig(scale=2.5, mixing=0.92), zeros + 1.0, zeros, zeros, drop)
    np.testing.assert_allclose(target, 0.2, rtol=1e-12)


def test_the_fixed_target_of_examples_without_label_is_their_own_velocity() -> None:
    expected, unconditional, _ = random_fields()
    drop = jnp.arange(6) % 2 == 0
    target = fixed_guided_velocity(
        FixedGuidanceConfig(scale=2.5, mixing=0.4), expected, expected + 1.0, unconditional, drop
    )
    np.testing.assert_array_equal(target[::2], expected[::2])
    assert np.abs(target[1::2] - expected[1::2]).max(axis=(1, 2)).min() > 0.1


# What training settles on.

CENTRES = (-1.0, 1.0)
SPREAD = 0.6


def class_velocity(z: jax.Array, t: jax.Array, centre: float) -> jax.Array:
    """E[e - x | z] for x ~ N(centre, SPREAD^2)."""
    variance = (1.0 - t) ** 2 * SPREAD**2 + t**2
    return (t - (1.0 - t) * SPREAD**2) * (z - (1.0 - t) * centre) / variance - centre


def marginal_velocity(z: jax.Array, t: jax.Array) -> jax.Array:
    """The same for the two classes in equal parts: weighted with their posterior probabilities given z."""
    variance = (1.0 - t) ** 2 * SPREAD**2 + t**2
    distances = jnp.stack([(z - (1.0 - t) * centre) ** 2 for centre in CENTRES])
    posterior = jax.nn.softmax(-0.5 * distances / variance, axis=0)
    velocities = jnp.stack([class_velocity(z, t, centre) for centre in CENTRES])
    return (posterior * velocities).sum(axis=0)


def guided_oracle(bend: jax.Array, *, guided: bool, fixed_scale: float = 1.0) -> Callable[..., Velocity]:
    """Guided field where a label is given, marginal field where it is dropped, plus `bend` times three directions.

    Of the scale that the network is told, if it is told one, else of `fixed_scale`.
    """

    def net(z: jax.Array, r: jax.Array, t: jax.Array, conditioning: Conditioning) -> Velocity:
        assert conditioning.label is not None
        assert conditioning.drop is not None
        scale = jnp.full_like(t, fixed_scale) if conditioning.guidance is None else conditioning.guidance
        label, drop, w, t = (v[:, None, None] for v in (conditioning.label, conditioning.drop, scale, t))
        own = jnp.where(label == 0, class_velocity(z, t, CENTRES[0]), class_velocity(z, t, CENTRES[1]))
        marginal = marginal_velocity(z, t)
        field = jnp.where(drop, marginal, w * own + (1.0 - w) * marginal if guided else own)
        sign = jnp.where(label == 0, -1.0, 1.0)
        return Velocity(field + jnp.where(drop, bend[0], bend[1] * sign + bend[2] * w * sign), None)

    return net


def conditional(max_scale: float) -> MethodConfig:
    """Improved mean flow at r = t with guidance as a condition."""
    return ImprovedMeanFlowConfig(
        time=TimeConfig(equal_share=1.0),
        guidance=GuidanceConfig(max_scale=max_scale, label_drop_rate=0.3),
        adaptive_weight_power=0.0,
    )


def loss_slopes(config: MethodConfig, *, guided: bool, fixed_scale: float = 1.0) -> np.ndarray:
    """Gradient of the loss with respect to `bend` at zero, once per key."""
    method = build_method(config)

    def slope(key: jax.Array) -> jax.Array:
        label_key, data_key, loss_key = jax.random.split(key, 3)
        label = jax.random.bernoulli(label_key, 0.5, (2048,)).astype(jnp.int32)
        x = jnp.array(CENTRES)[label][:, None, None] + SPREAD * jax.random.normal(data_key, (2048, 1, 1))

        def loss(bend: jax.Array) -> jax.Array:
            net = guided_oracle(bend, guided=guided, fixed_scale=fixed_scale)
            return method.loss(net, x, Conditioning(label=label), jnp.ones_like(x), loss_key)[0]

        return jax.grad(loss)(jnp.zeros(3))

    return np.asarray(jax.jit(lambda keys: jax.lax.map(slope, keys))(jax.random.split(jax.random.key(3), 40)))


def t_statistics(slopes: np.ndarray) -> np.ndarray:
    return np.abs(slopes.mean(axis=0)) / (slopes.std(axis=0, ddof=1) / np.sqrt(len(slopes)))


def test_the_guided_field_is_stationary_under_the_loss() -> None:
    """With labels at scale w, w E[v|z,c] + (1 - w) E[v|z]; without label, E[v|z]."""
    assert t_statistics(loss_slopes(conditional(3.0), guided=True)).max() < 4.0


def test_the_unguided_field_is_stationary_only_without_guidance() -> None:
    assert t_statistics(loss_slopes(conditional(1.0), guided=False)).max() < 4.0
    assert t_statistics(loss_slopes(conditional(3.0), guided=False))[1:].min() > 10.0


@pytest.mark.parametrize("mixing", [0.0, 0.6])
@pytest.mark.parametrize("kind", [MeanFlowConfig, ImprovedMeanFlowConfig])
def test_the_guided_field_is_stationary_under_fixed_guidance(
    kind: type[MeanFlowConfig | ImprovedMeanFlowConfig], mixing: float
) -> None:
    """And one of another scale is not."""
    config = kind(
        time=TimeConfig(equal_share=1.0),
        guidance=FixedGuidanceConfig(scale=3.0, mixing=mixing, label_drop_rate=0.3),
        adaptive_weight_power=0.0,
    )
    assert t_statistics(loss_slopes(config, guided=True, fixed_scale=3.0)).max() < 4.0
    if kind is MeanFlowConfig:
        assert t_statistics(loss_slopes(config, guided=True, fixed_scale=2.5))[1:].min() > 6.0
