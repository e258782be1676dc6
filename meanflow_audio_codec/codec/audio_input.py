"""What users pass as audio."""

from typing import Any

import numpy as np
from jaxtyping import Float

from meanflow_audio_codec.errors import InputError

MAX_CHANNELS = 255
# Full scale is 1; peaks a little above occur in floating-point files, larger ones are integers that were not scaled.
LARGEST_SAMPLE = 100.0


def as_channels(audio: Any) -> Float[np.ndarray, "channels samples"]:
    """Audio of shape (channels, samples) or (samples,), NumPy, JAX or PyTorch, as float32 (channels, samples).

    Raises:
        InputError: no samples, too many channels, another shape, integers, or values that are not finite or far beyond
            full scale.
    """
    if hasattr(audio, "detach"):  # a PyTorch tensor, which may have a gradient or lie on another device
        audio = audio.detach().cpu()
    array = np.asarray(audio)
    if array.dtype.kind != "f":
        raise InputError(f"audio must be floating point in [-1, 1], not {array.dtype}: divide integers by full scale")
    if array.ndim not in (1, 2):
        raise InputError(f"audio must have shape (samples,) or (channels, samples), not {array.shape}")
    if array.size == 0:
        raise InputError("audio has no samples")
    if not np.isfinite(array).all():
        raise InputError("audio has samples that are NaN or infinite: repair the recording first")
    peak = max(float(array.max()), -float(array.min()))
    if peak > LARGEST_SAMPLE:
        raise InputError(f"audio has a peak of {peak:g}, far beyond full scale 1: divide integers by full scale")
    channels = np.atleast_2d(array).astype(np.float32, copy=False)
    if len(channels) > MAX_CHANNELS:
        raise InputError(
            f"audio has {len(channels)} channels, more than {MAX_CHANNELS}: its shape must be (channels, samples)"
        )
    return channels


def as_sample_rate(sample_rate: Any) -> int:
    """A sample rate in Hz as an integer.

    Raises:
        InputError: it is not a positive whole number.
    """
    try:
        rate = int(sample_rate)
    except (TypeError, ValueError, OverflowError):
        raise InputError(f"sample rate must be a whole number of Hz, not {sample_rate!r}") from None
    if rate != sample_rate or rate < 1:
        raise InputError(f"sample rate must be a positive whole number of Hz, not {sample_rate}")
    return rate
