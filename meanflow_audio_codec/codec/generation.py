"""Sampling from a generative model: labels to signals, without a recording."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int, Key

from meanflow_audio_codec.codec.decoding_options import check_decoding_options
from meanflow_audio_codec.codec.pretrained import PretrainedModel
from meanflow_audio_codec.configs.methods import ImprovedMeanFlowConfig
from meanflow_audio_codec.errors import InputError
from meanflow_audio_codec.models.build import uses_guidance
from meanflow_audio_codec.models.codec_model import CodecModel
from meanflow_audio_codec.models.conditioning import Conditioning
from meanflow_audio_codec.models.methods.sampling import sample

BATCH_SIZE = 250


def default_guidance_scale(pretrained: PretrainedModel) -> float:
    """The guidance scale that the model's configuration names for sampling."""
    method = pretrained.config.method
    return method.guidance.sampling_scale if isinstance(method, ImprovedMeanFlowConfig) else 1.0


def largest_guidance_scale(pretrained: PretrainedModel) -> float:
    """The largest guidance scale that the model was trained with; 1 without guidance."""
    method = pretrained.config.method
    return method.guidance.max_scale if isinstance(method, ImprovedMeanFlowConfig) else 1.0


def generate(
    pretrained: PretrainedModel,
    labels: Int[np.ndarray, " b"],
    *,
    seed: int,
    num_steps: int = 1,
    temperature: float = 1.0,
    guidance_scale: float = 1.0,
) -> Float[np.ndarray, "b *signal"]:
    """One signal per label; the noise of each depends on the seed and its place in the list.

    Raises:
        InputError: the model is a codec, was trained without labels, or knows no such label; a guidance scale that was
            not trained; or an option out of range.
    """
    if pretrained.model.encoder is not None:
        raise InputError(f"model {pretrained.name} is a codec: it decodes files and cannot sample from nothing")
    num_classes = pretrained.config.decoder.num_classes
    if num_classes == 0:
        raise InputError(f"model {pretrained.name} was trained without labels")
    if labels.size == 0 or labels.min() < 0 or labels.max() >= num_classes:
        raise InputError(f"labels must lie in 0 ... {num_classes - 1}")
    guided = uses_guidance(pretrained.config.method)
    largest = largest_guidance_scale(pretrained)
    check_decoding_options(num_steps=num_steps, temperature=temperature, seed=seed)
    if not 1.0 <= guidance_scale <= largest:
        raise InputError(f"guidance scale must lie in 1 ... {largest}, not {guidance_scale}")

    @jax.jit
    def decode(model: CodecModel, label: Int[Array, " b"], keys: Key[Array, " b"]) -> Float[Array, "b *signal"]:
        spec = pretrained.tokenizer.spec
        noise = jax.vmap(lambda key: jax.random.normal(key, (spec.num_tokens, spec.channels)))(keys)
        conditioning = Conditioning(label=label, guidance=jnp.full(len(label), guidance_scale) if guided else None)
        tokens = sample(
            pretrained.method,
            model.decoder,
            noise,
            conditioning,
            num_steps=num_steps,
            temperature=temperature,
        )
        side = jnp.zeros((*tokens.shape[:2], 0), jnp.int32)
        return pretrained.tokenizer.detokenize(pretrained.normalizer.denormalize(tokens, side))

    padded = np.pad(labels.astype(np.int32), (0, -len(labels) % BATCH_SIZE))
    fold = jax.vmap(partial(jax.random.fold_in, jax.random.key(seed)))
    signals = [
        np.asarray(
            decode(
                pretrained.model, jnp.asarray(padded[first : first + BATCH_SIZE]), fold(first + jnp.arange(BATCH_SIZE))
            )
        )
        for first in range(0, len(padded), BATCH_SIZE)
    ]
    return np.concatenate(signals)[: len(labels)]
