"""Guidance in an interval of times: what is drawn, what counts at which time, and what the network is told."""

from collections.abc import Iterator
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx
from scipy.stats import kstest

from meanflow_audio_codec.configs.methods import (
    AutoencoderConfig,
    FixedGuidanceConfig,
    FlowMatchingConfig,
    GuidanceConfig,
    ImprovedMeanFlowConfig,
    MeanFlowConfig,
    MethodConfig,
    TimeConfig,
)
from meanflow_audio_codec.configs.networks import ConvNeXtConfig, VelocityNetConfig
from meanflow_audio_codec.errors import InputError
from meanflow_audio_codec.models.build import uses_guidance, uses_guidance_interval
from meanflow_audio_codec.models.conditioning import Conditioning
from meanflow_audio_codec.models.methods.guidance import sample_interval, scale_inside
from meanflow_audio_codec.models.methods.improved_mean_flow import ImprovedMeanFlow
from meanflow_audio_codec.models.velocity import Velocity, VelocityNet
from meanflow_audio_codec.preprocessing.specs import TokenSpec


@pytest.fixture(autouse=True)
def _float64() -> Iterator[None]:
    with jax.enable_x64(True):
        yield


def test_intervals_contain_the_middle_and_are_all_times_at_equal_times() -> None:
    interval = np.asarray(sample_interval(20_000, 5_000, jax.random.key(0)))
    np.testing.assert_array_equal(interval[:5_000], np.broadcast_to([0.0, 1.0], (5_000, 2)))
    start, end = interval[5_000:].T
    assert kstest(2.0 * start, "uniform").pvalue > 1e-3
    assert kstest(2.0 * end - 1.0, "uniform").pvalue > 1e-3
    assert abs(np.corrcoef(start, end)[0, 1]) < 0.04


def test_the_scale_counts_as_one_outside_the_interval() -> None:
    t = jnp.array([0.1, 0.2, 0.5, 0.8, 0.9])
    inside = scale_inside(jnp.broadcast_to(jnp.array([0.2, 0.8]), (5, 2)), t, jnp.full(5, 3.0))
    np.testing.assert_array_equal(inside, [1.0, 3.0, 3.0, 3.0, 1.0])


def with_interval(mean: float, **settings: Any) -> ImprovedMeanFlow:
    """Training times near sigmoid(mean), none with r = t."""
    settings = {"max_scale": 5.0, "condition_on_interval": True, "label_drop_rate": 0.2} | settings
    return ImprovedMeanFlow(
        ImprovedMeanFlowConfig(
            time=TimeConfig(mean=mean, standard_deviation=1e-6, equal_share=0.0),
            guidance=GuidanceConfig(**settings),
            adaptive_weight_power=0.0,
        )
    )


Asked = list[tuple[np.ndarray, Conditioning]]


def loss_and_questions(method: ImprovedMeanFlow) -> tuple[float, Asked]:
    """The loss of a network that differs with the label but not with guidance, and what it is told at which times."""
    asked: Asked = []

    def net(z: jax.Array, r: jax.Array, t: jax.Array, conditioning: Conditioning) -> Velocity:
        assert conditioning.label is not None
        assert conditioning.drop is not None
        jax.debug.callback(lambda t, told: asked.append((np.asarray(t), told)), t, conditioning)
        place = jnp.where(conditioning.drop, -2.0, conditioning.label)[:, None, None]
        return Velocity(jnp.sin(z + place) + place * t[:, None, None], None)

    x = jax.random.normal(jax.random.key(2), (16, 2, 3))
    conditioning = Conditioning(label=jnp.arange(16) % 4)
    loss = jax.jit(lambda: method.loss(net, x, conditioning, jnp.ones_like(x), jax.random.key(1))[0])()
    jax.effects_barrier()
    return float(loss), asked


def test_outside_the_interval_the_targets_are_those_of_scale_one() -> None:
    """At t near 1 no interval contains t: the loss is that of no guidance, for u is the same whatever it is told."""
    outside, asked = loss_and_questions(with_interval(12.0))
    assert outside == pytest.approx(loss_and_questions(with_interval(12.0, max_scale=1.0))[0], rel=1e-12)
    always = loss_and_questions(with_interval(12.0, condition_on_interval=False))[0]
    assert abs(outside - always) > 1e-3
    # Outside, v is asked for at scale 1, but u is told the scale and the interval that were drawn.
    told = [conditioning for t, conditioning in asked if len(t)]
    scales = [conditioning.guidance for conditioning in told if conditioning.guidance is not None]
    assert sum((scale == 1.0).all() for scale in scales) == 1
    assert sum((scale > 1.0).all() for scale in scales) == 1
    intervals = [conditioning.interval for conditioning in told if conditioning.interval is not None]
    assert len(intervals) == 1
    assert (intervals[0][:, 1] < 1.0).all()


