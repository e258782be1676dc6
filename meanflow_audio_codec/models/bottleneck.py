"""What every bottleneck promises."""

from typing import NamedTuple, Protocol, runtime_checkable

import jax.numpy as jnp
from jaxtyping import Array, Float, Int


class BottleneckOutput(NamedTuple):
    """The quantised latent that the decoder sees, and the integer codes that stand for it."""

    latent: Float[Array, "b m k"]
    codes: Int[Array, "b m q"]


@runtime_checkable
class Bottleneck(Protocol):
    """Turns a continuous latent into codes of known alphabets, and codes into the latent again."""

    levels: tuple[int, ...]

    @property
    def channels(self) -> int:
        """Latent channels the encoder must produce."""
        ...

    def __call__(self, latent: Float[Array, "b m k"]) -> BottleneckOutput:
        """Quantised latent with gradients, and codes."""
        ...

    def codes_to_latent(self, codes: Int[Array, "b m q"]) -> Float[Array, "b m k"]:
        """The latent that these codes stand for."""
        ...


def keep_digits(output: BottleneckOutput, num_digits: Int[Array, "b m"], levels: tuple[int, ...]) -> BottleneckOutput:
    """The first `num_digits` of every token's digits; the others become the middle of their alphabet, latent 0.

    Trained with random numbers, earlier digits learn to carry what matters more (nested dropout, arXiv 1402.0915).
    """
    kept = jnp.arange(len(levels)) < num_digits[..., None]
    middle = jnp.asarray(levels, jnp.int32) // 2
    return BottleneckOutput(jnp.where(kept, output.latent, 0.0), jnp.where(kept, output.codes, middle))


def code_entropy(codes: Int[Array, "b m q"], levels: tuple[int, ...]) -> Float[Array, ""]:
    """Empirical entropy of the codes of a batch, in bits per latent token, each digit on its own."""
    values = jnp.arange(max(levels))
    share = jnp.mean(codes[..., None] == values, axis=(0, 1), dtype=jnp.float32)
    return -jnp.sum(share * jnp.log2(jnp.maximum(share, 1e-9)))
