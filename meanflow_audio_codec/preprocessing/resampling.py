"""Sample rate conversion."""

import numpy as np
from jaxtyping import Float

QUALITY = "VHQ"  # SoXR's highest


def resampled_length(num_samples: int, from_rate: int, to_rate: int) -> int:
    """Samples after resampling: ceil(num_samples * to_rate / from_rate), so that going back never gives fewer."""
    return -(-num_samples * to_rate // from_rate)


def resample(
    audio: Float[np.ndarray, "*channels samples"], from_rate: int, to_rate: int
) -> Float[np.ndarray, "*channels resampled"]:
    """Audio at another sample rate, by SoXR at its highest quality, along the last axis, as float32.

    The result has exactly `resampled_length` samples.

    Raises:
        ValueError: a sample rate that is not positive.
    """
    if from_rate <= 0 or to_rate <= 0:
        raise ValueError(f"sample rates must be positive, not {from_rate} and {to_rate}")
    audio = np.asarray(audio, np.float32)
    if from_rate == to_rate or audio.size == 0:
        return audio
    import soxr

    length = resampled_length(audio.shape[-1], from_rate, to_rate)
    channels = audio.reshape(-1, audio.shape[-1])
    result = np.zeros((len(channels), length), np.float32)
    for row, channel in zip(result, channels, strict=True):
        resampled = soxr.resample(channel, from_rate, to_rate, quality=QUALITY)[:length]
        row[: len(resampled)] = resampled
    return result.reshape(*audio.shape[:-1], length)
