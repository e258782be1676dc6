"""What users pass as audio, and as files."""

from typing import Any, cast

import numpy as np
from jaxtyping import Float

from meanflow_audio_codec.errors import InputError
from meanflow_audio_codec.inference.given_numbers import positive_whole_number

MAX_CHANNELS = 255
# Full scale is 1; peaks a little above occur in floating-point files, larger ones are integers that were not scaled.
LARGEST_SAMPLE = 100.0


def as_channels(audio: Any, *, allow_empty: bool = False) -> Float[np.ndarray, "channels samples"]:
    """Audio of shape (channels, samples) or (samples,), NumPy, JAX or PyTorch, as float32 (channels, samples).

    Raises:
        InputError: no samples unless these are allowed, too many channels, another shape, no floating point, or values
            that are not finite or far beyond full scale.
    """
    array = _as_array(audio)
    if array.ndim not in (1, 2):
        raise InputError(f"audio must have shape (samples,) or (channels, samples), not {array.shape}")
    if array.size == 0:
        if not allow_empty:
            raise InputError("audio has no samples")
        return np.zeros((len(np.atleast_2d(array)), 0), np.float32)
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
    return positive_whole_number(sample_rate, "the sample rate", " of Hz")


def as_file_bytes(data: Any) -> bytes:
    """The bytes of a .mfc file.

    Raises:
        InputError: they are not bytes, but a path or an open file, say.
    """
    if isinstance(data, bytes):
        return data
    if isinstance(data, bytearray | memoryview):
        return bytes(cast(bytearray, data))
    raise InputError(f"give the bytes of a .mfc file, not {type(data).__name__}: read the file first")


def _as_array(audio: Any) -> Float[np.ndarray, "..."]:
    """A NumPy array of a precision that NumPy knows.

    Raises:
        InputError: it is no array, or not of floating point.
    """
    if hasattr(audio, "detach"):  # a PyTorch tensor, which may have a gradient or lie on another device
        audio = audio.detach().cpu()
        if str(getattr(audio, "dtype", None)) == "torch.bfloat16":  # of which PyTorch makes no array
            audio = audio.float()
    try:
        array = np.asarray(audio)
    except (TypeError, ValueError, RuntimeError) as error:
        raise InputError(f"audio must be an array of samples, not {type(audio).__name__}: {_line(error)}") from None
    kind = array.dtype.kind
    if kind == "V" and _is_short_float(array.dtype):
        return array.astype(np.float32)
    if kind in "iub":
        raise InputError(f"audio must be floating point in [-1, 1], not {array.dtype}: divide integers by full scale")
    if kind != "f":
        what = type(audio).__name__ if kind in "OUS" else str(array.dtype)
        raise InputError(f"audio must be an array of floating-point samples in [-1, 1], not {what}")
    return array


def _is_short_float(dtype: np.dtype) -> bool:
    """Whether it is one of the types that NumPy itself has not, such as bfloat16."""
    import jax.numpy as jnp

    return bool(jnp.issubdtype(dtype, jnp.floating))


def _line(error: Exception) -> str:
    return " ".join(str(error).split())[:100]
