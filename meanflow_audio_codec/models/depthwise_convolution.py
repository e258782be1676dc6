"""Depthwise convolution as a sum of shifted, scaled copies."""

from math import prod

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx
from jaxtyping import Array, Float


class DepthwiseConvolution(nnx.Module):
    """One odd-sized filter per channel over a 1-D or 2-D grid, zero-padded to keep the size.

    XLA's grouped convolution is some hundred times slower on a CPU than this sum of K (or K x K) products; see
    documentation/implementation/performance.md.
    """

    def __init__(self, width: int, kernel_size: int, num_axes: int, *, rngs: nnx.Rngs):
        taps = (kernel_size,) * num_axes
        scale = 1.0 / prod(taps) ** 0.5
        self.kernel = nnx.Param(scale * jax.random.normal(rngs.params(), (*taps, width)))
        self.bias = nnx.Param(jnp.zeros((width,)))

    def __call__(self, h: Float[Array, "b *grid d"]) -> Float[Array, "b *grid d"]:
        """The filtered grid."""
        kernel = self.kernel[...]
        grid, taps = h.shape[1:-1], kernel.shape[:-1]
        padding = [(0, 0), *((size // 2, size // 2) for size in taps), (0, 0)]
        padded = jnp.pad(h, padding)
        out = jnp.broadcast_to(self.bias[...], h.shape)
        for offset in np.ndindex(*taps):
            window = tuple(slice(start, start + length) for start, length in zip(offset, grid, strict=True))
            out = out + kernel[offset] * padded[(slice(None), *window)]
        return out
