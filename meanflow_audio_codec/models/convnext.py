"""ConvNeXt over the token grid: 1-D for audio frames, 2-D for images (arXiv 2201.03545)."""

from typing import Literal

from flax import nnx
from jaxtyping import Array, Float

from meanflow_audio_codec.configs.networks import ConvNeXtConfig
from meanflow_audio_codec.models.activations import gelu
from meanflow_audio_codec.models.backbone import AdaptiveLayerNorm
from meanflow_audio_codec.models.depthwise_convolution import DepthwiseConvolution


class ConvNeXtBlock(nnx.Module):
    """Depthwise convolution, adaptive layer norm, two-layer network per token, gated residual."""

    def __init__(self, config: ConvNeXtConfig, grid: tuple[int, ...], condition_width: int | None, *, rngs: nnx.Rngs):
        self.gelu_form: Literal["exact", "tanh"] = config.gelu
        self.grid = grid
        self.convolution = DepthwiseConvolution(config.width, config.kernel_size, len(grid), rngs=rngs)
        self.norm = AdaptiveLayerNorm(config.width, condition_width, initial_gate=0.3, rngs=rngs)
        self.expand = nnx.Linear(config.width, config.expansion * config.width, rngs=rngs)
        self.contract = nnx.Linear(config.expansion * config.width, config.width, rngs=rngs)

    def __call__(self, h: Float[Array, "b n d"], condition: Float[Array, "b e"] | None) -> Float[Array, "b n d"]:
        """The features after this block."""
        batch, num_tokens, width = h.shape
        # One grid axis may have any length (audio of any duration); more than one must have the declared size.
        grid = (num_tokens,) if len(self.grid) == 1 else self.grid
        mixed = self.convolution(h.reshape(batch, *grid, width)).reshape(batch, num_tokens, width)
        mixed, gate = self.norm(mixed, condition)
        # Two matrix products over all tokens of the batch: 10-20 % faster on a CPU than batched ones.
        flat = mixed.reshape(batch * num_tokens, width)
        flat = self.contract(gelu(self.expand(flat), self.gelu_form))
        return h + gate * flat.reshape(batch, num_tokens, width)


class ConvNeXtBackbone(nnx.Module):
    """A stack of ConvNeXt blocks; translation-equivariant, so one grid axis may have any length."""

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
