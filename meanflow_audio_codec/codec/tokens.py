"""The integers between audio and bytes."""

from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Int, Integer

from meanflow_audio_codec.errors import InputError
from meanflow_audio_codec.inference.given_numbers import shown


class Tokens(NamedTuple):
    """The integers that stand for audio: per channel and frame, gain indices of the bands and quantiser codes."""

    side: Int[np.ndarray, "channels frames bands"]
    codes: Int[np.ndarray, "channels frames digits"]


def as_integers(values: Any, what: str) -> Integer[np.ndarray, "..."]:
    """A NumPy array of integers, of any size of them.

    Raises:
        InputError: it is no array, or not of integers; `what` names it in the message.
    """
    try:
        array = np.asarray(values)
    except (TypeError, ValueError, RuntimeError):
        raise InputError(f"{what} must be an array of integers, not {shown(values)}") from None
    if array.dtype.kind not in "iu":
        raise InputError(f"{what} must be an array of integers, not of {array.dtype}")
    return array


def checked_tokens(tokens: Any, num_frames: int, side_levels: tuple[int, ...], code_levels: tuple[int, ...]) -> Tokens:
    """Tokens as int32, unless a decoder would misread them.

    Raises:
        InputError: no pair of arrays, another number of frames, bands or digits, or integers outside their alphabets.
    """
    if not isinstance(tokens, Tokens):
        raise InputError(f"tokens must be Tokens(side, codes), not {type(tokens).__name__}")
    tokens = Tokens(as_integers(tokens.side, "tokens.side"), as_integers(tokens.codes, "tokens.codes"))
    channels = len(tokens.codes) if tokens.codes.ndim else 0
    for name, array, levels in (("side", tokens.side, side_levels), ("codes", tokens.codes, code_levels)):
        expected = (max(channels, 1), num_frames, len(levels))
        if array.shape != expected:
            raise InputError(f"tokens.{name} must have shape {expected} for audio of this length, not {array.shape}")
        if ((array < 0) | (array >= np.asarray(levels))).any():
            raise InputError(f"tokens.{name} must lie in 0 ... {max(levels) - 1}, not {array.min()} ... {array.max()}")
    return Tokens(*(array.astype(np.int32) for array in tokens))
