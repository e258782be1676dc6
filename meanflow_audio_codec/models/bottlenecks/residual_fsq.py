"""Residual finite scalar quantisation: each stage rounds what the former ones left, with a finer step."""

import jax
import jax.numpy as jnp
from flax import nnx
from jaxtyping import Array, Float, Int

from meanflow_audio_codec.configs.networks import ResidualFSQConfig
from meanflow_audio_codec.models.bottlenecks.bottleneck import BottleneckOutput, keep_first


class ResidualFSQ(nnx.Module):
    """Bounds each latent channel once and writes it as digits, the coarsest of all channels first; nothing is learned.

    With L levels the step shrinks by L from stage to stage, so that a cell of one stage is divided evenly by the next,
    and all stages together are one uniform quantiser (documentation/research/codec_design.md, equations 10 and 11).
    Published residual FSQ (arXiv 2508.15860, and the libraries it compares with) shrinks it by L - 1: the outer levels
    of a stage then lie on the edge of the cell, where those of its neighbour lie too, and two codes mean the same.
    """

    def __init__(self, config: ResidualFSQConfig):
        self.channels: int = config.channels
        self.num_levels = config.num_levels
        self.num_stages = config.num_stages
        self.levels = (config.num_levels,) * config.num_codes

    def __call__(self, latent: Float[Array, "b m k"], num_kept: Int[Array, "b m"] | None = None) -> BottleneckOutput:
        """The latent rounded by the stages that are kept, with straight-through gradients; codes, and no loss.

        A channel of which no digit is kept is 0 and has no gradient.
        """
        largest = self.num_levels // 2
        # In steps of the first stage, and as wide as its cells: whatever is left of one cell fits the next stage.
        bounded = 0.5 * self.num_levels * jnp.tanh(latent)
        residual, stages = jax.lax.stop_gradient(bounded), []
        for _ in range(self.num_stages):
            digit = jnp.clip(jnp.round(residual), -largest, largest)
            residual = self.num_levels * (residual - digit)
            stages.append(digit.astype(jnp.int32))
        digits = keep_first(jnp.concatenate(stages, axis=-1), num_kept, 0)
        # Adds nothing but the gradient, so that the latent is that of the codes to the last bit.
        through = keep_first((bounded - jax.lax.stop_gradient(bounded)) / largest, num_kept, 0.0)
        return BottleneckOutput(self._sum(digits) + through, digits + largest, jnp.zeros(()))

    def codes_to_latent(
        self, codes: Int[Array, "b m q"], num_kept: Int[Array, "b m"] | None = None
    ) -> Float[Array, "b m k"]:
        """The latent that these codes stand for: the sum over the stages."""
        return self._sum(keep_first(codes - self.num_levels // 2, num_kept, 0))

    def _sum(self, digits: Int[Array, "b m q"]) -> Float[Array, "b m k"]:
        """Digits around zero to the latent, exact in integers of the finest step."""
        total = jnp.zeros((*digits.shape[:-1], self.channels), jnp.int32)
        for stage in jnp.split(digits, self.num_stages, axis=-1):
            total = self.num_levels * total + stage
        return total.astype(jnp.float32) / (self.num_levels // 2 * self.num_levels ** (self.num_stages - 1))