def test_inside_the_interval_the_targets_are_those_of_guidance_at_all_times() -> None:
    inside, _ = loss_and_questions(with_interval(0.0))
    always, _ = loss_and_questions(with_interval(0.0, condition_on_interval=False))
    assert inside == pytest.approx(always, rel=1e-12)
    assert abs(inside - loss_and_questions(with_interval(0.0, max_scale=1.0))[0]) > 1e-3


@pytest.mark.parametrize("interval", [(0.6, 0.9), (0.1, 0.4)])
def test_a_sampling_interval_that_training_never_draws_is_refused(interval: tuple[float, float]) -> None:
    with pytest.raises(
        InputError, match=r"sampling_interval .* is not trained: it must start in 0 \.\.\. 0\.5 and end"
    ):
        with_interval(0.0, sampling_interval=interval)
    assert with_interval(0.0, sampling_interval=(0.4, 0.65)).config.guidance is not None


@pytest.mark.parametrize(
    ("config", "scale", "interval"),
    [
        (AutoencoderConfig(), False, False),
        (FlowMatchingConfig(sampling_scale=3.0), False, False),
        (MeanFlowConfig(guidance=FixedGuidanceConfig(scale=3.0)), False, False),
        (ImprovedMeanFlowConfig(guidance=FixedGuidanceConfig(scale=3.0)), False, False),
        (ImprovedMeanFlowConfig(guidance=GuidanceConfig(condition_on_interval=True)), False, False),
        (ImprovedMeanFlowConfig(guidance=GuidanceConfig(max_scale=3.0)), True, False),
        (ImprovedMeanFlowConfig(guidance=GuidanceConfig(max_scale=3.0, condition_on_interval=True)), True, True),
    ],
)
def test_what_the_network_is_told(config: MethodConfig, scale: bool, interval: bool) -> None:
    assert (uses_guidance(config), uses_guidance_interval(config)) == (scale, interval)


@pytest.fixture(scope="module")
def interval_network() -> VelocityNet:
    """A real network with every parameter random."""
    config = VelocityNetConfig(
        architecture=ConvNeXtConfig(width=8, num_blocks=1, kernel_size=3),
        num_time_frequencies=4,
        condition_width=8,
        num_classes=4,
    )
    random = np.random.default_rng(1)
    skeleton = nnx.eval_shape(
        lambda: VelocityNet(
            config, TokenSpec((2,), 3), 0, use_guidance=True, use_guidance_interval=True, rngs=nnx.Rngs(params=0)
        )
    )
    with jax.enable_x64(True):
        return jax.tree.map(lambda leaf: jnp.asarray(0.3 * random.standard_normal(leaf.shape)), skeleton)


def test_a_network_told_the_interval_follows_each_end_of_it(interval_network: VelocityNet) -> None:
    """All times stand for no interval."""
    z, t = jax.random.normal(jax.random.key(0), (3, 2, 3)), jnp.full(3, 0.6)
    conditioning = Conditioning(label=jnp.arange(3), guidance=jnp.full(3, 2.0))
    ask = jax.jit(lambda interval: interval_network(z, 0.5 * t, t, conditioning.with_interval(interval)).mean)
    whole, late, early, none = (
        ask(None if interval is None else jnp.broadcast_to(jnp.array(interval), (3, 2)))
        for interval in ((0.0, 1.0), (0.3, 1.0), (0.0, 0.7), None)
    )
    np.testing.assert_allclose(none, whole, atol=1e-6)
    for one, other in ((whole, late), (whole, early), (late, early)):
        assert np.abs(one - other).max(axis=(1, 2)).min() > 1e-3


def test_the_interval_travels_with_its_rows() -> None:
    conditioning = Conditioning(label=jnp.arange(4)).with_interval(jnp.arange(8.0).reshape(4, 2))
    part = conditioning.rows(1, 3)
    assert part.interval is not None
    np.testing.assert_array_equal(part.interval, [[2.0, 3.0], [4.0, 5.0]])
    assert conditioning.with_interval(None).interval is None
