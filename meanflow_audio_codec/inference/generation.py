"""Sampling from a generative model: labels to signals, without a recording."""

import math
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int, Key

from meanflow_audio_codec.configs.methods import (
    FixedGuidanceConfig,
    FlowMatchingConfig,
    GuidanceConfig,
    ImprovedMeanFlowConfig,
    MeanFlowConfig,
    MethodConfig,
)
from meanflow_audio_codec.errors import InputError
from meanflow_audio_codec.inference.decoding_options import DecodingOptions
from meanflow_audio_codec.inference.given_numbers import number
from meanflow_audio_codec.inference.jax_settings import noise_key, own_jax_settings
from meanflow_audio_codec.inference.pretrained import PretrainedModel
from meanflow_audio_codec.models.build import uses_guidance
from meanflow_audio_codec.models.codec_model import CodecModel
from meanflow_audio_codec.models.conditioning import Conditioning
from meanflow_audio_codec.models.methods.sampling import sample

BATCH_SIZE = 250


def default_guidance_scale(pretrained: PretrainedModel) -> float:
    """The guidance scale that the model's configuration names for sampling."""
    return sampling_guidance_scale(pretrained.config.method)


def sampling_guidance_scale(config: MethodConfig) -> float:
    """The guidance scale that a configuration names for sampling, or trains into the velocity; 1 without guidance."""
    match config:
        case (
            FlowMatchingConfig(sampling_scale=scale)
            | MeanFlowConfig(guidance=FixedGuidanceConfig(scale=scale))
            | ImprovedMeanFlowConfig(guidance=FixedGuidanceConfig(scale=scale))
            | ImprovedMeanFlowConfig(guidance=GuidanceConfig(sampling_scale=scale))
        ):
            return scale
        case _:
            return 1.0


def smallest_guidance_scale(pretrained: PretrainedModel) -> float:
    """The smallest guidance scale that the model can sample with: 1, or the only one that it was trained with."""
    match pretrained.config.method:
        case (
            MeanFlowConfig(guidance=FixedGuidanceConfig(scale=scale))
            | ImprovedMeanFlowConfig(guidance=FixedGuidanceConfig(scale=scale))
        ):
            return scale
        case _:
            return 1.0


def largest_guidance_scale(pretrained: PretrainedModel) -> float:
    """The largest guidance scale that the model can sample with: infinite for flow matching, 1 without guidance."""
    match pretrained.config.method:
        case FlowMatchingConfig():
            return math.inf
        case ImprovedMeanFlowConfig(guidance=GuidanceConfig(max_scale=scale)):
            return scale
        case _:
            return smallest_guidance_scale(pretrained)


@own_jax_settings()
def generate(
    pretrained: PretrainedModel,
    labels: Int[np.ndarray, " b"],
    *,
    seed: int,
    num_steps: int | None = None,
    temperature: float | None = None,
    guidance_scale: float | None = None,
) -> Float[np.ndarray, "b *signal"]:
    """One signal per label; the noise of each depends on the seed and its place in the list.

    Steps, temperature and guidance scale are those of the model's configuration unless told otherwise.

    Raises:
        InputError: the model is a codec or an autoencoder, was trained without labels, or knows no such label; a
            guidance scale that was not trained; or an option out of range.
    """
    if pretrained.model.encoder is not None:
        raise InputError(f"model {pretrained.name} is a codec: it decodes files and cannot sample from nothing")
    if pretrained.method.noise_scale == 0.0:
        raise InputError(
            f"model {pretrained.name} is an autoencoder ({pretrained.config.method.kind}): it decodes without noise, "
            "and cannot sample"
        )
    num_classes = pretrained.config.decoder.num_classes
    if num_classes == 0:
        raise InputError(f"model {pretrained.name} was trained without labels")
    labels = np.asarray(labels)
    if labels.ndim != 1 or (labels.size and labels.dtype.kind not in "iu"):
        raise InputError(f"labels must be a row of whole numbers, not {labels.dtype} of shape {labels.shape}")
    if labels.size == 0 or labels.min() < 0 or labels.max() >= num_classes:
        raise InputError(f"labels must lie in 0 ... {num_classes - 1}")
    options = DecodingOptions.of(pretrained.method, num_steps=num_steps, temperature=temperature, seed=seed)
    if guidance_scale is None:
        guidance_scale = default_guidance_scale(pretrained)
    guidance_scale = number(guidance_scale, "the guidance scale")
    _check_guidance_scale(pretrained, guidance_scale)

    @jax.jit
    def decode(model: CodecModel, label: Int[Array, " b"], keys: Key[Array, " b"]) -> Float[Array, "b *signal"]:
        spec = pretrained.tokenizer.spec
        noise = jax.vmap(lambda key: jax.random.normal(key, (spec.num_tokens, spec.channels)))(keys)
        conditioning = _guided(pretrained.config.method, Conditioning(label=label), len(label), guidance_scale)
        tokens = sample(
            pretrained.method,
            model.decoder,
            noise,
            conditioning,
            num_steps=options.num_steps,
            temperature=options.temperature,
        )
        side = jnp.zeros((*tokens.shape[:2], 0), jnp.int32)
        return pretrained.tokenizer.detokenize(pretrained.normalizer.denormalize(tokens, side))

    padded = np.pad(labels.astype(np.int32), (0, -len(labels) % BATCH_SIZE))
    fold = jax.vmap(partial(jax.random.fold_in, noise_key(options.seed)))
    signals = [
        np.asarray(
            decode(
                pretrained.model, jnp.asarray(padded[first : first + BATCH_SIZE]), fold(first + jnp.arange(BATCH_SIZE))
            )
        )
        for first in range(0, len(padded), BATCH_SIZE)
    ]
    return np.concatenate(signals)[: len(labels)]


def _check_guidance_scale(pretrained: PretrainedModel, scale: float) -> None:
    smallest, largest = smallest_guidance_scale(pretrained), largest_guidance_scale(pretrained)
    if smallest <= scale <= largest and math.isfinite(scale):
        return
    if smallest == largest:
        raise InputError(f"guidance scale must be {smallest:g}, the one that was trained, not {scale:g}")
    if math.isinf(largest):
        raise InputError(f"guidance scale must be a number from {smallest:g}, not {scale:g}")
    raise InputError(f"guidance scale must lie in {smallest:g} ... {largest:g}, not {scale:g}")


def _guided(config: MethodConfig, conditioning: Conditioning, batch_size: int, scale: float) -> Conditioning:
    """What the method is told of the guidance scale: nothing if it is trained in, or 1 and would cost evaluations."""
    told = uses_guidance(config) or (isinstance(config, FlowMatchingConfig) and scale != 1.0)
    if told:
        conditioning = conditioning.with_guidance(jnp.full(batch_size, scale))
    if isinstance(config, ImprovedMeanFlowConfig) and isinstance(config.guidance, GuidanceConfig) and told:
        interval = jnp.array(config.guidance.sampling_interval)
        conditioning = conditioning.with_interval(jnp.broadcast_to(interval, (batch_size, 2)))
    return conditioning
