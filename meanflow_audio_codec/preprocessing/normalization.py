"""Token normalisation: what every kind promises, and the kind fitted per channel."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int

from meanflow_audio_codec.configs.tokens import (
    BlockGainShapeConfig,
    ChannelStatisticsConfig,
    GainShapeConfig,
    NormalizationConfig,
)
from meanflow_audio_codec.preprocessing.block_gain_shape import BlockGainShapeNormalizer
from meanflow_audio_codec.preprocessing.gain_shape import GainShapeNormalizer
from meanflow_audio_codec.preprocessing.specs import SignalSpec, TokenSpec


@runtime_checkable
class TokenNormalizer(Protocol):
    """Makes tokens of about unit variance; what it needs to undo that per token is integer side information."""

    @property
    def side_levels(self) -> tuple[int, ...]:
        """Alphabet size of each side value of a token; empty if there is none."""
        ...

    def loss_weight(self, side: Int[Array, "*b n s"], *, by_gain: bool = True) -> Float[Array, "*b n c"]:
        """How much each value counts in a loss, bands by their gains or all alike; mean 1 over a token's channels."""
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

    def state(self) -> dict[str, list[float]]:
        """What was fitted, for the file beside the weights."""
        ...


@dataclass(frozen=True)
class ChannelNormalizer:
    """Moves and scales each channel of sign(x) |x|^power by fitted constants; no side information."""

    mean: tuple[float, ...]
    scale: tuple[float, ...]
    power: float = 1.0

    @property
    def side_levels(self) -> tuple[int, ...]:
        """None."""
        return ()

    def loss_weight(self, side: Int[Array, "*b n s"], *, by_gain: bool = True) -> Float[Array, "*b n c"]:
        """All channels count the same: there are no bands."""
        del by_gain
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


def build_normalizer(
    config: NormalizationConfig, spec: TokenSpec, signal: SignalSpec, state: dict[str, list[float]]
) -> TokenNormalizer:
    """The normaliser of a configuration with its fitted state.

    Raises:
        ValueError: gain-shape coding of something without a sample rate, or a state of another size.
    """
    match config:
        case GainShapeConfig():
            if signal.sample_rate is None:
                raise ValueError("gain-shape normalization needs audio: the signal has no sample rate")
            return GainShapeNormalizer(
                spec.channels, signal.sample_rate, config.num_bands, config.step_db, config.loss_gain_exponent
            )
        case BlockGainShapeConfig():
            if signal.sample_rate is None:
                raise ValueError("block-gain-shape normalization needs audio: the signal has no sample rate")
            if set(state) != {"basis"}:
                raise ValueError("block-gain-shape normalization needs its fitted basis")
            return BlockGainShapeNormalizer(config, spec.channels, signal.sample_rate, tuple(state["basis"]))
        case ChannelStatisticsConfig():
            if {name: len(values) for name, values in state.items()} != {"mean": spec.channels, "scale": spec.channels}:
                raise ValueError(f"channel statistics need mean and scale of {spec.channels} channels each")
            return ChannelNormalizer(tuple(state["mean"]), tuple(state["scale"]), config.compression_power)
