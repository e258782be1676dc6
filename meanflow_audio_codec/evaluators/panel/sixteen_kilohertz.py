"""What the networks of the panel hear: 16 kHz, within full scale, not silent."""

import numpy as np
from jaxtyping import Float

from meanflow_audio_codec.evaluators.metric_errors import NotMeasurableError
from meanflow_audio_codec.preprocessing.resampling import resample

SAMPLE_RATE = 16_000


def at_16_khz(signal: Float[np.ndarray, " samples"], sample_rate: int) -> Float[np.ndarray, " resampled"]:
    """The signal at 16 kHz in float32, clipped to full scale as a player would.

    Raises:
        NotMeasurableError: it is silent.
    """
    if not np.any(signal):
        raise NotMeasurableError("the clip is silent")
    return np.clip(resample(signal, sample_rate, SAMPLE_RATE), -1.0, 1.0).astype(np.float32)
