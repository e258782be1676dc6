"""Short-time magnitude spectra of two signals side by side, and the mel scale."""

from collections.abc import Iterator
from functools import lru_cache

import numpy as np
from jaxtyping import Float

# Frames per block: 30 s of 48 kHz audio at once needs some 50 MB, whatever the length of the clip.
FRAMES_PER_BLOCK = 2048


def window_length(sample_rate: int) -> int:
    """Samples of the analysis window: the power of two at or above 32 ms (512 at 16 kHz, 2048 at 48 kHz)."""
    return 2 ** int(np.ceil(np.log2(0.032 * sample_rate)))


def magnitude_blocks(
    reference: Float[np.ndarray, " samples"], estimate: Float[np.ndarray, " samples"], n_fft: int
) -> Iterator[tuple[Float[np.ndarray, "frames bins"], Float[np.ndarray, "frames bins"]]]:
    """Magnitude spectra of both signals, a block of frames at a time.

    Periodic Hann window, hop n_fft / 4, both ends extended by n_fft / 2 zeros, so that frames are centred.
    """
    if len(reference) != len(estimate) or len(reference) == 0:
        raise ValueError(f"two signals of one length are needed, not {len(reference)} and {len(estimate)} samples")
    window = 0.5 - 0.5 * np.cos(2.0 * np.pi * np.arange(n_fft) / n_fft)
    frames = [
        np.lib.stride_tricks.sliding_window_view(np.pad(signal, n_fft // 2), n_fft)[:: n_fft // 4]
        for signal in (reference, estimate)
    ]
    for first in range(0, len(frames[0]), FRAMES_PER_BLOCK):
        chosen = slice(first, first + FRAMES_PER_BLOCK)
        one, other = (np.abs(np.fft.rfft(frame[chosen] * window, axis=1)) for frame in frames)
        yield one, other


def hertz_to_mel(frequency: Float[np.ndarray, "..."]) -> Float[np.ndarray, "..."]:
    """Mel of a frequency in Hz: linear up to 1 kHz (15 mel), then 27 mel per factor 6.4 (Slaney, Auditory Toolbox)."""
    logarithmic = 15.0 + 27.0 * np.log(np.maximum(frequency, 1000.0) / 1000.0) / np.log(6.4)
    return np.where(frequency < 1000.0, 3.0 * frequency / 200.0, logarithmic)


def mel_to_hertz(mel: Float[np.ndarray, "..."]) -> Float[np.ndarray, "..."]:
    """Inverse of `hertz_to_mel`."""
    return np.where(mel < 15.0, 200.0 * mel / 3.0, 1000.0 * 6.4 ** ((np.maximum(mel, 15.0) - 15.0) / 27.0))


@lru_cache(maxsize=8)
def mel_filters(sample_rate: int, n_fft: int, num_bands: int) -> Float[np.ndarray, "bins bands"]:
    """Triangular filters equally spaced in mel from 0 Hz to half the sample rate, each of unit area in Hz."""
    top = hertz_to_mel(np.asarray(sample_rate / 2.0))
    corners = mel_to_hertz(np.linspace(0.0, float(top), num_bands + 2))
    bins = np.arange(n_fft // 2 + 1)[:, None] * sample_rate / n_fft
    low, centre, high = corners[:-2], corners[1:-1], corners[2:]
    triangles = np.minimum((bins - low) / (centre - low), (high - bins) / (high - centre))
    return np.maximum(triangles, 0.0) * 2.0 / (high - low)
