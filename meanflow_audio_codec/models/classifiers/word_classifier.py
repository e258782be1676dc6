"""A small convolutional classifier of short spoken words; its features measure decoded and generated audio."""

from dataclasses import dataclass

import jax.numpy as jnp
from einops import rearrange
from flax import nnx
from jaxtyping import Array, Float

from meanflow_audio_codec.models.classifiers.digit_classifier import ConvolutionBlock

PATCH = 4  # frames and bands that the first layer takes together
MERGE = 2  # positions along each axis that become one halfway
# Frames over which the energy of a word would be spread evenly: 0.4 s, about the length of a digit.
REFERENCE_FRAMES = 40


@dataclass(frozen=True, kw_only=True)
class WordClassifierConfig:
    """Sizes of `WordClassifier`; frames and bands are multiples of 8.

    `range_db` is how far below its mean level, in dB, a clip is looked at.
    """

    num_frames: int = 128
    num_bands: int = 64
    range_db: float = 45.0
    fine_width: int = 48
    coarse_width: int = 64
    num_blocks: int = 3
    num_features: int = 64
    num_classes: int = 15


class WordClassifier(nnx.Module):
    """Patches of a mel spectrogram, residual convolutions over time and frequency, one feature vector, a linear layer.

    The level of the clip cancels. Every leaf is an `nnx.Param`: no running statistics and no dropout, so the module is
    a plain pytree.
    """

    def __init__(self, config: WordClassifierConfig, *, rngs: nnx.Rngs):
        self.num_frames = config.num_frames
        self.num_bands = config.num_bands
        self.range_db = config.range_db
        self.embed = nnx.Conv(PATCH**2, config.fine_width, (3, 3), rngs=rngs)
        self.fine_norm = nnx.LayerNorm(config.fine_width, rngs=rngs)
        self.merge = nnx.Linear(MERGE**2 * config.fine_width, config.coarse_width, rngs=rngs)
        self.blocks = nnx.List([ConvolutionBlock(config.coarse_width, rngs=rngs) for _ in range(config.num_blocks)])
        self.norm = nnx.LayerNorm(config.coarse_width, rngs=rngs)
        num_rows = config.num_bands // (PATCH * MERGE)
        self.project = nnx.Linear(num_rows * config.coarse_width, config.num_features, rngs=rngs)
        self.head = nnx.Linear(config.num_features, config.num_classes, rngs=rngs)

    def features(self, power: Float[Array, "b frames bands"]) -> Float[Array, "b d"]:
        """The vector before the last linear layer, of mel power spectra at any level."""
        x = rearrange(relative_level(power, self.range_db), "b (i p) (j q) -> b i j (p q)", p=PATCH, q=PATCH)
        h = self.fine_norm(self.embed(x))
        h = self.merge(rearrange(h, "b (i p) (j q) d -> b i j (p q d)", p=MERGE, q=MERGE))
        for block in self.blocks:
            h = block(h)
        # When a sound occurs matters less than at which frequency: averaged over time only.
        h = self.norm(h).mean(axis=1)
        return nnx.gelu(self.project(rearrange(h, "b j d -> b (j d)")))

    def logits(self, features: Float[Array, "b d"]) -> Float[Array, "b classes"]:
        """Unnormalised log-probabilities of the classes, from the features."""
        return self.head(features)

    def __call__(self, power: Float[Array, "b frames bands"]) -> Float[Array, "b classes"]:
        """Unnormalised log-probabilities of the classes, from mel power spectra."""
        return self.logits(self.features(power))


def relative_level(power: Float[Array, "b frames bands"], range_db: float) -> Float[Array, "b frames bands"]:
    """Logarithm of power relative to that of the whole clip, scaled to about -2 (silence) ... 2.

    The clip's power counts as spread over `REFERENCE_FRAMES`, so that silence around it changes nothing; what lies more
    than `range_db` below is lost in a constant that is added.
    """
    mean = power.sum(axis=(1, 2), keepdims=True) / (REFERENCE_FRAMES * power.shape[2])
    floor = 10.0 ** (-range_db / 10.0)
    return (jnp.log10(power / jnp.maximum(mean, 1e-30) + floor) + 1.0) / 1.5
