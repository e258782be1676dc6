"""Sound played faster or slower, so that duration and pitch change together.

A recording at `sample_rate` that is played at `playback_rate` samples per second is resampled from the second to the
first. Both are whole numbers of Hz, so lengths are exact.
"""

import numpy as np
from jaxtyping import Float

from meanflow_audio_codec.preprocessing.resampling import resample, resampled_length

# At equal rates SoXR's filter is shorter than this on either side (its response there is below 1e-6).
FILTER_REACH = 128


def excerpt_samples(num_samples: int, sample_rate: int, playback_rate: int) -> int:
    """Samples of the original that `num_samples` of the result cover."""
    return resampled_length(num_samples, sample_rate, playback_rate)


def margin_samples(sample_rate: int, playback_rate: int) -> int:
    """Samples of the original on either side of an excerpt that the filter sees; 0 at equal rates."""
    if playback_rate == sample_rate:
        return 0
    return FILTER_REACH * max(1, -(-playback_rate // sample_rate))


def play(
    excerpt: Float[np.ndarray, " excerpt"], num_samples: int, sample_rate: int, playback_rate: int
) -> Float[np.ndarray, " samples"]:
    """`num_samples` samples of an excerpt that has its margin on either side, at the other speed.

    Frequencies that would come to lie above half the sample rate are removed.
    """
    first = round(margin_samples(sample_rate, playback_rate) * sample_rate / playback_rate)
    return resample(excerpt, playback_rate, sample_rate)[first : first + num_samples]
