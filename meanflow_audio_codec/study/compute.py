"""What a cell costs: parameters, and floating-point operations of one training step, without running it."""

from typing import Any

import jax
import jax.numpy as jnp

from meanflow_audio_codec.configs.data import (
    AudioFolderConfig,
    GaussianConfig,
    MnistConfig,
    SyntheticAudioConfig,
    SyntheticImagesConfig,
)
from meanflow_audio_codec.configs.experiment import MNIST_SIZE, ExperimentConfig
from meanflow_audio_codec.models.build import build_method, build_model, count_parameters
from meanflow_audio_codec.preprocessing.normalization import build_normalizer, unfitted_state
from meanflow_audio_codec.preprocessing.specs import SignalSpec
from meanflow_audio_codec.preprocessing.tokenizers import build_tokenizer, segment_signal
from meanflow_audio_codec.trainers.step import make_loss


def num_parameters(config: ExperimentConfig) -> int:
    """Trainable floats of encoder and decoder; an adversary does not count, for it is not needed afterwards."""
    model = _parts(config)[-1]
    return count_parameters(model) - (0 if model.discriminator is None else count_parameters(model.discriminator))


def flops_per_step(config: ExperimentConfig) -> int:
    """Floating-point operations of the loss and its gradient as XLA counts them, before it optimises; no optimiser.

    Raises:
        ValueError: this backend does not count.
    """
    signal, tokenizer, segment_tokenizer, normalizer, model = _parts(config)
    loss = make_loss(tokenizer, segment_tokenizer, normalizer, build_method(config.method), config.training)
    batch = config.training.batch_size
    arguments = (
        model,
        jax.ShapeDtypeStruct((batch, *signal.shape), jnp.float32),
        jax.ShapeDtypeStruct((batch,), jnp.int32) if config.decoder.num_classes else None,
        jax.eval_shape(lambda: jax.random.key(0)),
        jax.ShapeDtypeStruct((), jnp.int32),
    )
    costs = jax.jit(jax.grad(loss, has_aux=True)).lower(*arguments).cost_analysis()
    if costs is None or "flops" not in costs:
        raise ValueError(f"XLA counts no operations on {jax.default_backend()}")
    return round(costs["flops"])


def _parts(config: ExperimentConfig) -> tuple[SignalSpec, Any, Any, Any, Any]:
    signal = _signal(config)
    tokenizer = segment_tokenizer = build_tokenizer(config.tokenizer, signal)
    if config.segment_tokens is not None:
        segment = segment_signal(config.tokenizer, signal, config.segment_tokens)
        segment_tokenizer = build_tokenizer(config.tokenizer, segment)
    state = unfitted_state(config.normalization, tokenizer.spec)
    normalizer = build_normalizer(config.normalization, config.decoding, tokenizer.spec, signal, state)
    spec = segment_tokenizer.spec
    model = jax.eval_shape(lambda: build_model(config, spec, len(normalizer.side_levels), jax.random.key(0)))
    return signal, tokenizer, segment_tokenizer, normalizer, model


def _signal(config: ExperimentConfig) -> SignalSpec:
    match config.dataset:
        case MnistConfig() | SyntheticImagesConfig():
            return SignalSpec((MNIST_SIZE, MNIST_SIZE))
        case AudioFolderConfig() | SyntheticAudioConfig() as audio:
            return SignalSpec((audio.crop_samples,), audio.sample_rate)
        case GaussianConfig() as gaussian:
            return SignalSpec(gaussian.shape)
