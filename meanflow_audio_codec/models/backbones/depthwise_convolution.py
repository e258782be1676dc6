"""Depthwise convolution as a sum of shifted, scaled copies."""

from math import prod
from typing import Literal

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx
from jaxtyping import Array, Float


class DepthwiseConvolution(nnx.Module):
    """One odd-sized filter per channel over a 1-D or 2-D grid, zero-padded to keep the size.

    The zeros stand on both sides alike, or all of them before a line, so that no output sees a later position.

    XLA's grouped convolution is some hundred times slower on a CPU than this sum of K (or K x K) products; see
    documentation/implementation/performance.md.

    Raises:
        ValueError: causal padding on a 2-D grid, which has no past.
    """

    def __init__(
        self,
        width: int,
        kernel_size: int,
        num_axes: int,
        padding: Literal["centred", "causal"] = "centred",
        *,
        rngs: nnx.Rngs,
    ):
        if padding == "causal" and num_axes > 1:
            raise ValueError(f"causal padding is for frames in time, not for a grid of {num_axes} axes: use centred")
        self.padding: Literal["centred", "causal"] = padding
        taps = (kernel_size,) * num_axes
        scale = 1.0 / prod(taps) ** 0.5
        self.kernel = nnx.Param(scale * jax.random.normal(rngs.params(), (*taps, width)))
        self.bias = nnx.Param(jnp.zeros((width,)))

    def __call__(self, h: Float[Array, "b *grid d"]) -> Float[Array, "b *grid d"]:
        """The filtered grid."""
        kernel = self.kernel[...]
        grid, taps = h.shape[1:-1], kernel.shape[:-1]
        future = [size // 2 if self.padding == "centred" else 0 for size in taps]
        sides = [(size - 1 - ahead, ahead) for size, ahead in zip(taps, future, strict=True)]
        padded = jnp.pad(h, [(0, 0), *sides, (0, 0)])
        out = jnp.broadcast_to(self.bias[...], h.shape)
        for offset in np.ndindex(*taps):
            window = tuple(slice(start, start + length) for start, length in zip(offset, grid, strict=True))
            out = out + kernel[offset] * padded[(slice(None), *window)]
        return out
