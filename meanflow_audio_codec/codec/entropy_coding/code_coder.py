"""Codes of the encoder network <-> bits: one static table a column."""

from collections.abc import Mapping, Sequence
from itertools import pairwise

import numpy as np
from jaxtyping import Bool, Float, Int

from meanflow_audio_codec.codec.entropy_coding.range_coder import RangeReader, RangeWriter, table_model
from meanflow_audio_codec.codec.entropy_coding.tables import PRECISION, check_frequencies, integer_frequencies

State = Mapping[str, np.ndarray]


class CodeCoder:
    """Codes of the encoder network: each of the q columns has one static table."""

    def __init__(self, frequencies: Sequence[Int[np.ndarray, " _"]]) -> None:
        for table in frequencies:
            check_frequencies(table)
        self.frequencies = tuple(frequencies)
        # An alphabet of one symbol carries nothing and is not coded.
        self._models = tuple(table_model(table) if len(table) > 1 else None for table in frequencies)

    @property
    def levels(self) -> tuple[int, ...]:
        """Alphabet size of each column."""
        return tuple(len(table) for table in self.frequencies)

    @classmethod
    def fit(
        cls,
        codes: Sequence[Int[np.ndarray, "_ q"]],
        levels: tuple[int, ...],
        num_digits: Sequence[Int[np.ndarray, " _"] | None] | None = None,
    ) -> "CodeCoder":
        """Tables of the columns' histograms, of the digits that count; with no codes at all, uniform tables.

        Raises:
            ValueError: a code lies outside its alphabet.
        """
        counts = [np.zeros(size, np.int64) for size in levels]
        for array, digits in zip(codes, num_digits or [None] * len(codes), strict=True):
            _check_symbols("code", array, levels)
            kept = _kept(array.shape, digits)
            for column, count in enumerate(counts):
                count += np.bincount(array[kept[:, column], column], minlength=len(count))
        return cls([integer_frequencies(count) for count in counts])

    def write(
        self, codes: Int[np.ndarray, "n q"], writer: RangeWriter, num_digits: Int[np.ndarray, " n"] | None = None
    ) -> None:
        """Appends the codes, column after column; of each frame the first `num_digits`, or all.

        Raises:
            ValueError: a code lies outside its alphabet, or one that is left out is not the middle of it.
        """
        _check_symbols("code", codes, self.levels)
        kept = _kept(codes.shape, num_digits)
        if (codes != np.asarray(self.levels) // 2)[~kept].any():
            raise ValueError("a code that is left out must be the middle of its alphabet")
        for column, model in enumerate(self._models):
            if model is not None:
                writer.write(codes[kept[:, column], column], model)

    def read(
        self, num_frames: int, reader: RangeReader, num_digits: Int[np.ndarray, " n"] | None = None
    ) -> Int[np.ndarray, "n q"]:
        """The codes of the next frames; those that were left out are the middle of their alphabet."""
        kept = _kept((num_frames, len(self._models)), num_digits)
        codes = np.where(kept, 0, np.asarray(self.levels, np.int32) // 2).astype(np.int32)
        for column, model in enumerate(self._models):
            if model is not None:
                codes[kept[:, column], column] = reader.read(int(kept[:, column].sum()), model)
        return codes

    def fewest_bits_per_frame(self, num_digits: int) -> float:
        """Ideal code length of the first codes of a frame where each is its most probable one."""
        return sum((PRECISION - float(np.log2(table.max())) for table in self.frequencies[:num_digits]), start=0.0)

    def bits(self, codes: Int[np.ndarray, "n q"]) -> Float[np.ndarray, "n q"]:
        """Ideal code length of every code."""
        bits = np.empty(codes.shape)
        for column, table in enumerate(self.frequencies):
            bits[:, column] = (PRECISION - np.log2(table))[codes[:, column]]
        return bits

    def cost(self, codes: Int[np.ndarray, "n q"], num_digits: Int[np.ndarray, " n"] | None = None) -> float:
        """Ideal code length in bits, of the first `num_digits` of each frame, or of all."""
        return float(np.sum(self.bits(codes), where=_kept(codes.shape, num_digits)))

    def state(self) -> dict[str, np.ndarray]:
        """The tables as int32 arrays."""
        tables = np.concatenate([*self.frequencies, np.zeros(0, np.int32)])
        return {"levels": np.asarray(self.levels, np.int32), "frequencies": tables.astype(np.int32)}

    @classmethod
    def from_state(cls, state: State) -> "CodeCoder":
        """The coder that `state` came from.

        Raises:
            ValueError: the arrays are no probability tables.
        """
        ends = np.concatenate([[0], np.cumsum(state["levels"], dtype=np.int64)])
        if len(state["frequencies"]) != ends[-1] or (state["levels"] < 1).any():
            raise ValueError(
                f"corrupt probability tables: {len(state['frequencies'])} entries for levels of {ends[-1]}"
            )
        return cls([state["frequencies"][start:end] for start, end in pairwise(ends)])


def _kept(shape: tuple[int, ...], num_digits: Int[np.ndarray, " n"] | None) -> Bool[np.ndarray, "n q"]:
    """Which digits of each frame are coded."""
    if num_digits is None:
        return np.ones(shape, bool)
    return np.arange(shape[1]) < num_digits[:, None]


def _check_symbols(name: str, symbols: Int[np.ndarray, "n q"], levels: tuple[int, ...]) -> None:
    if symbols.shape[1] != len(levels):
        raise ValueError(f"{len(levels)} columns of {name}s expected, not {symbols.shape[1]}")
    if symbols.size and ((symbols < 0) | (symbols >= np.asarray(levels))).any():
        raise ValueError(f"a {name} lies outside its alphabet: {symbols.min()} ... {symbols.max()}, levels {levels}")
