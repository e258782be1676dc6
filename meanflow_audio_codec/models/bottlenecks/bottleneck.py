"""What every bottleneck promises."""

from typing import NamedTuple, Protocol, runtime_checkable

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int, Shaped


class BottleneckOutput(NamedTuple):
    """The quantised latent that the decoder sees, the integer codes that stand for it, and the bottleneck's own loss.

    The loss is what its parameters are trained by, and what keeps the latent near them; 0 where nothing is learned.
    """

    latent: Float[Array, "b m k"]
    codes: Int[Array, "b m q"]
    loss: Float[Array, ""]


@runtime_checkable
class Bottleneck(Protocol):
    """Turns a continuous latent into codes of known alphabets, and codes into the latent again.

    The first `num_kept` codes of a token are kept, or all where it is None; the latent is what these alone stand for. A
    code that is left out is written as the middle of its alphabet, whatever that would stand for. Trained with random
    numbers, earlier codes learn to carry what matters more (nested dropout, arXiv 1402.0915).
    """

    levels: tuple[int, ...]

    @property
    def channels(self) -> int:
        """Latent channels the encoder must produce."""
        ...

    def __call__(self, latent: Float[Array, "b m k"], num_kept: Int[Array, "b m"] | None = None) -> BottleneckOutput:
        """Quantised latent with gradients, codes, and loss."""
        ...

    def codes_to_latent(
        self, codes: Int[Array, "b m q"], num_kept: Int[Array, "b m"] | None = None
    ) -> Float[Array, "b m k"]:
        """The latent that these codes stand for."""
        ...


def keep_first(
    values: Shaped[Array, "b m q"], num_kept: Int[Array, "b m"] | None, otherwise: Int[np.ndarray, " q"] | float | int
) -> Shaped[Array, "b m q"]:
    """The first `num_kept` values of every token, all of them for None; `otherwise` in place of the rest."""
    if num_kept is None:
        return values
    return jnp.where(jnp.arange(values.shape[-1]) < num_kept[..., None], values, otherwise)


def middle_codes(levels: tuple[int, ...]) -> Int[np.ndarray, " q"]:
    """What stands in place of a code that is left out."""
    return np.asarray(levels, np.int32) // 2


def code_entropy(codes: Int[Array, "b m q"], levels: tuple[int, ...]) -> Float[Array, ""]:
    """Empirical entropy of the codes of a batch, in bits per latent token, each code on its own."""
    values = jnp.arange(max(levels))
    share = jnp.mean(codes[..., None] == values, axis=(0, 1), dtype=jnp.float32)
    return -jnp.sum(share * jnp.log2(jnp.maximum(share, 1e-9)))
