"""ConvNeXt over the token grid: 1-D for audio frames, 2-D for images (arXiv 2201.03545)."""

from typing import Literal

import jax.numpy as jnp
from flax import nnx
from jaxtyping import Array, Float

from meanflow_audio_codec.configs.networks import ConvNeXtConfig
from meanflow_audio_codec.models.backbones.activations import gelu
from meanflow_audio_codec.models.backbones.backbone import AdaptiveLayerNorm, check_num_tokens
from meanflow_audio_codec.models.backbones.depthwise_convolution import DepthwiseConvolution


class GlobalResponseNorm(nnx.Module):
    """Scales every channel by how loud it is beside the others (GRN; ConvNeXt V2, arXiv 2301.00808, section 4).

    X + gamma X N + beta, where N_i = G_i / mean_j G_j and G_i is the norm of channel i over all positions of an example
    (algorithm 1 there; its equation 2 divides by the sum, which is the same up to the scale of gamma). G is taken as a
    root mean square, as the number of positions cancels, and is smooth at zero, where a norm has no derivative.
    """

    def __init__(self, channels: int):
        self.gamma = nnx.Param(jnp.zeros((channels,)))
        self.beta = nnx.Param(jnp.zeros((channels,)))

    def __call__(self, h: Float[Array, "b n d"]) -> Float[Array, "b n d"]:
        """The same features, with the contrast between channels changed."""
        loudness = jnp.sqrt(jnp.mean(h**2, axis=1, keepdims=True) + 1e-6)
        share = loudness / jnp.mean(loudness, axis=-1, keepdims=True)
        return h * (1.0 + self.gamma[...][None, None, :] * share) + self.beta[...][None, None, :]


class ConvNeXtBlock(nnx.Module):
    """Depthwise convolution, adaptive layer norm, two-layer network per token, gated residual.

    With `response_normalization`, GRN stands behind the activation, as in ConvNeXt V2.
    """

    def __init__(self, config: ConvNeXtConfig, grid: tuple[int, ...], condition_width: int | None, *, rngs: nnx.Rngs):
        self.gelu_form: Literal["exact", "tanh"] = config.gelu
        self.grid = grid
        self.convolution = DepthwiseConvolution(config.width, config.kernel_size, len(grid), config.padding, rngs=rngs)
        self.norm = AdaptiveLayerNorm(config.width, condition_width, initial_gate=0.3, rngs=rngs)
        self.expand = nnx.Linear(config.width, config.expansion * config.width, rngs=rngs)
        self.response_norm = (
            GlobalResponseNorm(config.expansion * config.width) if config.response_normalization else None
        )
        self.contract = nnx.Linear(config.expansion * config.width, config.width, rngs=rngs)

    def __call__(self, h: Float[Array, "b n d"], condition: Float[Array, "b e"] | None) -> Float[Array, "b n d"]:
        """The features after this block."""
        batch, num_tokens, width = h.shape
        # One grid axis may have any length (audio of any duration); more than one must have the declared size.
        grid = (num_tokens,) if len(self.grid) == 1 else self.grid
        check_num_tokens("convnext", grid, num_tokens)
        mixed = self.convolution(h.reshape(batch, *grid, width)).reshape(batch, num_tokens, width)
        mixed, gate = self.norm(mixed, condition)
        # Two matrix products over all tokens of the batch: 10-20 % faster on a CPU than batched ones.
        flat = mixed.reshape(batch * num_tokens, width)
        flat = gelu(self.expand(flat), self.gelu_form)
        if self.response_norm is not None:
            flat = self.response_norm(flat.reshape(batch, num_tokens, -1)).reshape(flat.shape)
        return h + gate * self.contract(flat).reshape(batch, num_tokens, width)


class ConvNeXtBackbone(nnx.Module):
    """A stack of ConvNeXt blocks; translation-equivariant, so one grid axis may have any length.

    Parameters, for B blocks of width d, expansion m and kernel size k on a grid of a axes:
    B [(k^a + 1) d + S + (2 m d + m + 1) d + R], with the norm's S = 3 d, or 3 d (e + 1) under a condition of width e,
    and R = 2 m d with response normalization, else 0. It also makes every output depend on every token.
    """

    def __init__(self, config: ConvNeXtConfig, grid: tuple[int, ...], condition_width: int | None, *, rngs: nnx.Rngs):
        self.width = config.width
        self.blocks = nnx.List(
            [ConvNeXtBlock(config, grid, condition_width, rngs=rngs) for _ in range(config.num_blocks)]
        )

    def __call__(self, h: Float[Array, "b n d"], condition: Float[Array, "b e"] | None) -> Float[Array, "b n d"]:
        """The features after all blocks."""
        for block in self.blocks:
            h = block(h, condition)
        return h
