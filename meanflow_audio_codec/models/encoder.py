"""From normalised tokens to the latent that the bottleneck quantises."""

import jax.numpy as jnp
from flax import nnx
from jaxtyping import Array, Float

from meanflow_audio_codec.configs.networks import EncoderConfig
from meanflow_audio_codec.models.backbones.architectures import build_backbone
from meanflow_audio_codec.preprocessing.specs import TokenSpec


class Encoder(nnx.Module):
    """In-projection of tokens and side features, backbone, layer norm, projection to the latent channels."""

    def __init__(
        self, config: EncoderConfig, spec: TokenSpec, side_channels: int, latent_channels: int, *, rngs: nnx.Rngs
    ):
        width = config.architecture.width
        self.project_in = nnx.Linear(spec.channels + side_channels, width, rngs=rngs)
        self.backbone = build_backbone(config.architecture, spec.grid, None, rngs=rngs)
        self.norm = nnx.LayerNorm(width, rngs=rngs)
        self.project_out = nnx.Linear(width, latent_channels, rngs=rngs)

    def __call__(self, x: Float[Array, "b n c"], side: Float[Array, "b n s"]) -> Float[Array, "b n k"]:
        """The latent, before quantisation."""
        hidden = self.project_in(jnp.concatenate([x, side], axis=-1))
        return self.project_out(self.norm(self.backbone(hidden, None)))
