"""A residual network over the whole segment as one vector: no structure of the grid is built in."""

from math import prod
from typing import Literal

from flax import nnx
from jaxtyping import Array, Float

from meanflow_audio_codec.configs.networks import MLPConfig
from meanflow_audio_codec.models.backbones.activations import gelu
from meanflow_audio_codec.models.backbones.backbone import AdaptiveLayerNorm, check_num_tokens


class MLPBlock(nnx.Module):
    """Adaptive layer norm, two-layer network, gated residual."""

    def __init__(self, config: MLPConfig, condition_width: int | None, *, rngs: nnx.Rngs):
        self.gelu_form: Literal["exact", "tanh"] = config.gelu
        self.norm = AdaptiveLayerNorm(config.hidden_width, condition_width, initial_gate=0.3, rngs=rngs)
        self.expand = nnx.Linear(config.hidden_width, config.expansion * config.hidden_width, rngs=rngs)
        self.contract = nnx.Linear(config.expansion * config.hidden_width, config.hidden_width, rngs=rngs)

    def __call__(self, h: Float[Array, "b d"], condition: Float[Array, "b e"] | None) -> Float[Array, "b d"]:
        """The vectors after this block."""
        # The norm takes tokens: here, one per example.
        normed, gate = self.norm(h[:, None, :], condition)
        return h + gate[:, 0, :] * self.contract(gelu(self.expand(normed[:, 0, :]), self.gelu_form))


class MLPBackbone(nnx.Module):
    """All tokens flattened to one vector, projected, sent through residual blocks, projected back and added.

    The projection back starts at zero, so that the network starts as the identity; it is not zero after one step, and
    then all other parameters learn as well. A condition of width e acts in the blocks.

    Parameters, for n tokens of width d and B blocks of hidden width h and expansion m:
    (2 h + 1) n d + h + B [S + (2 m h + m + 1) h], with the norm's S = 3 h, or 3 h (e + 1) under a condition.
    """

    def __init__(self, config: MLPConfig, grid: tuple[int, ...], condition_width: int | None, *, rngs: nnx.Rngs):
        self.grid = grid
        size = prod(grid) * config.width
        self.project_in = nnx.Linear(size, config.hidden_width, rngs=rngs)
        self.blocks = nnx.List([MLPBlock(config, condition_width, rngs=rngs) for _ in range(config.num_blocks)])
        self.project_out = nnx.Linear(config.hidden_width, size, kernel_init=nnx.initializers.zeros_init(), rngs=rngs)

    def __call__(self, h: Float[Array, "b n d"], condition: Float[Array, "b e"] | None) -> Float[Array, "b n d"]:
        """The features after all blocks.

        Raises:
            ValueError: another number of tokens than the grid has.
        """
        check_num_tokens("mlp", self.grid, h.shape[1])
        hidden = self.project_in(h.reshape(h.shape[0], -1))
        for block in self.blocks:
            hidden = block(hidden, condition)
        return h + self.project_out(hidden).reshape(h.shape)
