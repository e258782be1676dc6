"""The short-time Fourier transform with gradients."""

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Complex, Float

# Frames overlap by three quarters.
HOPS_PER_WINDOW = 4


def short_time_fourier(
    signal: Float[Array, "b samples"], window_length: int, scale: float
) -> Complex[Array, "b n bins"]:
    """Spectra of the whole frames of a signal, periodic Hann window, hop `window_length` / 4, times `scale`.

    `window_length` is a multiple of 4 and at most the number of samples; nothing is padded.
    """
    hop = window_length // HOPS_PER_WINDOW
    num_hops = signal.shape[-1] // hop
    num_frames = num_hops - HOPS_PER_WINDOW + 1
    hops = signal[:, : num_hops * hop].reshape(signal.shape[0], num_hops, hop)
    frames = jnp.concatenate([hops[:, first : first + num_frames] for first in range(HOPS_PER_WINDOW)], axis=-1)
    return jnp.fft.rfft(frames * (hann(window_length) * np.float32(scale)))


def hann(window_length: int) -> Float[np.ndarray, " samples"]:
    """The periodic Hann window."""
    return np.hanning(window_length + 1)[:-1].astype(np.float32)
