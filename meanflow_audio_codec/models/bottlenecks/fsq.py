"""Finite scalar quantisation (arXiv 2309.15505)."""

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx
from jaxtyping import Array, Float, Int

from meanflow_audio_codec.configs.networks import FSQConfig
from meanflow_audio_codec.models.bottlenecks.bottleneck import BottleneckOutput, keep_first, middle_codes


class FSQ(nnx.Module):
    """Bounds each latent channel and rounds it to a fixed number of levels; nothing is learned here."""

    def __init__(self, config: FSQConfig):
        self.levels = config.levels

    @property
    def channels(self) -> int:
        """Latent channels, one per digit."""
        return len(self.levels)

    def __call__(self, latent: Float[Array, "b m k"], num_kept: Int[Array, "b m"] | None = None) -> BottleneckOutput:
        """The rounded latent with straight-through gradients, its codes, and no loss.

        An odd level count L rounds (L - 1)/2 tanh(x). For an even one the levels are -L/2 ... L/2 - 1: the bound is
        moved down by half a level to reach them all, and x is shifted so that zero still lies on one (section 3.1).
        """
        levels = np.asarray(self.levels, np.float32)
        # A little wider than the outermost levels, so that these are reached before tanh saturates.
        half = (levels - 1.0) / 2.0 * 1.001
        offset = np.where(levels % 2 == 0, 0.5, 0.0).astype(np.float32)
        shift = np.arctanh(offset / half).astype(np.float32)
        bounded = jnp.asarray(half) * jnp.tanh(latent + shift) - offset
        rounded = bounded + jax.lax.stop_gradient(jnp.round(bounded) - bounded)
        codes = jnp.round(bounded).astype(jnp.int32) + self._lowest()
        scale = jnp.asarray(np.maximum(np.floor(levels / 2), 1.0))
        return BottleneckOutput(
            latent=keep_first(rounded / scale, num_kept, 0.0),
            codes=keep_first(codes, num_kept, middle_codes(self.levels)),
            loss=jnp.zeros(()),
        )

    def codes_to_latent(
        self, codes: Int[Array, "b m q"], num_kept: Int[Array, "b m"] | None = None
    ) -> Float[Array, "b m q"]:
        """The latent that these codes stand for: what the decoder sees."""
        scale = np.maximum(np.asarray(self.levels) // 2, 1).astype(np.float32)
        return keep_first((codes - self._lowest()).astype(jnp.float32) / scale, num_kept, 0.0)

    def _lowest(self) -> Int[np.ndarray, " q"]:
        """Distance of the lowest level below zero."""
        return (np.asarray(self.levels) // 2).astype(np.int32)
