"""Bands of a frame, equally wide in Bark, and how much each counts in a loss."""

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float


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
