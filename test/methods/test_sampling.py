"""Decoding: exact for mean velocities at any step count, first order for instantaneous ones, noiseless for (A)."""

from collections.abc import Iterator
from itertools import pairwise

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.stats import kstest

from meanflow_audio_codec.configs.methods import (
    AdversarialConfig,
    AutoencoderConfig,
    FlowMatchingConfig,
    ImprovedMeanFlowConfig,
    MeanFlowConfig,
    MethodConfig,
)
from meanflow_audio_codec.datasets.synthetic import instantaneous_velocity, mean_velocity
from meanflow_audio_codec.models.build import build_method
from meanflow_audio_codec.models.conditioning import Conditioning
from meanflow_audio_codec.models.methods.autoencoder import Autoencoder
from meanflow_audio_codec.models.methods.base import Method
from meanflow_audio_codec.models.methods.improved_mean_flow import ImprovedMeanFlow
from meanflow_audio_codec.models.methods.sampling import sample
from meanflow_audio_codec.models.velocity import Velocity

SCALE = 0.3
FLOW = ImprovedMeanFlow(ImprovedMeanFlowConfig())
AUTOENCODER = Autoencoder(AutoencoderConfig())


@pytest.fixture(autouse=True)
def _float64() -> Iterator[None]:
    with jax.enable_x64(True):
        yield


def mean_oracle(z: jax.Array, r: jax.Array, t: jax.Array, conditioning: Conditioning) -> Velocity:
    return Velocity(mean_velocity(z, r, t, SCALE), None)


def euler_oracle(z: jax.Array, r: jax.Array, t: jax.Array, conditioning: Conditioning) -> Velocity:
    """The velocity at the start of the step: what flow matching follows."""
    return Velocity(instantaneous_velocity(z, t, SCALE), None)


def noise() -> jax.Array:
    return jax.random.normal(jax.random.key(0), (50, 4, 5))


@pytest.mark.parametrize("num_steps", [1, 2, 3, 17])
def test_steps_of_the_mean_velocity_are_exact(num_steps: int) -> None:
    """z_0 = z_1 sigma(0) / sigma(1) = s z_1, whatever the number of steps."""
    x = sample(FLOW, mean_oracle, noise(), Conditioning(), num_steps=num_steps)
    np.testing.assert_allclose(x, SCALE * noise(), rtol=1e-12)


def test_one_step_makes_the_data_distribution_of_noise() -> None:
    z = jax.random.normal(jax.random.key(1), (400, 4, 5))
    x = sample(FLOW, mean_oracle, z, Conditioning(), num_steps=1)
    assert kstest(np.ravel(x) / SCALE, "norm").pvalue > 1e-3


def test_steps_of_the_instantaneous_velocity_converge_at_first_order() -> None:
    """Euler: twice the steps, half the error."""
    errors = []
    for num_steps in (64, 128, 256):
        x = sample(FLOW, euler_oracle, noise(), Conditioning(), num_steps=num_steps)
        errors.append(float(jnp.abs(x - SCALE * noise()).max()))
    for coarse, fine in pairwise(errors):
        assert coarse / fine == pytest.approx(2.0, rel=0.05)
    assert errors[-1] < 0.02


@pytest.mark.parametrize("temperature", [0.0, 0.5, 2.0])
def test_temperature_scales_the_initial_noise(temperature: float) -> None:
    scaled = sample(FLOW, mean_oracle, noise(), Conditioning(), num_steps=2, temperature=temperature)
    np.testing.assert_allclose(scaled, temperature * SCALE * noise(), rtol=1e-12, atol=0)


def test_temperature_may_be_traced() -> None:
    decode = jax.jit(lambda value: sample(FLOW, mean_oracle, noise(), Conditioning(), num_steps=1, temperature=value))
    np.testing.assert_allclose(decode(0.7), 0.7 * SCALE * noise(), rtol=1e-12)


