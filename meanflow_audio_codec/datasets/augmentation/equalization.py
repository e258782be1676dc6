"""Smooth gains over frequency, as other microphones, rooms and mixing desks have."""

import numpy as np
from jaxtyping import Float

NUM_OCTAVES = 8  # that control points are spread over, below half the sample rate


def equalize(
    signal: Float[np.ndarray, "b samples"], gains_db: Float[np.ndarray, "b points"]
) -> Float[np.ndarray, "b samples"]:
    """Each signal with its own gains, which change its colour but not its root mean square; silence stays silent.

    `gains_db` are those at frequencies evenly spaced in octaves, from 1/256 of half the sample rate up to it. Between
    these, decibels are linear in the logarithm of frequency; below, the gain is constant. The filter has no phase, and
    takes what lies outside the signal for silence.
    """
    num_samples = signal.shape[-1]
    # A quarter more, for the filter's response to run out in instead of coming round.
    size = 1 << (num_samples + num_samples // 4).bit_length()
    spectrum = np.fft.rfft(signal, size)
    spectrum *= 10.0 ** (gains_db.astype(np.float32) @ _interpolation(size, gains_db.shape[-1]) / np.float32(20.0))
    filtered = np.fft.irfft(spectrum, size)[:, :num_samples].astype(np.float32)
    before, after = (np.sqrt(np.mean(np.square(x, dtype=np.float64), axis=-1)) for x in (signal, filtered))
    scale = np.divide(before, after, out=np.zeros_like(after), where=after > 0.0)
    return filtered * scale[:, None].astype(np.float32)


def octaves_below_half_the_rate(size: int) -> Float[np.ndarray, " bins"]:
    """Where the bins of a Fourier transform of `size` samples lie, as negative numbers, from -8 upwards."""
    return np.log2(np.maximum(np.arange(size // 2 + 1) / (size // 2), 2.0**-NUM_OCTAVES))


def _interpolation(size: int, num_points: int) -> Float[np.ndarray, "points bins"]:
    """The share that each control point has in the gain of each bin."""
    octaves, points = octaves_below_half_the_rate(size), np.linspace(-NUM_OCTAVES, 0.0, num_points)
    return np.stack([np.interp(octaves, points, share) for share in np.eye(num_points)]).astype(np.float32)
