"""The integers between audio and bytes."""

from typing import NamedTuple

import numpy as np
from jaxtyping import Int

from meanflow_audio_codec.errors import InputError


class Tokens(NamedTuple):
    """The integers that stand for audio: per channel and frame, gain indices of the bands and quantiser codes."""

    side: Int[np.ndarray, "channels frames bands"]
    codes: Int[np.ndarray, "channels frames digits"]


def check_tokens(tokens: Tokens, num_frames: int, side_levels: tuple[int, ...], code_levels: tuple[int, ...]) -> None:
    """Refuse integers that a decoder would misread.

    Raises:
        InputError: another number of frames, bands or digits, or integers outside their alphabets.
    """
    for name, array, levels in (("side", tokens.side, side_levels), ("codes", tokens.codes, code_levels)):
        expected = (len(tokens.codes), num_frames, len(levels))
        if array.shape != expected:
            raise InputError(f"tokens.{name} must have shape {expected} for audio of this length, not {array.shape}")
        if ((array < 0) | (array >= np.asarray(levels))).any():
            raise InputError(f"tokens.{name} must lie in 0 ... {max(levels) - 1}, not {array.min()} ... {array.max()}")
