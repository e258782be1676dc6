"""Token normalisation: what every kind promises, and what a kind without side information or bit rates does."""

from typing import NamedTuple, Protocol, runtime_checkable

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int, PRNGKeyArray


class GainColumns(NamedTuple):
    """Which columns of side information are gains: the first `count`, in steps of `step_db`, of `num_levels`.

    `detail` is the column that says how many digits a frame has, if there is one.
    """

    count: int = 0
    step_db: float = 1.0
    num_levels: int = 1
    detail: int | None = None


@runtime_checkable
class TokenNormalizer(Protocol):
    """Makes tokens of about unit variance; what it needs to undo that per token is integer side information.

    *Symbols* are what is coded of the side information. Where a body follows, it is that of a kind without any, whose
    tokens stand alone, with one bit rate and all codes kept.
    """

    @property
    def side_levels(self) -> tuple[int, ...]:
        """Alphabet size of each side value of a token; empty if there is none."""
        ...

    def normalize(self, tokens: Float[Array, "*b n c"]) -> tuple[Float[Array, "*b n c"], Int[Array, "*b n s"]]:
        """Normalised tokens and their side information."""
        ...

    def denormalize(self, tokens: Float[Array, "*b n c"], side: Int[Array, "*b n s"]) -> Float[Array, "*b n c"]:
        """Tokens; the inverse of `normalize`."""
        ...

    def features(self, side: Int[Array, "*b n s"]) -> Float[Array, "*b n s"]:
        """Side information as network input."""
        ...

    def loss_weight(self, side: Int[Array, "*b n s"], gain_exponent: float) -> Float[Array, "*b n c"]:
        """How much each value counts in a loss, bands by this power of their gains; mean 1 over a token's channels."""
        ...

    def state(self) -> dict[str, list[float]]:
        """What was fitted, for the file beside the weights."""
        ...

    # What is coded.

    @property
    def symbol_levels(self) -> tuple[int, ...]:
        """Alphabet size of each symbol of a token."""
        return self.side_levels

    @property
    def block_frames(self) -> int:
        """Tokens whose symbols are coded together: there are whole blocks of them."""
        return 1

    @property
    def gain_columns(self) -> GainColumns:
        """Which side values are gains."""
        return GainColumns()

    def normalize_at(
        self, tokens: Float[Array, "*b n c"], point: Int[Array, ""] | int
    ) -> tuple[Float[Array, "*b n c"], Int[Array, "*b n s"], Int[Array, "*b n s"]]:
        """Normalised tokens, side information and symbols at an operating point, all codes kept."""
        del point  # there is one
        x, side = self.normalize(tokens)
        return x, side, side

    def side_of_symbols(self, symbols: Int[np.ndarray, "n s"]) -> Int[np.ndarray, "n s"]:
        """The side information of whole blocks, by integer arithmetic: the same for every decoder."""
        return symbols

    # Several bit rates.

    @property
    def bit_rates(self) -> tuple[int, ...]:
        """Bits per second of each operating point that can be chosen; empty if nothing can."""
        return ()

    @property
    def digits(self) -> Int[np.ndarray, "points detail"]:
        """Codes that a token of each operating point and detail keeps; empty if symbols say nothing of them."""
        return np.zeros((0, 0), np.int32)

    def num_kept(self, side: Int[Array, "*b n s"]) -> Int[Array, "*b n"] | None:
        """How many of its codes each token keeps; None for all."""
        del side
        return None

    def in_full_detail(self, side: Int[Array, "*b n s"]) -> Int[Array, "*b n s"]:
        """The side information of tokens that keep all codes of their operating point."""
        return side

    def draw(
        self, tokens: Float[Array, "b n c"], key: PRNGKeyArray
    ) -> tuple[Float[Array, "b n c"], Int[Array, "b n s"]]:
        """Normalised tokens and side information as training sees them, at a random operating point and detail."""
        del key
        return self.normalize(tokens)

    def loudness(self, side: Int[Array | np.ndarray, "*b n s"]) -> Float[Array | np.ndarray, "*b n"]:
        """Loudness of each token up to a factor; without gains all are alike."""
        return np.ones(side.shape[:-1])

    # What a prior's prediction is good for.

    def relative_weight(self, divided: Float[Array, "*b n c"]) -> Float[Array, "*b n c"]:
        """What turns a squared error of normalised tokens into one relative to the true energy of their band."""
        return jnp.ones_like(divided)

    def scale_noise(
        self, noise: Float[Array, "*b n c"], variance: Float[Array, "*b n c"], expected: Float[Array, "*b n c"]
    ) -> Float[Array, "*b n c"]:
        """Noise to decode from, where a prior predicts values of this variance and this mean square."""
        del variance, expected
        return noise

    def restore_energy(
        self, tokens: Float[Array, "*b n c"], expected: Float[Array, "*b n c"], temperature: Float[Array, ""]
    ) -> Float[Array, "*b n c"]:
        """Decoded tokens, their bands nearer to the energy that a prior expects."""
        del expected, temperature
        return tokens
