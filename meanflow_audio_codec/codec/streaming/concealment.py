"""Tokens for frames whose packets were lost."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Int

from meanflow_audio_codec.errors import InputError
from meanflow_audio_codec.inference.given_numbers import number, whole_number
from meanflow_audio_codec.preprocessing.normalizer import GainColumns


@dataclass(frozen=True)
class Concealment:
    """Gains between the last frame before a gap and the first one after it, sinking towards its middle; codes repeated.

    `fade_db` are taken off the gains per frame of distance from the nearest received frame, and codes are repeated over
    `repeat` frames of distance, beyond which every digit takes its middle level. Where nothing was received on one side
    yet, the other side alone decides. How the numbers were chosen is in documentation/research/packet_loss.md.

    Raises:
        InputError: a fade that never ends, or a negative number of frames.
    """

    fade_db: float = 1.0
    repeat: int = 3

    def __post_init__(self) -> None:
        """Check the ranges."""
        if not number(self.fade_db, "the fade of lost packets") > 0.0:
            raise InputError(f"the fade of lost packets must be above 0 dB per frame, not {self.fade_db}")
        if whole_number(self.repeat, "the frames that repeat codes") < 0:
            raise InputError(f"the frames that repeat codes must be 0 or more, not {self.repeat}")

    def fill(
        self,
        side: Int[np.ndarray, "n s"],
        codes: Int[np.ndarray, "n q"],
        received: Bool[np.ndarray, " n"],
        middle_codes: Int[np.ndarray, " q"],
        gains: GainColumns,
    ) -> tuple[Int[np.ndarray, "n s"], Int[np.ndarray, "n q"]]:
        """The tokens with the frames that were not received filled in; with none received at all, silence."""
        if received.all():
            return side, codes
        if not received.any():
            return np.zeros_like(side), np.broadcast_to(middle_codes, codes.shape).astype(codes.dtype)
        lost, known = np.flatnonzero(~received), np.flatnonzero(received)
        place = np.searchsorted(known, lost)
        before, after = known[np.maximum(place - 1, 0)], known[np.minimum(place, len(known) - 1)]
        # At the ends of what is known both are the same frame.
        before, after = np.where(place == 0, after, before), np.where(place == len(known), before, after)
        distance = np.minimum(np.abs(lost - before), np.abs(after - lost))
        share = (lost - before) / np.maximum(after - before, 1)
        columns = slice(0, gains.count)
        low, high = side[before, columns], side[after, columns]
        faded = low + share[:, None] * (high - low) - self.fade_db / gains.step_db * distance[:, None]
        nearest = np.where(np.abs(lost - before) <= np.abs(after - lost), before, after)
        side, codes = side.copy(), codes.copy()
        side[lost] = side[nearest]
        side[lost, columns] = np.maximum(np.rint(faded), 0).astype(side.dtype)
        if gains.detail is not None:  # no digits, and the networks are told so
            side[lost[distance > self.repeat], gains.detail] = 0
        codes[lost] = np.where((distance <= self.repeat)[:, None], codes[nearest], middle_codes)
        return side, codes

    def reach(self, gains: GainColumns) -> int:
        """Frames after which any gain has faded to silence: what lies further back need not be kept."""
        return max(int(np.ceil(gains.num_levels * gains.step_db / self.fade_db)), self.repeat)
