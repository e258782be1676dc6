"""What the decoder is told besides the noisy tokens and the times."""

from dataclasses import dataclass, replace

import jax
from jaxtyping import Array, Bool, Float, Int


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class Conditioning:
    """Global label and guidance, and local features per token; `drop` withholds the label of an example.

    Guidance is a scale, of which none counts as 1, and the interval (earliest, latest) of times at which it acts, of
    which none counts as (0, 1).
    """

    label: Int[Array, " b"] | None = None
    local: Float[Array, "b n k"] | None = None
    drop: Bool[Array, " b"] | None = None
    guidance: Float[Array, " b"] | None = None
    interval: Float[Array, "b 2"] | None = None

    def rows(self, start: int, stop: int) -> "Conditioning":
        """The conditioning of a part of the batch."""
        return jax.tree.map(lambda value: value[start:stop], self)

    def with_drop(self, drop: Bool[Array, " b"] | None) -> "Conditioning":
        """The same with other examples' labels withheld."""
        return replace(self, drop=drop)

    def with_guidance(self, guidance: Float[Array, " b"] | None) -> "Conditioning":
        """The same under another guidance scale."""
        return replace(self, guidance=guidance)

    def with_interval(self, interval: Float[Array, "b 2"] | None) -> "Conditioning":
        """The same with guidance acting in another interval of times."""
        return replace(self, interval=interval)
