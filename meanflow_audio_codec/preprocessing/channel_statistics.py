"""Constants per token channel, fitted once: what needs no side information."""

from collections.abc import Iterable
from dataclasses import dataclass

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int

from meanflow_audio_codec.preprocessing.normalizer import TokenNormalizer


@dataclass(frozen=True)
class ChannelNormalizer(TokenNormalizer):
    """Moves and scales each channel of sign(x) |x|^power by fitted constants; no side information."""

    mean: tuple[float, ...]
    scale: tuple[float, ...]
    power: float = 1.0

    @property
    def side_levels(self) -> tuple[int, ...]:
        """None."""
        return ()

    def loss_weight(self, side: Int[Array, "*b n s"], gain_exponent: float) -> Float[Array, "*b n c"]:
        """All channels count the same: there are no bands."""
        del gain_exponent
        return jnp.ones((*side.shape[:-1], len(self.mean)))

    def normalize(self, tokens: Float[Array, "*b n c"]) -> tuple[Float[Array, "*b n c"], Int[Array, "*b n s"]]:
        """(sign(x) |x|^power - mean) / scale, and zero side values per token."""
        side = jnp.zeros((*tokens.shape[:-1], 0), jnp.int32)
        tokens = compress(tokens, self.power)
        return (tokens - np.asarray(self.mean, np.float32)) / np.asarray(self.scale, np.float32), side

    def denormalize(self, tokens: Float[Array, "*b n c"], side: Int[Array, "*b n s"]) -> Float[Array, "*b n c"]:
        """tokens * scale + mean, expanded again."""
        del side  # has no values
        tokens = tokens * np.asarray(self.scale, np.float32) + np.asarray(self.mean, np.float32)
        return compress(tokens, 1.0 / self.power)

    def features(self, side: Int[Array, "*b n s"]) -> Float[Array, "*b n s"]:
        """Nothing, with the right shape."""
        return side.astype(jnp.float32)

    def state(self) -> dict[str, list[float]]:
        """Mean and scale."""
        return {"mean": list(self.mean), "scale": list(self.scale)}


def compress(tokens: Float[Array, "*b n c"], power: float) -> Float[Array, "*b n c"]:
    """sign(x) |x|^power: below 1 it lifts what is quiet; the inverse has the power 1 / power."""
    return tokens if power == 1.0 else jnp.sign(tokens) * jnp.abs(tokens) ** power


def fit_channel_normalizer(
    batches: Iterable[Float[Array, "b n c"]], power: float = 1.0, *, shared_scale: bool = False
) -> ChannelNormalizer:
    """Mean and standard deviation per channel over compressed tokens of training batches.

    A shared scale is the root mean square of the channels' standard deviations: 1 for all on average.

    A channel that (almost) never varies gets a small share of the overall scale instead of dividing by zero.
    """
    compressed = (np.asarray(compress(batch, power), np.float64) for batch in batches)
    tokens = np.concatenate([batch.reshape(-1, batch.shape[-1]) for batch in compressed])
    smallest = max(0.05 * float(tokens.std()), 1e-6)
    scale = np.maximum(tokens.std(axis=0), smallest)
    if shared_scale:
        scale = np.full_like(scale, np.sqrt(np.mean(tokens.var(axis=0))))
    return ChannelNormalizer(tuple(map(float, tokens.mean(axis=0))), tuple(map(float, scale)), power)
