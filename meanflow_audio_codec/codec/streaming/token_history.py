"""The newest frames of one channel of a stream, the lost ones filled in."""

import numpy as np
from jaxtyping import Bool, Int

from meanflow_audio_codec.codec.streaming.concealment import Concealment
from meanflow_audio_codec.preprocessing.normalizer import GainColumns


class TokenHistory:
    """Tokens of the last `window_frames` frames, and of as many before as concealment looks back to.

    Gaps are filled anew each time a window is asked for, with what has arrived by then. Before the first frame lies
    silence.
    """

    def __init__(
        self,
        window_frames: int,
        num_side: int,
        gains: GainColumns,
        silent_codes: Int[np.ndarray, " q"],
        concealment: Concealment,
    ):
        self._window_frames = window_frames
        self._silent_codes = silent_codes
        self._concealment = concealment
        self._gains = gains
        length = window_frames + concealment.reach(gains)
        self._side = np.zeros((length, num_side), np.int32)
        self._codes = np.tile(silent_codes, (length, 1))
        self._received = np.ones(length, bool)

    def append(self, side: Int[np.ndarray, "n s"], codes: Int[np.ndarray, "n q"], *, total: int) -> None:
        """Received frames, continued by silence to `total`."""
        silent = total - len(codes)
        self._push(
            np.pad(side, ((0, silent), (0, 0))),
            np.concatenate([codes, np.tile(self._silent_codes, (silent, 1))]),
            np.ones(total, bool),
        )

    def append_lost(self, num_frames: int) -> None:
        """Frames that were not received."""
        side = np.zeros((num_frames, self._side.shape[1]), np.int32)
        self._push(side, np.tile(self._silent_codes, (num_frames, 1)), np.zeros(num_frames, bool))

    def window(self) -> tuple[Int[np.ndarray, "window s"], Int[np.ndarray, "window q"]]:
        """The last `window_frames` frames without gaps."""
        side, codes = self._concealment.fill(self._side, self._codes, self._received, self._silent_codes, self._gains)
        return side[-self._window_frames :], codes[-self._window_frames :]

    def _push(
        self, side: Int[np.ndarray, "n s"], codes: Int[np.ndarray, "n q"], received: Bool[np.ndarray, " n"]
    ) -> None:
        length = len(self._received)
        self._side = np.concatenate([self._side, side])[-length:]
        self._codes = np.concatenate([self._codes, codes])[-length:]
        self._received = np.concatenate([self._received, received])[-length:]
