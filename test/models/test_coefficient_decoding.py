"""From integers and noise to coefficients: what temperature and prior do to the energy of a band."""

from itertools import pairwise

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from meanflow_audio_codec.configs.decoding import DecodingConfig
from meanflow_audio_codec.configs.methods import ImprovedMeanFlowConfig
from meanflow_audio_codec.configs.networks import ConvNeXtConfig, VelocityNetConfig
from meanflow_audio_codec.configs.tokens import BlockGainShapeConfig, OperatingPointConfig
from meanflow_audio_codec.models.build import build_method
from meanflow_audio_codec.models.codec_model import LocalCondition
from meanflow_audio_codec.models.coefficient_decoding import coefficients_from_noise
from meanflow_audio_codec.models.prior import Prediction
from meanflow_audio_codec.models.velocity import VelocityNet
from meanflow_audio_codec.preprocessing.block_gain_shape import BlockGainShapeNormalizer
from meanflow_audio_codec.preprocessing.specs import TokenSpec

BINS, BANDS, FRAMES = 64, 4, 8
RANDOM = np.random.default_rng(0)
# Between a quarter and eight times what is decoded, where the correction is not limited.
MEAN = jnp.asarray(RANDOM.uniform(-1.5, 1.5, (1, FRAMES, BINS)), jnp.float32)
LOG_SCALE = jnp.asarray(RANDOM.uniform(-0.3, 0.3, (1, FRAMES, BINS)), jnp.float32)
NOISE = jnp.asarray(RANDOM.standard_normal((1, FRAMES, BINS)), jnp.float32)


def normalizer(restoration: float, uncertainty: float = 0.0) -> BlockGainShapeNormalizer:
    config = BlockGainShapeConfig(
        num_bands=BANDS,
        operating_points=(OperatingPointConfig(bits_per_second=1_000, envelope_step_db=10.0, num_digits=3),),
    )
    decoding = DecodingConfig(energy_restoration=restoration, uncertainty_exponent=uncertainty)
    return BlockGainShapeNormalizer(config, decoding, BINS, 16_000, tuple(np.eye(BANDS).ravel().tolist()))


def decoded(temperature: float, restoration: float, *, with_prior: bool = True, uncertainty: float = 0.0) -> np.ndarray:
    """Tokens before they are multiplied by the gains, of a decoder that returns the noise it is given."""
    config = VelocityNetConfig(
        architecture=ConvNeXtConfig(width=4, num_blocks=1, kernel_size=3), condition_width=4, num_time_frequencies=2
    )
    decoder = VelocityNet(config, TokenSpec((FRAMES,), BINS), 2, use_guidance=True, rngs=nnx.Rngs(0))
    blocks = normalizer(restoration, uncertainty)
    side = jnp.full((1, FRAMES, len(blocks.side_levels)), 300, jnp.int32).at[..., BANDS:].set(0)
    prediction = Prediction(jnp.zeros((1, FRAMES, 2)), MEAN, LOG_SCALE) if with_prior else None
    coefficients = coefficients_from_noise(
        build_method(ImprovedMeanFlowConfig()),
        blocks,
        jax.tree.map(jnp.zeros_like, decoder),
        LocalCondition(jnp.zeros((1, FRAMES, 2)), prediction),
        side,
        NOISE,
        num_steps=1,
        temperature=temperature,
    )
    return np.asarray(blocks.divide(coefficients, side))


def of_bands(values: np.ndarray) -> np.ndarray:
    """Mean over the bins of each band."""
    edges = normalizer(0.0).edges
    return np.stack([values[..., low:high].mean(axis=-1) for low, high in pairwise(edges)], axis=-1)


@pytest.mark.parametrize("temperature", [0.25, 0.5, 1.0])
def test_full_restoration_gives_every_band_the_energy_that_the_prior_expects(temperature: float) -> None:
    """Of mean and scale together: mean^2 + scale^2, whatever was drawn."""
    expected = of_bands(np.asarray(MEAN) ** 2 + np.exp(2.0 * np.asarray(LOG_SCALE)))
    np.testing.assert_allclose(of_bands(decoded(temperature, 1.0) ** 2), expected, rtol=1e-4)


def test_half_a_restoration_goes_half_the_way_in_decibels() -> None:
    none, half, full = (np.log(of_bands(decoded(0.5, share) ** 2)) for share in (0.0, 0.5, 1.0))
    np.testing.assert_allclose(half, (none + full) / 2.0, atol=1e-4)


def test_below_a_quarter_the_restoration_fades_out() -> None:
    at_zero = decoded(0.0, 1.0)
    np.testing.assert_allclose(at_zero, MEAN, rtol=1e-4, atol=1e-6)
    settings = ((0.125, 0.0), (0.125, 1.0), (1.0, 1.0))
    none, at_eighth, expected = (np.log(of_bands(decoded(*each) ** 2)) for each in settings)
    np.testing.assert_allclose(at_eighth, (none + expected) / 2.0, atol=1e-4)


@pytest.mark.parametrize("temperature", [0.0, 0.3, 1.0])
def test_the_noise_has_the_temperature_and_the_scale_of_the_prior(temperature: float) -> None:
    np.testing.assert_allclose(
        decoded(temperature, 0.0), np.asarray(MEAN + jnp.exp(LOG_SCALE) * temperature * NOISE), rtol=1e-4, atol=1e-5
    )
    np.testing.assert_allclose(
        decoded(temperature, 1.0, with_prior=False), temperature * np.asarray(NOISE), rtol=1e-4, atol=1e-6
    )


@pytest.mark.parametrize("exponent", [0.5, 1.0])
def test_noise_falls_with_the_share_of_the_energy_that_the_prior_does_not_know(exponent: float) -> None:
    """Variance over mean^2 + variance, both averaged over the band."""
    variance = np.exp(2.0 * np.asarray(LOG_SCALE))
    unknown = of_bands(variance) / of_bands(np.asarray(MEAN) ** 2 + variance)
    noise = (decoded(1.0, 0.0, uncertainty=exponent) - np.asarray(MEAN)) / np.exp(np.asarray(LOG_SCALE))
    louder_by = of_bands(noise**2) / of_bands(np.asarray(NOISE) ** 2)
    np.testing.assert_allclose(louder_by, unknown ** (2.0 * exponent), rtol=1e-3)
