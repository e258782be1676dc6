"""The activation of every network in this package."""

from typing import Literal

import jax
from jaxtyping import Array, Float


def gelu(x: Float[Array, "..."], form: Literal["exact", "tanh"]) -> Float[Array, "..."]:
    """Gaussian error linear unit x Phi(x) (arXiv 1606.08415, equation 1), or its tanh approximation (equation 2).

    The tanh form costs about half as much on a CPU and differs by less than 5e-4.
    """
    return jax.nn.gelu(x, approximate=form == "tanh")
