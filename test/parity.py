"""Networks, inputs and methods on which this package and the PyTorch references must agree, and our side of it.

`test_references.py` computes the other side anew, `test_golden_vectors.py` reads it from files.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache, partial

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx

from meanflow_audio_codec.configs.methods import (
    FixedGuidanceConfig,
    FlowMatchingConfig,
    GuidanceConfig,
    ImprovedMeanFlowConfig,
    MeanFlowConfig,
    TimeConfig,
)
from meanflow_audio_codec.configs.networks import ConvNeXtConfig, VelocityNetConfig
from meanflow_audio_codec.models.build import build_method, uses_guidance, uses_guidance_interval
from meanflow_audio_codec.models.conditioning import Conditioning
from meanflow_audio_codec.models.methods.base import interpolate
from meanflow_audio_codec.models.methods.guidance import sample_drop, sample_interval, sample_scale
from meanflow_audio_codec.models.methods.mean_velocity import instantaneous_velocity, mean_velocity_and_derivative
from meanflow_audio_codec.models.methods.sampling import sample
from meanflow_audio_codec.models.methods.times import num_equal, sample_logit_normal, sample_times
from meanflow_audio_codec.models.velocity import VelocityNet
from meanflow_audio_codec.preprocessing.specs import TokenSpec

Arrays = dict[str, np.ndarray]

BATCH, NUM_STEPS = 8, 3
LINE, SQUARE = TokenSpec((9,), 4), TokenSpec((3, 2), 4)
ARCHITECTURE = ConvNeXtConfig(width=8, num_blocks=1, kernel_size=3)
TIMES = TimeConfig(equal_share=0.25)
DROP = 0.3
# Largest difference over the largest value. float32 keeps 6e-8 per operation; gradients add up the whole batch.
BARS = {"gradient": 1e-4}
OTHER_BAR = 1e-5


@dataclass(frozen=True)
class Case:
    """A network on a grid under a method. With labels there are no local features, and the other way round."""

    method: FlowMatchingConfig | MeanFlowConfig | ImprovedMeanFlowConfig
    network: VelocityNetConfig
    spec: TokenSpec

    @property
    def labelled(self) -> bool:
        return self.network.num_classes > 0

    @property
    def local_channels(self) -> int:
        return 0 if self.labelled else 3


def network(labels: int = 0, architecture: ConvNeXtConfig = ARCHITECTURE, **settings) -> VelocityNetConfig:
    return VelocityNetConfig(
        architecture=architecture, num_time_frequencies=4, condition_width=8, num_classes=labels, **settings
    )


def guided_mean_flow(*, scale: float, mixing: float) -> MeanFlowConfig:
    return MeanFlowConfig(time=TIMES, guidance=FixedGuidanceConfig(label_drop_rate=DROP, scale=scale, mixing=mixing))


def learned_guidance(*, interval: bool) -> ImprovedMeanFlowConfig:
    guidance = GuidanceConfig(label_drop_rate=DROP, max_scale=4.0, condition_on_interval=interval)
    return ImprovedMeanFlowConfig(time=TIMES, guidance=guidance)


GOLDEN_CASES = {
    "flow_matching": Case(
        FlowMatchingConfig(label_drop_rate=DROP, sampling_scale=2.0),
        network(3, output="data"),
        SQUARE,
    ),
    "mean_flow": Case(guided_mean_flow(scale=3.0, mixing=0.5), network(3, output="data"), LINE),
    "improved_mean_flow": Case(ImprovedMeanFlowConfig(), network(output="skip-velocity"), LINE),
    "improved_mean_flow_with_head": Case(
        learned_guidance(interval=True), network(3, output="velocity", velocity_head=True), LINE
    ),
}
CASES = GOLDEN_CASES | {
    "flow_matching_on_a_line": Case(
        FlowMatchingConfig(adaptive_weight_power=0.5), network(output="skip-velocity"), LINE
    ),
    "flow_matching_by_heun": Case(
        FlowMatchingConfig(solver="heun", label_drop_rate=DROP, sampling_scale=3.0), network(3), LINE
    ),
    "flow_matching_by_midpoints": Case(
        FlowMatchingConfig(solver="midpoint", label_drop_rate=DROP), network(3, output="velocity"), LINE
    ),
    "mean_flow_on_a_line": Case(MeanFlowConfig(adaptive_weight_power=0.0), network(output="velocity"), LINE),
    "mean_flow_without_mixing": Case(guided_mean_flow(scale=2.0, mixing=0.0), network(3), SQUARE),
    "improved_mean_flow_with_head_on_a_line": Case(
        ImprovedMeanFlowConfig(time=TimeConfig(equal_share=0.0), adaptive_weight_power=0.0),
        network(output="data", velocity_head=True),
        LINE,
    ),
    "improved_mean_flow_with_guidance": Case(learned_guidance(interval=False), network(3, output="data"), SQUARE),
    "improved_mean_flow_of_other_blocks": Case(
        ImprovedMeanFlowConfig(time=TimeConfig(mean=0.3, standard_deviation=0.7), adaptive_weight_epsilon=0.1),
        network(
            architecture=ConvNeXtConfig(
                width=8, num_blocks=2, kernel_size=5, expansion=2, gelu="exact", response_normalization=True
            )
        ),
        LINE,
    ),
}


def key() -> jax.Array:
    return jax.random.key(5)


def build(case: Case) -> VelocityNet:
    return VelocityNet(
        case.network,
        case.spec,
        case.local_channels,
        use_guidance=uses_guidance(case.method),
        use_guidance_interval=uses_guidance_interval(case.method),
        rngs=nnx.Rngs(params=jax.random.key(0)),
    )


def named_arrays(net: VelocityNet) -> Arrays:
    """Parameters by dotted path."""
    leaves, _ = jax.tree_util.tree_flatten_with_path(nnx.to_pure_dict(nnx.state(net, nnx.Param)))
    return {".".join(str(entry.key) for entry in path): np.asarray(leaf) for path, leaf in leaves}


def random_weights(case: Case) -> Arrays:
    """No parameter is zero: zero-initialised layers would hide whatever lies behind them."""
    random = np.random.default_rng(2)
    skeleton = nnx.eval_shape(partial(build, case))
    leaves, _ = jax.tree_util.tree_flatten_with_path(nnx.to_pure_dict(nnx.state(skeleton, nnx.Param)))
    return {
        ".".join(str(entry.key) for entry in path): 0.3 * random.standard_normal(leaf.shape).astype(np.float32)
        for path, leaf in leaves
    }


def network_with(case: Case, weights: Arrays) -> VelocityNet:
    graph, state = nnx.split(nnx.eval_shape(partial(build, case)))
    leaves, structure = jax.tree_util.tree_flatten_with_path(nnx.to_pure_dict(state))
    values = [jnp.asarray(weights[".".join(str(entry.key) for entry in path)]) for path, _ in leaves]
    nnx.replace_by_pure_dict(state, jax.tree_util.tree_unflatten(structure, values))
    return nnx.merge(graph, state)


def random_inputs(case: Case) -> Arrays:
    """Data, labels or local features, noise to sample from, and what the loss draws from `key()`."""
    random = np.random.default_rng(3)
    shape = (BATCH, case.spec.num_tokens, case.spec.channels)
    x, start = random.standard_normal((2, *shape)).astype(np.float32)
    inputs = {"x": x, "start": start} | drawn(case)
    if case.labelled:
        return inputs | {"label": np.arange(BATCH, dtype=np.int32) % case.network.num_classes}
    return inputs | {"local": random.standard_normal((*shape[:2], case.local_channels)).astype(np.float32)}


def drawn(case: Case) -> Arrays:
    """Noise e, times, and whatever else the method's loss draws from `key()`, in the order in which it does."""
    config, shape = case.method, (BATCH, case.spec.num_tokens, case.spec.channels)
    if isinstance(config, FlowMatchingConfig):
        time_key, noise_key, drop_key = jax.random.split(key(), 3)
        t = sample_logit_normal(config.time_mean, config.time_standard_deviation, (BATCH,), time_key)
        values = {"r": t, "t": t, "drop": sample_drop(config, BATCH, drop_key)}
    elif isinstance(config, MeanFlowConfig):
        time_key, noise_key, drop_key = jax.random.split(key(), 3)
        r, t = sample_times(config.time, BATCH, time_key)
        values = {"r": r, "t": t, "drop": sample_drop(config.guidance, BATCH, drop_key)}
    else:
        time_key, noise_key, drop_key, guidance_key = jax.random.split(key(), 4)
        r, t = sample_times(config.time, BATCH, time_key)
        values = {"r": r, "t": t, "drop": sample_drop(config.guidance, BATCH, drop_key)}
        scale_key, interval_key = jax.random.split(guidance_key)
        if uses_guidance(config):
            values["scale"] = sample_scale(config.guidance, BATCH, scale_key)
        if uses_guidance_interval(config):
            values["interval"] = sample_interval(BATCH, num_equal(config.time, BATCH), interval_key)
    if not case.labelled:
        del values["drop"]
    return {name: np.asarray(value) for name, value in values.items()} | {
        "e": np.asarray(jax.random.normal(noise_key, shape))
    }


