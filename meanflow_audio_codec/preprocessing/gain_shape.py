"""Gain-shape coding of MDCT frames: quantised band energies, and coefficients divided by them.

The idea is CELT's (RFC 6716, section 4.3) and Gull's (arXiv 2404.04947): the energy of each band is coded explicitly,
so that the networks see coefficients of about unit variance at any loudness, and a quiet band as well as a loud one.
"""

from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int

# Orthonormal MDCT coefficients of 16-bit audio: rounding noise lies at 2^-16.8, a full-scale tone below 2^5.
LOWEST_LOG2_GAIN = -16.0
HIGHEST_LOG2_GAIN = 5.0


def bark(frequency: Float[np.ndarray, "..."]) -> Float[np.ndarray, "..."]:
    """Critical-band rate in Bark of a frequency in Hz (Zwicker and Terhardt 1980, equation 6)."""
    return 13.0 * np.arctan(0.00076 * frequency) + 3.5 * np.arctan((frequency / 7500.0) ** 2)


def band_edges(num_bins: int, sample_rate: int, num_bands: int) -> tuple[int, ...]:
    """First bin of each of `num_bands` bands equally wide in Bark, then `num_bins`.

    Bands narrower than one bin at low frequencies are widened to one.

    Raises:
        ValueError: there are more bands than bins.
    """
    if not 1 <= num_bands <= num_bins:
        raise ValueError(f"num_bands must lie in 1 ... {num_bins} (the number of bins), not {num_bands}")
    bin_edges_hz = np.arange(num_bins + 1) * sample_rate / 2 / num_bins
    scale = bark(bin_edges_hz)
    targets = np.linspace(0.0, scale[-1], num_bands + 1)
    edges = np.abs(scale[None, :] - targets[:, None]).argmin(axis=1)
    for band in range(1, num_bands + 1):
        lowest, highest = edges[band - 1] + 1, num_bins - (num_bands - band)
        edges[band] = min(max(edges[band], lowest), highest)
    return tuple(int(edge) for edge in edges)


def band_weight(
    log2_gains: Float[Array, "*b bands"], edges: tuple[int, ...], gain_exponent: float
) -> Float[Array, "*b bands"]:
    """How much a bin of each band counts: bands by a power of their gain, whatever their width; mean 1 over the bins.

    With exponent 0 the error keeps the same distance below the signal in every band; with exponent 2 it is white.
    Codecs choose between these, for a loud band masks more error and is heard more (Schroeder, Atal and Hall 1979).
    """
    loudness = jnp.exp2(gain_exponent * log2_gains)
    loudness = loudness / jnp.mean(loudness, axis=-1, keepdims=True)
    widths = np.diff(edges)
    return loudness * (edges[-1] / (len(widths) * widths)).astype(np.float32)


class GainColumns(NamedTuple):
    """Which columns of side information are gains: the first `count`, in steps of `step_db`, of `num_levels`.

    `detail` is the column that says how many digits a frame has, if there is one.
    """

    count: int
    step_db: float
    num_levels: int
    detail: int | None = None


@dataclass(frozen=True)
class GainShapeNormalizer:
    """Divides each band of each frame by its quantised root mean square; the indices are side information.

    The decoder multiplies by the same table entry that the encoder divided by, so the pair inverts exactly whatever the
    quantisation step; only the lowest index, silence, is decoded as zero.
    """

    num_bins: int
    sample_rate: int
    num_bands: int = 21
    step_db: float = 3.0
    loss_gain_exponent: float = 0.5

    @cached_property
    def edges(self) -> tuple[int, ...]:
        """Band edges in bins."""
        return band_edges(self.num_bins, self.sample_rate, self.num_bands)

    @cached_property
    def log2_gains(self) -> Float[np.ndarray, " levels"]:
        """Log2 of the gain each index stands for."""
        step = self.step_db / (20.0 * np.log10(2.0))
        num_steps = int(np.floor((HIGHEST_LOG2_GAIN - LOWEST_LOG2_GAIN) / step + 1e-9))
        return (LOWEST_LOG2_GAIN + step * np.arange(num_steps + 1)).astype(np.float32)

    @property
    def side_levels(self) -> tuple[int, ...]:
        """Alphabet size of the side information of each band."""
        return (len(self.log2_gains),) * self.num_bands

    @cached_property
    def band_of_bin(self) -> Int[np.ndarray, " bins"]:
        """The band each bin belongs to."""
        return np.repeat(np.arange(self.num_bands), np.diff(self.edges))

    def loss_weight(self, side: Int[Array, "*b n bands"], *, by_gain: bool = True) -> Float[Array, "*b n bins"]:
        """`band_weight` of the decoded gains, for every bin; or of equal gains."""
        exponent = self.loss_gain_exponent if by_gain else 0.0
        weight = band_weight(jnp.asarray(self.log2_gains)[side], self.edges, exponent)
        return weight[..., self.band_of_bin]

    def normalize(
        self, tokens: Float[Array, "*b n bins"]
    ) -> tuple[Float[Array, "*b n bins"], Int[Array, "*b n bands"]]:
        """Coefficients divided by their band's decoded gain, and the gain indices."""
        energy = jnp.add.reduceat(tokens**2, np.asarray(self.edges[:-1]), axis=-1)
        mean_square = energy / np.diff(self.edges).astype(np.float32)
        step = self.log2_gains[1] - self.log2_gains[0]
        log2_rms = 0.5 * jnp.log2(jnp.maximum(mean_square, np.float32(2.0 ** (2 * LOWEST_LOG2_GAIN))))
        index = jnp.round((log2_rms - LOWEST_LOG2_GAIN) / step).astype(jnp.int32)
        index = jnp.clip(index, 0, len(self.log2_gains) - 1)
        gains = jnp.asarray(np.exp2(self.log2_gains))
        return tokens / gains[index][..., self.band_of_bin], index

    def denormalize(
        self, tokens: Float[Array, "*b n bins"], side: Int[Array, "*b n bands"]
    ) -> Float[Array, "*b n bins"]:
        """Coefficients multiplied by the gain of their band; index 0 is silence."""
        gains = jnp.asarray(np.where(np.arange(len(self.log2_gains)) == 0, 0.0, np.exp2(self.log2_gains)), jnp.float32)
        return tokens * gains[side][..., self.band_of_bin]

    def features(self, side: Int[Array, "*b n bands"]) -> Float[Array, "*b n bands"]:
        """The gain indices as network input: log2 gains moved and scaled to about unit variance for speech."""
        return (jnp.asarray(self.log2_gains)[side] + 6.0) / 4.0

    def state(self) -> dict[str, list[float]]:
        """Nothing is fitted."""
        return {}
