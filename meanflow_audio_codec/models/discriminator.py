"""The adversary of the adversarial method: it scores signals, real ones high, position by position.

Fully convolutional, without normalisation layers and without state, so it is a plain pytree like the other networks.
What it looks at and why is in documentation/research/adversarial.md.
"""

from typing import NamedTuple, Protocol, runtime_checkable

import jax
import jax.numpy as jnp
from flax import nnx
from jaxtyping import Array, Float

from meanflow_audio_codec.configs.networks import DiscriminatorConfig
from meanflow_audio_codec.preprocessing.mdct import mdct

LEAK = 0.2  # slope of the activation below zero
COMPRESSION_POWER = 0.5
# Coefficients this far below the clip's level (60 dB) are no longer compressed, which bounds the gradient at zero.
COMPRESSION_FLOOR = 1e-3
QUIETEST_LEVEL = 1e-4  # root mean square of full scale 1 below which a clip counts as silent

Signal = Float[Array, "b *signal"]


class Judgement(NamedTuple):
    """Scores per position of one view of a signal, and the feature maps that led to them, the first layer's first."""

    scores: Float[Array, "b rows columns"]
    features: tuple[Float[Array, "b _ _ d"], ...]


@runtime_checkable
class Discriminator(Protocol):
    """Judges signals under one or several views."""

    def __call__(self, signal: Signal, reference: Signal) -> list[Judgement]:
        """One judgement per view; `reference`, the original, sets the level of both original and reconstruction."""
        ...


class ConvolutionStack(nnx.Module):
    """Convolutions of stride 2 over a plane of one channel, then one score per position that is left."""

    def __init__(self, config: DiscriminatorConfig, kernel: tuple[int, int], *, rngs: nnx.Rngs):
        self.convolutions = nnx.List(
            [
                nnx.Conv(config.width if block else 1, config.width, kernel, strides=2, rngs=rngs)
                for block in range(config.num_blocks)
            ]
        )
        self.score = nnx.Conv(config.width, 1, (3, 3), rngs=rngs)

    def __call__(self, plane: Float[Array, "b rows columns"]) -> Judgement:
        """Scores and features."""
        h = plane[..., None]
        features = []
        for convolution in self.convolutions:
            h = jax.nn.leaky_relu(convolution(h), LEAK)
            features.append(h)
        return Judgement(self.score(h)[..., 0], tuple(features))


class AudioDiscriminator(nnx.Module):
    """One stack per MDCT length, over (time, frequency), after MDCTCodec's (arXiv 2411.00464)."""

    def __init__(self, config: DiscriminatorConfig, *, rngs: nnx.Rngs):
        self.hop_lengths = config.hop_lengths
        self.stacks = nnx.List([ConvolutionStack(config, (3, 5), rngs=rngs) for _ in config.hop_lengths])

    def __call__(self, signal: Float[Array, "b samples"], reference: Float[Array, "b samples"]) -> list[Judgement]:
        """One judgement per MDCT length, of the signal scaled by the level of the reference."""
        level = jnp.sqrt(jnp.mean(reference**2, axis=-1, keepdims=True) + QUIETEST_LEVEL**2)
        return [
            stack(compress(mdct(signal / level, hop_length)))
            for hop_length, stack in zip(self.hop_lengths, self.stacks, strict=True)
        ]


class ImageDiscriminator(nnx.Module):
    """One stack over the pixels (PatchGAN, arXiv 1611.07004): each score sees a patch."""

    def __init__(self, config: DiscriminatorConfig, *, rngs: nnx.Rngs):
        self.stack = ConvolutionStack(config, (3, 3), rngs=rngs)

    def __call__(
        self, signal: Float[Array, "b rows columns"], reference: Float[Array, "b rows columns"]
    ) -> list[Judgement]:
        """One judgement."""
        del reference  # pixels have a fixed range, sounds do not
        return [self.stack(signal)]


def compress(coefficients: Float[Array, "..."]) -> Float[Array, "..."]:
    """x (x^2 + floor^2)^((power - 1) / 2): sign(x) |x|^power well above the floor, linear below it."""
    return coefficients * (coefficients**2 + COMPRESSION_FLOOR**2) ** ((COMPRESSION_POWER - 1.0) / 2.0)


def build_discriminator(config: DiscriminatorConfig, num_axes: int, *, rngs: nnx.Rngs) -> Discriminator:
    """The discriminator of sounds (one axis) or of images (two)."""
    return AudioDiscriminator(config, rngs=rngs) if num_axes == 1 else ImageDiscriminator(config, rngs=rngs)