Compute = Callable[[VelocityNet, dict[str, jax.Array]], tuple[dict[str, jax.Array], VelocityNet]]


@cache
def computation(case: Case) -> Compute:
    """Results and gradients of a network on inputs, compiled once per case."""
    method = build_method(case.method)

    def compute(net: VelocityNet, given: dict[str, jax.Array]) -> tuple[dict[str, jax.Array], VelocityNet]:
        data = Conditioning(label=given.get("label"), local=given.get("local"))
        x, e, r, t = (given[name] for name in ("x", "e", "r", "t"))
        (loss, metrics), gradient = jax.value_and_grad(
            lambda net: method.loss(net, x, data, jnp.ones_like(x), key()), has_aux=True
        )(net)

        told = data.with_drop(given.get("drop")).with_guidance(given.get("scale")).with_interval(given.get("interval"))
        z = interpolate(x, e, t)
        results = {
            "loss": loss,
            "error": metrics["mean_velocity_loss" if isinstance(case.method, MeanFlowConfig) else "velocity_loss"],
        }
        tangent = e - x
        if not isinstance(case.method, MeanFlowConfig):
            results["v"] = tangent = instantaneous_velocity(net, z, t, told)
        if not isinstance(case.method, FlowMatchingConfig):
            results["u"], results["derivative"], _ = mean_velocity_and_derivative(net, z, r, t, tangent, told)

        asked = told.with_drop(None)
        if isinstance(case.method, FlowMatchingConfig) and case.method.sampling_scale > 1.0:
            asked = asked.with_guidance(jnp.full(BATCH, case.method.sampling_scale))
        results["samples"] = sample(method, net, given["start"], asked, num_steps=NUM_STEPS)
        return results, gradient

    return jax.jit(compute)


def our_results(case: Case, weights: Arrays, inputs: Arrays) -> Arrays:
    """Loss, error, gradients, velocities, du/dt and samples."""
    given = {name: jnp.asarray(array) for name, array in inputs.items()}
    results, gradient = computation(case)(network_with(case, weights), given)
    gradients = {f"gradient.{name}": array for name, array in named_arrays(gradient).items()}
    return {name: np.asarray(value) for name, value in results.items()} | gradients


def differences(actual: Arrays, expected: Arrays) -> dict[str, float]:
    """Largest difference over the largest expected value, as a multiple of what is allowed."""
    assert set(actual) == set(expected)
    result = {}
    for name, value in expected.items():
        assert actual[name].shape == value.shape, name
        assert np.abs(value).max() > 0.0, name
        relative = np.abs(actual[name] - value).max() / np.abs(value).max()
        result[name] = float(relative / BARS.get(name.split(".")[0], OTHER_BAR))
    return result


def beyond(actual: Arrays, expected: Arrays) -> dict[str, float]:
    """The differences that are not allowed."""
    return {name: value for name, value in differences(actual, expected).items() if not value <= 1.0}
