"""Coloured noise, and mixtures at a signal-to-noise ratio."""

import numpy as np
from jaxtyping import Float

from meanflow_audio_codec.datasets.augmentation.equalization import octaves_below_half_the_rate


def colored_noise(
    random: np.random.Generator, slopes_db: Float[np.ndarray, " b"], num_samples: int
) -> Float[np.ndarray, "b samples"]:
    """Gaussian noises whose power density changes by these decibels per octave: 0 is white, -3 pink, -6 brown.

    From 1/256 of half the sample rate downwards it stays constant. The level is arbitrary.
    """
    size = max(2, 1 << (num_samples - 1).bit_length())
    octaves = octaves_below_half_the_rate(size).astype(np.float32)
    spectrum = random.standard_normal((len(slopes_db), len(octaves), 2), np.float32).view(np.complex64)[..., 0]
    spectrum *= 10.0 ** (slopes_db.astype(np.float32)[:, None] * octaves / np.float32(20.0))
    spectrum[:, 0] = 0.0
    return np.fft.irfft(spectrum, size)[:, :num_samples].astype(np.float32)


def mix(
    signal: Float[np.ndarray, "b samples"],
    noise: Float[np.ndarray, "b samples"],
    signal_to_noise_db: Float[np.ndarray, " b"],
) -> Float[np.ndarray, "b samples"]:
    """The signals with the noises added at these ratios of mean powers; a silent signal or noise adds nothing."""
    power, noise_power = (np.mean(np.square(x, dtype=np.float64), axis=-1) for x in (signal, noise))
    ratio = np.divide(power, noise_power, out=np.zeros_like(power), where=noise_power > 0.0)
    scale = np.sqrt(ratio * 10.0 ** (-signal_to_noise_db / 10.0))
    return signal + noise * scale[:, None].astype(np.float32)
