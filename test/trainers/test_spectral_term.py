"""What the spectral loss is given: two draws with noise of their own, at the temperature drawn, pushed apart by it."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from meanflow_audio_codec.configs.experiment import SpectralLossConfig
from meanflow_audio_codec.configs.methods import ImprovedMeanFlowConfig
from meanflow_audio_codec.configs.networks import ConvNeXtConfig, VelocityNetConfig
from meanflow_audio_codec.configs.tokens import MDCTConfig
from meanflow_audio_codec.models.build import build_method
from meanflow_audio_codec.models.codec_model import LocalCondition
from meanflow_audio_codec.models.velocity import VelocityNet
from meanflow_audio_codec.preprocessing.channel_statistics import ChannelNormalizer
from meanflow_audio_codec.preprocessing.specs import SignalSpec
from meanflow_audio_codec.preprocessing.tokenizers import build_tokenizer
from meanflow_audio_codec.trainers.spectral_loss import repulsion_of_temperature
from meanflow_audio_codec.trainers.spectral_term import make_spectral_term

SIGNAL = SignalSpec((2_048,), 16_000)
TOKENIZER = build_tokenizer(MDCTConfig(hop_length=64), SIGNAL)
CHANNELS = TOKENIZER.spec.channels
NORMALIZER = ChannelNormalizer((0.0,) * CHANNELS, (1.0,) * CHANNELS)


def loss(temperature: float, *, repulsion: float, seed: int = 0) -> float:
    """Of a decoder whose velocity is zero: what it draws is its noise times the temperature.

    The recording is noise as well.
    """
    spectral = SpectralLossConfig(windows=(128, 256), temperatures=(temperature, temperature), repulsion=repulsion)
    config = VelocityNetConfig(
        architecture=ConvNeXtConfig(width=4, num_blocks=1, kernel_size=3), condition_width=4, num_time_frequencies=2
    )
    decoder = VelocityNet(config, TOKENIZER.spec, 2, use_guidance=True, rngs=nnx.Rngs(0))
    decoder = jax.tree.map(jnp.zeros_like, decoder)
    term = make_spectral_term(TOKENIZER, NORMALIZER, build_method(ImprovedMeanFlowConfig()), spectral)
    shape = (2, TOKENIZER.spec.num_tokens)
    tokens = jnp.asarray(np.random.default_rng(1).standard_normal((*shape, CHANNELS)), jnp.float32)
    condition = LocalCondition(jnp.zeros((*shape, 2)), None)
    return float(term(tokens, decoder, condition, jnp.zeros((*shape, 0), jnp.int32), jax.random.key(seed)))


def pushed_apart(temperature: float) -> float:
    """What is taken off the loss for the distance of the two draws, which is that of their noise at any temperature."""
    return loss(temperature, repulsion=1e-6) - loss(temperature, repulsion=1.0)


def test_the_two_draws_have_noise_of_their_own() -> None:
    """Logarithms of two noises differ as much as that of the recording, noise as well, does from either."""
    distance = loss(1.0, repulsion=1e-6)
    assert pushed_apart(1.0) == pytest.approx(0.5 * distance, rel=0.1)


@pytest.mark.parametrize("temperature", [0.2, 0.5])
def test_draws_are_pushed_apart_by_their_temperature(temperature: float) -> None:
    share = float(repulsion_of_temperature(jnp.float32(temperature)) / repulsion_of_temperature(jnp.float32(1.0)))
    assert pushed_apart(temperature) == pytest.approx(share * pushed_apart(1.0), rel=1e-3)


@pytest.mark.parametrize("repulsion", [0.0, 1e-6])
def test_the_draw_has_the_temperature_that_was_drawn(repulsion: float) -> None:
    """Far below the recording's level, the distance of logarithms grows as that of the temperature."""
    colder = loss(0.001, repulsion=repulsion) - loss(0.01, repulsion=repulsion)
    assert colder == pytest.approx(np.log(10.0), rel=0.02)


def test_other_keys_draw_other_noise() -> None:
    assert loss(1.0, repulsion=0.0) != loss(1.0, repulsion=0.0, seed=1)
