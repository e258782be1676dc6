"""The anchors of a MUSHRA test (ITU-R BS.1534-3): the original, low-passed at 3.5 kHz and at 7 kHz."""

import numpy as np
from jaxtyping import Float

from meanflow_audio_codec.errors import InputError

LOW_HZ, MIDDLE_HZ = 3_500.0, 7_000.0
TRANSITION = 8.0 / 7.0  # from the edge of what passes to the edge of what does not: 3.5 to 4 kHz, 7 to 8 kHz
STOP_DECIBELS = 60.0  # asked for: 25 at 4 kHz and 50 at 4.5 kHz, and a ripple of 0.1 below 3.5 kHz


def anchor(
    audio: Float[np.ndarray, "channels samples"], sample_rate: int, highest_hz: float
) -> Float[np.ndarray, "channels samples"]:
    """The recording without what lies above `highest_hz`, neither late nor early.

    Raises:
        InputError: the sample rate is too low for anything to be taken away.
    """
    from scipy.signal import kaiserord, oaconvolve

    half, stop_hz = sample_rate / 2.0, highest_hz * TRANSITION
    if stop_hz > half:
        raise InputError(
            f"recordings at {sample_rate} Hz hold too little above {highest_hz / 1000:g} kHz for an anchor; "
            f"give originals at {round(2 * stop_hz)} Hz or more"
        )
    num_taps, beta = kaiserord(STOP_DECIBELS, (stop_hz - highest_hz) / half)
    num_taps |= 1  # odd: late by a whole number of samples, which the middle of the convolution takes back
    cutoff = (highest_hz + stop_hz) / sample_rate  # in the middle of the transition, in units of half
    taps = cutoff * np.sinc(cutoff * (np.arange(num_taps) - num_taps // 2)) * np.kaiser(num_taps, beta)
    taps = (taps / taps.sum()).reshape(1, -1)
    filtered = np.asarray(oaconvolve(audio.astype(np.float64), taps, mode="full", axes=1))
    return filtered[:, num_taps // 2 :][:, : audio.shape[1]].astype(np.float32)
