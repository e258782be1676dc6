"""What every architecture promises, and the conditional layer norm they share."""

from math import prod
from typing import Protocol, runtime_checkable

import jax.numpy as jnp
from flax import nnx
from jaxtyping import Array, Float


@runtime_checkable
class Backbone(Protocol):
    """Maps token features to token features of the same shape, under an optional condition vector per example."""

    def __call__(self, h: Float[Array, "b n d"], condition: Float[Array, "b e"] | None) -> Float[Array, "b n d"]:
        """The transformed features."""
        ...


def check_num_tokens(kind: str, grid: tuple[int, ...], num_tokens: int) -> None:
    """Refuse a number of tokens that a network of fixed grid was not built for.

    Raises:
        ValueError: the grid has another number of positions.
    """
    if num_tokens != prod(grid):
        size = " x ".join(str(length) for length in grid)
        raise ValueError(f"this {kind} network was built for {size} tokens per example and cannot take {num_tokens}")


class AdaptiveLayerNorm(nnx.Module):
    """Layer norm whose shift and scale come from the condition (DiT, arXiv 2212.09748, section 3.2), with a gate.

    The gate multiplies the block's output. It starts at zero under a condition, so that every block starts as the
    identity; without a condition shift, scale and gate are plain parameters and the gate starts at `initial_gate`.
    """

    def __init__(self, width: int, condition_width: int | None, *, initial_gate: float, rngs: nnx.Rngs):
        self.modulation = (
            nnx.Linear(
                condition_width,
                3 * width,
                kernel_init=nnx.initializers.zeros_init(),
                bias_init=nnx.initializers.zeros_init(),
                rngs=rngs,
            )
            if condition_width
            else None
        )
        self.affine = (
            None
            if condition_width
            else nnx.Param(jnp.stack([jnp.zeros(width), jnp.zeros(width), jnp.full(width, initial_gate)]))
        )

    def __call__(
        self, h: Float[Array, "b n d"], condition: Float[Array, "b e"] | None
    ) -> tuple[Float[Array, "b n d"], Float[Array, "#b 1 d"]]:
        """The modulated features, and the gate for the block's output."""
        if self.modulation is not None and condition is not None:
            shift, scale, gate = jnp.split(self.modulation(condition)[:, None, :], 3, axis=-1)
        elif self.affine is not None and condition is None:
            shift, scale, gate = self.affine[...][:, None, None, :]
        else:
            raise ValueError(
                "this backbone was built with a condition width and called without a condition, or reverse"
            )
        centred = h - jnp.mean(h, axis=-1, keepdims=True)
        variance = jnp.mean(centred**2, axis=-1, keepdims=True)
        return centred / jnp.sqrt(variance + 1e-6) * (1.0 + scale) + shift, gate
