"""The adversary of the adversarial sampler: it judges complex spectrograms of several resolutions.

After the multi-scale discriminators of EnCodec (arXiv 2210.13438, section 3.4) and of the Descript codec
(arXiv 2306.06546, section 3.3), with fewer channels and a stride along time as well, so that two CPU cores train it.
What differs and why is in documentation/research/adversarial.md.
"""

import jax
import jax.numpy as jnp
from einops import rearrange
from flax import nnx
from jaxtyping import Array, Float

from meanflow_audio_codec.configs.adversarial_sampler import SpectrogramDiscriminatorConfig
from meanflow_audio_codec.models.discriminator import (
    COMPRESSION_FLOOR,
    COMPRESSION_POWER,
    LEAK,
    QUIETEST_LEVEL,
    Judgement,
)
from meanflow_audio_codec.preprocessing.short_time_fourier import short_time_fourier

# Frames by frequencies, of blocks of 2 x 2.
KERNEL = (2, 4)


def compressed_spectrogram(signal: Float[Array, "b samples"], window_length: int) -> Float[Array, "b n bins 2"]:
    """Real and imaginary parts, phases kept and magnitudes brought to their square root above a floor.

    Before that, white noise of unit variance has unit mean square: the Hann window's mean square is 3/8.
    """
    spectrum = short_time_fourier(signal, window_length, (0.375 * window_length) ** -0.5)
    power = spectrum.real**2 + spectrum.imag**2
    gain = (power + COMPRESSION_FLOOR**2) ** ((COMPRESSION_POWER - 1.0) / 2.0)
    return jnp.stack([gain * spectrum.real, gain * spectrum.imag], axis=-1)


def halved(plane: Float[Array, "b n k d"]) -> Float[Array, "b rows columns e"]:
    """Half as many rows and columns, the values of 2 x 2 positions side by side; zeros after an odd last one.

    A convolution of this is one of twice the kernel and of stride 2; its gradients take an XLA of CPUs half as long.
    """
    _, rows, columns, _ = plane.shape
    padded = jnp.pad(plane, ((0, 0), (0, rows % 2), (0, columns % 2), (0, 0)))
    return rearrange(padded, "b (n y) (k x) d -> b n k (y x d)", y=2, x=2)


class SpectrogramStack(nnx.Module):
    """Blocks that halve frames and frequencies, a convolution that does not, and a score per position that is left."""

    def __init__(self, config: SpectrogramDiscriminatorConfig, *, rngs: nnx.Rngs):
        width = config.width
        self.blocks = nnx.List(
            [nnx.Conv(4 * (width if block else 2), width, KERNEL, rngs=rngs) for block in range(config.num_blocks)]
        )
        self.last = nnx.Conv(width, width, (3, 3), rngs=rngs)
        self.score = nnx.Conv(width, 1, (3, 3), rngs=rngs)

    def __call__(self, spectrogram: Float[Array, "b n bins 2"]) -> Judgement:
        """Scores and features."""
        h, features = spectrogram, []
        for block in self.blocks:
            h = jax.nn.leaky_relu(block(halved(h)), LEAK)
            features.append(h)
        h = jax.nn.leaky_relu(self.last(h), LEAK)
        features.append(h)
        return Judgement(self.score(h)[..., 0], tuple(features))


class SpectrogramDiscriminator(nnx.Module):
    """One stack per window length."""

    def __init__(self, config: SpectrogramDiscriminatorConfig, *, rngs: nnx.Rngs):
        self.window_lengths = config.window_lengths
        self.stacks = nnx.List([SpectrogramStack(config, rngs=rngs) for _ in config.window_lengths])

    def __call__(self, signal: Float[Array, "b samples"], reference: Float[Array, "b samples"]) -> list[Judgement]:
        """One judgement per window length, of the signal scaled by the level of the reference."""
        level = jnp.sqrt(jnp.mean(reference**2, axis=-1, keepdims=True) + QUIETEST_LEVEL**2)
        return [
            stack(compressed_spectrogram(signal / level, length))
            for length, stack in zip(self.window_lengths, self.stacks, strict=True)
        ]
