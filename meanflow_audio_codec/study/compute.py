"""What a cell costs: parameters, and floating-point operations of one training step, without running it."""

from math import prod
from typing import Any

import jax
import jax.numpy as jnp
from jax.extend.core import ClosedJaxpr, Jaxpr, JaxprEqn

from meanflow_audio_codec.configs.data import (
    AudioFolderConfig,
    GaussianConfig,
    MnistConfig,
    SyntheticAudioConfig,
    SyntheticImagesConfig,
)
from meanflow_audio_codec.configs.experiment import MNIST_SIZE, ExperimentConfig
from meanflow_audio_codec.configs.tokens import ChannelStatisticsConfig
from meanflow_audio_codec.models.build import build_method, build_model, count_parameters
from meanflow_audio_codec.preprocessing.normalization import build_normalizer
from meanflow_audio_codec.preprocessing.specs import SignalSpec
from meanflow_audio_codec.preprocessing.tokenizers import build_tokenizer, segment_signal
from meanflow_audio_codec.trainers.step import make_loss


def num_parameters(config: ExperimentConfig) -> int:
    """Trainable floats of encoder and decoder; an adversary does not count, for it is not needed afterwards."""
    model = _parts(config)[-1]
    return count_parameters(model) - (0 if model.discriminator is None else count_parameters(model.discriminator))


def flops_per_step(config: ExperimentConfig) -> int:
    """Operations of the matrix products and convolutions of one step, loss and gradient; two per multiply-add.

    The depthwise convolutions are sums of shifted copies and not counted, nor is the optimiser.
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
    return matrix_operations(jax.make_jaxpr(jax.grad(loss, has_aux=True))(*arguments))


def _parts(config: ExperimentConfig) -> tuple[SignalSpec, Any, Any, Any, Any]:
    signal = _signal(config)
    tokenizer = segment_tokenizer = build_tokenizer(config.tokenizer, signal)
    if config.segment_tokens is not None:
        segment = segment_signal(config.tokenizer, signal, config.segment_tokens)
        segment_tokenizer = build_tokenizer(config.tokenizer, segment)
    channels = tokenizer.spec.channels
    fitted = isinstance(config.normalization, ChannelStatisticsConfig)
    state = {"mean": [0.0] * channels, "scale": [1.0] * channels} if fitted else {}
    normalizer = build_normalizer(config.normalization, tokenizer.spec, signal, state)
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


def matrix_operations(jaxpr: ClosedJaxpr | Jaxpr) -> int:
    """Operations of the matrix products and convolutions of a program, two per multiply-add.

    What a loop repeats counts as often as it is repeated, where that is known before it runs, and else once.
    """
    inner = jaxpr.jaxpr if isinstance(jaxpr, ClosedJaxpr) else jaxpr
    return sum(_cost(equation) for equation in inner.eqns)


def _cost(equation: JaxprEqn) -> int:
    match equation.primitive.name:
        case "dot_general":
            (contracting, _), _ = equation.params["dimension_numbers"]
            left = _shape(equation.invars[0])
            return 2 * prod(_shape(equation.outvars[0])) * prod(left[axis] for axis in contracting)
        case "conv_general_dilated":
            kernel = _shape(equation.invars[1])
            outputs = kernel[equation.params["dimension_numbers"].rhs_spec[0]]
            return 2 * prod(_shape(equation.outvars[0])) * prod(kernel) // outputs
        case _:
            inner = [value for value in jax.tree.leaves(equation.params, is_leaf=_is_jaxpr) if _is_jaxpr(value)]
            repeats = equation.params["length"] if equation.primitive.name == "scan" else 1
            return repeats * sum(map(matrix_operations, inner))


def _shape(variable: Any) -> tuple[int, ...]:
    return variable.aval.shape


def _is_jaxpr(value: Any) -> bool:
    return isinstance(value, ClosedJaxpr | Jaxpr)
