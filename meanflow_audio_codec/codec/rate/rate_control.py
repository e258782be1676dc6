"""Which frames get how many digits, so that a stream keeps to its bit rate."""

import math
from collections.abc import Callable

import numpy as np
from jaxtyping import Float, Int

from meanflow_audio_codec.preprocessing.block_gain_shape import LOUD_QUANTILE, LOUDNESS_MARGIN

# How fast the memory of loud packets fades: to half in this many seconds.
HALF_LIFE_SECONDS = 2.0
# Bits that packets may leave to later ones, or borrow from them, in seconds of the bit rate.
RESERVOIR_SECONDS = 1.0
# A loudness is multiplied by at most this much when bits are left over: what is nearly silent stays cheap.
MOST_GENEROUS = 2.5
# Details are tried from generous to none in this many steps.
NUM_TRIALS = 64


class RateControl:
    """Spends the bits of one channel's packets: loud frames first, silence nothing, and the target on average.

    A packet is given what its duration is worth and what earlier packets left over. It depends on earlier packets
    alone, so that a live stream and a file are the same.
    """

    def __init__(self, bits_per_second: float, frames_per_second: float):
        self._bits_per_frame = bits_per_second / frames_per_second
        self._frames_per_second = frames_per_second
        self._capacity = RESERVOIR_SECONDS * bits_per_second
        self._reservoir = 0.0
        self._loud = 0.0

    def share(self, loudness: Float[np.ndarray, " n"]) -> Float[np.ndarray, " n"]:
        """How much detail each frame of the next packet deserves, at most 1."""
        if not len(loudness):
            return loudness
        fading = 0.5 ** (len(loudness) / self._frames_per_second / HALF_LIFE_SECONDS)
        self._loud = max(float(np.quantile(loudness, LOUD_QUANTILE)), self._loud * fading)
        deserved = LOUDNESS_MARGIN * loudness
        # Where nothing was loud so far, all that sounds is.
        return np.divide(deserved, self._loud, out=(loudness > 0.0).astype(float), where=deserved < self._loud)

    def choose(
        self,
        share: Float[np.ndarray, " n"],
        full_detail: int,
        bits_of: Callable[[Int[np.ndarray, " n"]], float],
    ) -> Int[np.ndarray, " n"]:
        """Detail of each frame, at most `full_detail`: as generous as the budget allows, or none at all.

        `bits_of` says what the packet costs at these details.
        """
        budget = len(share) * self._bits_per_frame + self._reservoir
        for trial in range(NUM_TRIALS):
            generosity = MOST_GENEROUS * (1.0 - trial / NUM_TRIALS)
            detail = np.floor(np.minimum(share * generosity, 1.0) * full_detail + 0.5).astype(np.int32)
            if bits_of(detail) <= budget:
                return detail
        return np.zeros(len(share), np.int32)

    def spent(self, num_frames: int, bits: float) -> None:
        """Account for a packet."""
        left = self._reservoir + num_frames * self._bits_per_frame - bits
        self._reservoir = min(max(left, -self._capacity), self._capacity)


def operating_point_for(bits_per_second: float, points: tuple[int, ...]) -> int:
    """The operating point to serve a bit rate from: the nearest in ratio that is not much lower.

    A rate between two points is served from the upper one at less detail, unless it is nearly the lower one.
    """
    for index, point in enumerate(points):
        if math.log(bits_per_second / point) < 0.1:
            return index
    return len(points) - 1
