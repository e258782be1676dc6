"""The trained parts of a codec or generative model, composed."""

from typing import NamedTuple

import jax.numpy as jnp
from flax import nnx
from jaxtyping import Array, Float, Int

from meanflow_audio_codec.models.bottlenecks.bottleneck import Bottleneck, BottleneckOutput
from meanflow_audio_codec.models.discriminator import Discriminator
from meanflow_audio_codec.models.encoder import Encoder
from meanflow_audio_codec.models.harmonic_features import HarmonicFeatures
from meanflow_audio_codec.models.patch_velocity import PatchVelocityNet
from meanflow_audio_codec.models.prior import GaussianPrior, Prediction
from meanflow_audio_codec.models.velocity import VelocityNet


class LocalCondition(NamedTuple):
    """What codes and side information tell the decoder: features per token, and a prediction if there is a prior."""

    features: Float[Array, "b n k"]
    prediction: Prediction | None


class CodecModel(nnx.Module):
    """Encoder, bottleneck, prior and decoder; without encoder and bottleneck, a generative model.

    The discriminator exists in adversarial training alone.
    """

    def __init__(
        self,
        encoder: Encoder | None,
        bottleneck: Bottleneck | None,
        prior: GaussianPrior | None,
        decoder: VelocityNet | PatchVelocityNet,
        discriminator: Discriminator | None = None,
        harmonic_features: HarmonicFeatures | None = None,
    ):
        self.encoder = encoder
        self.bottleneck = bottleneck
        self.prior = prior
        self.decoder = decoder
        self.discriminator = discriminator
        self.harmonic_features = harmonic_features

    def without_discriminator(self) -> "CodecModel":
        """What encodes, decodes and samples: the networks of a published model."""
        return CodecModel(
            self.encoder, self.bottleneck, self.prior, self.decoder, harmonic_features=self.harmonic_features
        )

    def encode(
        self, x: Float[Array, "b n c"], side: Float[Array, "b n s"], num_kept: Int[Array, "b n"] | None = None
    ) -> BottleneckOutput:
        """Codes of normalised tokens: the first `num_kept` of each, or all.

        Raises:
            ValueError: the model is generative only.
        """
        if self.encoder is None or self.bottleneck is None:
            raise ValueError("this model has no encoder: it samples, and cannot encode")
        return self.bottleneck(self.encoder(x, side), num_kept)

    def condition(self, latent: Float[Array, "b n k"], side: Float[Array, "b n s"]) -> LocalCondition:
        """The decoder's local condition from a quantised latent and the side features."""
        local = jnp.concatenate([latent, side], axis=-1)
        if self.prior is None:
            return LocalCondition(features=local, prediction=None)
        prediction = self.prior(local)
        features = prediction.features
        if self.harmonic_features is not None:
            of_bins = self.harmonic_features(prediction.mean, prediction.log_scale)
            features = jnp.concatenate([features, of_bins.reshape(*features.shape[:2], -1)], axis=-1)
        return LocalCondition(features=features, prediction=prediction)

    def condition_of_codes(
        self, codes: Int[Array, "b n q"], side: Float[Array, "b n s"], num_kept: Int[Array, "b n"] | None = None
    ) -> LocalCondition:
        """The decoder's local condition from codes, as read from a file, of which the first `num_kept` or all count.

        Raises:
            ValueError: the model is generative only.
        """
        if self.bottleneck is None:
            raise ValueError("this model has no bottleneck: it samples, and cannot decode codes")
        return self.condition(self.bottleneck.codes_to_latent(codes, num_kept), side)
