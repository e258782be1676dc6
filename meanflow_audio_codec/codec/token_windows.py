"""Tokens of a recording as windows of frames, with silence where there are none."""

from typing import Protocol, runtime_checkable

import numpy as np
from jaxtyping import Int


@runtime_checkable
class TokenWindows(Protocol):
    """Where decoding takes its tokens from: memory, or a file that is read as it goes."""

    def window(
        self, first: int, length: int
    ) -> tuple[Int[np.ndarray, "channels window s"], Int[np.ndarray, "channels window q"]]:
        """Side information and codes of the frames from `first` on, which may lie before or behind the recording.

        Windows are asked for in order of time.
        """
        ...


class HeldTokens:
    """Tokens that are in memory; `first` is the number of the first frame among them."""

    def __init__(
        self,
        side: Int[np.ndarray, "channels n s"],
        codes: Int[np.ndarray, "channels n q"],
        silent_codes: Int[np.ndarray, " q"],
        *,
        first: int = 0,
    ):
        self._side, self._codes = side, codes
        self._silent_codes = silent_codes
        self._first = first

    def window(
        self, first: int, length: int
    ) -> tuple[Int[np.ndarray, "channels window s"], Int[np.ndarray, "channels window q"]]:
        """Side information and codes of the frames from `first` on."""
        start = first - self._first
        return (
            np.stack([rows_from(side, start, length) for side in self._side]),
            np.stack([rows_from(codes, start, length, self._silent_codes) for codes in self._codes]),
        )


def rows_from(values: np.ndarray, start: int, length: int, fill: np.ndarray | float = 0) -> np.ndarray:
    """Rows start ... start + length, with `fill` where there are none."""
    out = np.empty((length, *values.shape[1:]), values.dtype)
    out[:] = fill
    first, last = max(start, 0), min(start + length, len(values))
    if first < last:
        out[first - start : last - start] = values[first:last]
    return out
