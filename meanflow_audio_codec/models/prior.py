"""A Gaussian prediction of the tokens from the codes: the flow models what is left (FlowDec, arXiv 2503.01485)."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
from flax import nnx
from jaxtyping import Array, Float

from meanflow_audio_codec.configs.networks import PriorConfig
from meanflow_audio_codec.models.backbones.architectures import build_backbone
from meanflow_audio_codec.preprocessing.specs import TokenSpec

SMALLEST_LOG_SCALE = -4.0
LARGEST_LOG_SCALE = 1.5


class Prediction(NamedTuple):
    """Mean and log scale of every token value, and the features they were read from."""

    features: Float[Array, "b n d"]
    mean: Float[Array, "b n c"]
    log_scale: Float[Array, "b n c"]

    @property
    def variance(self) -> Float[Array, "b n c"]:
        """Square of the scale of every token value."""
        return jnp.exp(2.0 * self.log_scale)

    @property
    def mean_square(self) -> Float[Array, "b n c"]:
        """Expected square of every token value: mean^2 + scale^2."""
        return self.mean**2 + self.variance

    def squared_error(self, x: Float[Array, "b n c"], weight: Float[Array, "b n c"]) -> Float[Array, ""]:
        """Weighted mean squared error of the mean."""
        return jnp.mean(weight * (x - self.mean) ** 2)

    def scale_loss(self, x: Float[Array, "b n c"], weight: Float[Array, "b n c"]) -> Float[Array, ""]:
        """Weighted Gaussian negative log-likelihood of the scale, the mean held fixed, less the constant log(2 pi)/2.

        Under the full likelihood the mean would be trained with weight 1/scale^2, and the codes would go to whatever is
        cheapest to predict; under the squared error they go to what is loudest.
        """
        residual = jax.lax.stop_gradient(x - self.mean) * jnp.exp(-self.log_scale)
        return jnp.mean(weight * (0.5 * residual**2 + self.log_scale))

    def standardize(self, x: Float[Array, "b n c"]) -> Float[Array, "b n c"]:
        """The residual that the flow models, of about unit variance."""
        return (x - self.mean) * jnp.exp(-self.log_scale)

    def restore(self, residual: Float[Array, "b n c"]) -> Float[Array, "b n c"]:
        """Tokens from a residual; the inverse of `standardize`."""
        return self.mean + jnp.exp(self.log_scale) * residual


class GaussianPrior(nnx.Module):
    """Predicts mean and log scale of the tokens from latent and side features."""

    def __init__(self, config: PriorConfig, spec: TokenSpec, local_channels: int, *, rngs: nnx.Rngs):
        width = config.architecture.width
        self.project_in = nnx.Linear(local_channels, width, rngs=rngs)
        self.backbone = build_backbone(config.architecture, spec.grid, None, rngs=rngs)
        self.norm = nnx.LayerNorm(width, rngs=rngs)
        self.mean = nnx.Linear(width, spec.channels, rngs=rngs)
        self.log_scale = nnx.Linear(width, spec.channels, kernel_init=nnx.initializers.zeros_init(), rngs=rngs)

    def __call__(self, local: Float[Array, "b n k"]) -> Prediction:
        """The prediction, from latent and side features."""
        features = self.norm(self.backbone(self.project_in(local), None))
        log_scale = jnp.clip(self.log_scale(features), SMALLEST_LOG_SCALE, LARGEST_LOG_SCALE)
        return Prediction(features=features, mean=self.mean(features), log_scale=log_scale)