def test_the_times_cover_the_interval_downwards() -> None:
    """Each step starts where the last one ended: 1 -> 0.75 -> 0.5 -> 0.25 -> 0."""
    seen: list[tuple[float, float]] = []

    def watch(z: jax.Array, r: jax.Array, t: jax.Array, conditioning: Conditioning) -> Velocity:
        jax.debug.callback(lambda r, t: seen.append((float(r), float(t))), r[0], t[0], ordered=True)
        return Velocity(jnp.zeros_like(z), None)

    sample(FLOW, watch, noise(), Conditioning(), num_steps=4)
    jax.effects_barrier()
    assert seen == [(0.75, 1.0), (0.5, 0.75), (0.25, 0.5), (0.0, 0.25)]


def test_the_autoencoder_ignores_noise_and_temperature() -> None:
    """It decodes -u(0, 0, 1): with u = z (t + 1) - 3 + r, that is 3."""

    def net(z: jax.Array, r: jax.Array, t: jax.Array, conditioning: Conditioning) -> Velocity:
        return Velocity(z * (t + 1.0)[:, None, None] - 3.0 + r[:, None, None], None)

    for temperature in (0.0, 1.0, 5.0):
        x = sample(AUTOENCODER, net, noise(), Conditioning(), num_steps=1, temperature=temperature)
        np.testing.assert_array_equal(x, jnp.full_like(x, 3.0))


def test_the_loss_of_the_autoencoder_is_the_error_of_what_it_decodes() -> None:
    def net(z: jax.Array, r: jax.Array, t: jax.Array, conditioning: Conditioning) -> Velocity:
        assert conditioning.local is not None
        return Velocity(z + conditioning.local * t[:, None, None], None)

    x, local = noise(), jax.random.normal(jax.random.key(2), noise().shape)
    conditioning = Conditioning(local=local)
    loss, metrics = AUTOENCODER.loss(net, x, conditioning, jnp.ones_like(x), jax.random.key(3))
    decoded = sample(AUTOENCODER, net, noise(), conditioning, num_steps=1)
    np.testing.assert_array_equal(decoded, -local)
    assert float(loss) == pytest.approx(float(((decoded - x) ** 2).mean()), rel=1e-12)
    assert metrics["reconstruction_loss"] == metrics["unweighted_loss"] == loss
    exact, _ = AUTOENCODER.loss(net, x, Conditioning(local=-x), jnp.ones_like(x), jax.random.key(3))
    assert float(exact) == 0.0


@pytest.mark.parametrize("num_steps", [0, -1])
def test_fewer_than_one_step_is_an_error(num_steps: int) -> None:
    with pytest.raises(ValueError, match=f"num_steps must be at least 1, not {num_steps}"):
        sample(FLOW, mean_oracle, noise(), Conditioning(), num_steps=num_steps)


def test_what_decoding_does_unless_told_otherwise() -> None:
    method = ImprovedMeanFlow(ImprovedMeanFlowConfig(default_num_steps=3, default_temperature=0.7))
    assert (method.default_num_steps, method.default_temperature, method.noise_scale) == (3, 0.7, 1.0)
    assert (AUTOENCODER.default_num_steps, AUTOENCODER.noise_scale) == (1, 0.0)
    assert isinstance(method, Method)
    assert isinstance(AUTOENCODER, Method)


@pytest.mark.parametrize(
    ("config", "per_step", "per_guided_step"),
    [
        (AutoencoderConfig(), 1, 1),
        (AdversarialConfig(), 1, 1),
        (FlowMatchingConfig(), 1, 2),
        (MeanFlowConfig(), 1, 1),
        (ImprovedMeanFlowConfig(), 1, 1),
    ],
)
def test_the_evaluations_that_a_method_states_are_those_it_takes(
    config: MethodConfig, per_step: int, per_guided_step: int
) -> None:
    method = build_method(config)
    assert isinstance(method, Method)
    calls = 0

    def count(z: jax.Array, r: jax.Array, t: jax.Array, conditioning: Conditioning) -> Velocity:
        nonlocal calls
        calls += 1
        return Velocity(jnp.zeros_like(z), None)

    with jax.disable_jit():
        for guided, per in ((False, per_step), (True, per_guided_step)):
            conditioning, calls = Conditioning(guidance=jnp.full(1, 2.0) if guided else None), 0
            sample(method, count, jnp.ones((1, 1, 1)), conditioning, num_steps=3)
            assert calls == 3 * per == method.num_evaluations(3, guided=guided)
