"""The loss of a codec of several bit rates, put together: what the encoder is told, what the prior's error is of."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from meanflow_audio_codec.configs.data import SyntheticAudioConfig
from meanflow_audio_codec.configs.decoding import ServingConfig
from meanflow_audio_codec.configs.experiment import ExperimentConfig, SpectralLossConfig, TrainingConfig
from meanflow_audio_codec.configs.networks import (
    ConvNeXtConfig,
    EncoderConfig,
    FSQConfig,
    PriorConfig,
    VelocityNetConfig,
)
from meanflow_audio_codec.configs.tokens import BlockGainShapeConfig, MDCTConfig, OperatingPointConfig
from meanflow_audio_codec.models.build import build_method, build_model
from meanflow_audio_codec.models.codec_model import CodecModel
from meanflow_audio_codec.preprocessing.block_gain_shape import POINT
from meanflow_audio_codec.preprocessing.normalization import build_normalizer
from meanflow_audio_codec.preprocessing.specs import SignalSpec
from meanflow_audio_codec.preprocessing.tokenizers import build_tokenizer
from meanflow_audio_codec.trainers.step import make_loss

BANDS, DIGITS, HOP = 4, 6, 32
SIGNAL = SignalSpec((15 * HOP,), 16_000)
NETWORK = ConvNeXtConfig(width=8, num_blocks=1, kernel_size=3)
CONFIG = ExperimentConfig(
    dataset=SyntheticAudioConfig(crop_samples=SIGNAL.shape[0]),
    tokenizer=MDCTConfig(hop_length=HOP),
    normalization=BlockGainShapeConfig(
        num_bands=BANDS,
        # So coarse that what is divided by the decoded gains lacks unit energy, but not by more than 6 dB.
        operating_points=tuple(
            OperatingPointConfig(bits_per_second=rate, envelope_step_db=6.0, num_digits=digits)
            for rate, digits in ((1_000, DIGITS - 1), (1_200, DIGITS))
        ),
    ),
    serving=ServingConfig(default_bits_per_second=1_000),
    encoder=EncoderConfig(architecture=NETWORK),
    bottleneck=FSQConfig(levels=(5,) * DIGITS),
    prior=PriorConfig(architecture=NETWORK),
    decoder=VelocityNetConfig(architecture=NETWORK, condition_width=8, num_time_frequencies=4),
)
TOKENIZER = build_tokenizer(CONFIG.tokenizer, SIGNAL)
STATE = {"basis": np.eye(BANDS).ravel().tolist()}
NORMALIZER = build_normalizer(CONFIG.normalization, CONFIG.decoding, TOKENIZER.spec, SIGNAL, STATE)
FLAT = TrainingConfig(prior_gain_exponent=0.0, method_gain_exponent=0.0)


def random_model(seed: int = 0) -> CodecModel:
    random = np.random.default_rng(seed)
    skeleton = nnx.eval_shape(
        lambda: build_model(CONFIG, TOKENIZER.spec, len(NORMALIZER.side_levels), jax.random.key(0))
    )
    return jax.tree.map(lambda leaf: jnp.asarray(0.3 * random.standard_normal(leaf.shape), jnp.float32), skeleton)


def loud_noise() -> jax.Array:
    return jnp.asarray(np.random.default_rng(1).standard_normal((4, *SIGNAL.shape)), jnp.float32)


def gradient_and_metrics(model: CodecModel, training: TrainingConfig) -> tuple[CodecModel, dict[str, Any]]:
    loss = make_loss(TOKENIZER, TOKENIZER, NORMALIZER, build_method(CONFIG.method), training)
    return jax.jit(jax.grad(loss, has_aux=True))(model, loud_noise(), None, key_of_the_highest_point(), jnp.array(0))


def key_of_the_highest_point() -> jax.Array:
    """A step's key under which every example has all digits to lose."""
    tokens = TOKENIZER.tokenize(loud_noise())
    for seed in range(200):
        key = jax.random.key(seed)
        side = NORMALIZER.draw(tokens, jax.random.split(key, 3)[0])[1]
        if (np.asarray(side)[..., BANDS + POINT] == 1).all():
            return key
    raise AssertionError("no such key")


def test_the_encoder_is_not_told_how_many_digits_are_kept() -> None:
    """Told of full detail, its feature of digits is a constant, 1: the weights on it learn as the bias does."""
    gradient, _ = gradient_and_metrics(random_model(), FLAT)
    assert gradient.encoder is not None
    digits_row = gradient.encoder.project_in.kernel[...][-2]
    np.testing.assert_allclose(digits_row, gradient.encoder.project_in.bias[...], rtol=1e-3, atol=1e-7)
    assert np.abs(digits_row).max() > 1e-5
    # The prior is told, and its feature is none.
    assert gradient.prior is not None
    told = gradient.prior.project_in
    assert not np.allclose(told.kernel[...][-2], told.bias[...], rtol=1e-1)


def test_the_error_of_the_prior_is_relative_to_the_energy_of_the_band() -> None:
    """A mean of zero leaves all of it: 1 in every band, however coarse its gain is."""
    model = random_model()
    silent = jax.tree.map(jnp.zeros_like, model.prior)
    model = CodecModel(model.encoder, model.bottleneck, silent, model.decoder)
    _, metrics = gradient_and_metrics(model, FLAT)
    assert float(metrics["prior_squared_error"]) == pytest.approx(1.0, rel=1e-3)


def test_the_terms_add_up_by_their_weights() -> None:
    training = TrainingConfig(prior_loss_weight=0.7, method_loss_weight=0.3)
    loss = make_loss(TOKENIZER, TOKENIZER, NORMALIZER, build_method(CONFIG.method), training)
    value, metrics = jax.jit(loss)(random_model(), loud_noise(), None, jax.random.key(0), jnp.array(0))
    prior = metrics["prior_squared_error"] + metrics["prior_scale_loss"]
    without = make_loss(
        TOKENIZER, TOKENIZER, NORMALIZER, build_method(CONFIG.method), TrainingConfig(prior_loss_weight=0.0)
    )
    of_method, other = jax.jit(without)(random_model(), loud_noise(), None, jax.random.key(0), jnp.array(0))
    of_method = of_method - other["bottleneck_loss"]
    expected = metrics["bottleneck_loss"] + 0.7 * prior + 0.3 * of_method
    assert float(value) == pytest.approx(float(expected), rel=1e-5)
    assert float(value) == float(metrics["loss"])


def test_a_term_that_is_switched_on_changes_nothing_that_another_draws() -> None:
    """Operating points, details, noise and times are those of the loss without it."""
    model = random_model()
    _, without = gradient_and_metrics(model, FLAT)
    spectral = FLAT.model_copy(update={"spectral_loss": SpectralLossConfig(windows=(64,))})
    _, with_spectral = gradient_and_metrics(model, spectral)
    assert set(with_spectral) - set(without) == {"spectral_loss"}
    for name in set(without) - {"loss", "objective"}:
        assert float(with_spectral[name]) == pytest.approx(float(without[name]), rel=1e-5), name
    _, of_prior = gradient_and_metrics(model, FLAT.model_copy(update={"method_loss_weight": 0.0}))
    assert float(of_prior["prior_squared_error"]) == pytest.approx(float(without["prior_squared_error"]), rel=1e-5)
