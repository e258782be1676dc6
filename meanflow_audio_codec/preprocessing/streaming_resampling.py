"""Sample rate conversion of audio that arrives piece by piece."""

from functools import cache

import numpy as np
from jaxtyping import Float

from meanflow_audio_codec.preprocessing.resampling import QUALITY, resampled_length

# How long the delay of a conversion is watched: many times the block length of its filters.
PROBE_SECONDS = 2
PROBE_STEPS_PER_SECOND = 1_000


class StreamingResampler:
    """The same samples as `resample` gives for the whole, however it is cut: both run one filter over one stream."""

    def __init__(self, from_rate: int, to_rate: int, channels: int):
        self._rates = (from_rate, to_rate)
        self._stream = None
        self._received = self.num_given = 0
        self._channels = channels
        if from_rate != to_rate:
            import soxr

            self._stream = soxr.ResampleStream(from_rate, to_rate, channels, dtype="float32", quality=QUALITY)

    def push(self, audio: Float[np.ndarray, "channels samples"]) -> Float[np.ndarray, "channels resampled"]:
        """The samples that have become final."""
        self._received += audio.shape[1]
        if self._stream is None or audio.shape[1] == 0:
            self.num_given += audio.shape[1]
            return audio
        return self._within_length(self._stream.resample_chunk(np.ascontiguousarray(audio.T)))

    def finish(self) -> Float[np.ndarray, "channels resampled"]:
        """The last samples: `resampled_length` of all that was pushed, less what was given already."""
        if self._stream is None or self._received == 0:
            return np.zeros((self._channels, 0), np.float32)
        last = self._within_length(self._stream.resample_chunk(np.zeros((0, self._channels), np.float32), last=True))
        missing = resampled_length(self._received, *self._rates) - self.num_given
        self.num_given += missing
        return np.pad(last, ((0, 0), (0, missing)))

    def _within_length(self, frames: Float[np.ndarray, "resampled channels"]) -> Float[np.ndarray, "channels kept"]:
        kept = frames[: resampled_length(self._received, *self._rates) - self.num_given].T
        self.num_given += kept.shape[1]
        return kept


@cache
def resampling_delay(from_rate: int, to_rate: int) -> int:
    """Input samples by which the output of a `StreamingResampler` lags at most; 0 if the rates are equal.

    Observed on a stream, because the filters work block by block and do not say how; exact to a millisecond, upwards.
    """
    if from_rate == to_rate:
        return 0
    resampler = StreamingResampler(from_rate, to_rate, 1)
    step = -(-from_rate // PROBE_STEPS_PER_SECOND)
    silence = np.zeros((1, step), np.float32)
    given, delay = 0, 0
    for count in range(1, PROBE_SECONDS * PROBE_STEPS_PER_SECOND + 1):
        given += resampler.push(silence).shape[1]
        # The next output sample stands for this input sample, and is still missing.
        delay = max(delay, count * step - given * from_rate // to_rate)
    return delay + step
