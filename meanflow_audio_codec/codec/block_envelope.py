"""Range coding of what `BlockGainShapeNormalizer` needs: operating point, detail of every frame, symbols of the blocks.

All symbols of a packet at one place of a block, say frame 2, band 5, share a table, and each operating point has tables
of its own: what the transform leaves is close to independent (documentation/research/envelope_coding.md).
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from jaxtyping import Bool, Int

from meanflow_audio_codec.codec.container import BitstreamError
from meanflow_audio_codec.codec.range_coder import RangeReader, RangeWriter, table_model
from meanflow_audio_codec.codec.tables import (
    PRECISION,
    check_frequencies,
    coder_weights,
    ideal_bits,
    integer_frequencies,
)

# Columns of the symbols after those of the bands.
_DETAIL, _POINT = -2, -1
# Symbols of the average table that every table receives, and of a neighbour's: unseen symbols stay codable.
PRIOR_COUNT = 4
# Whether a block is silent, given that the one before was not, that it was, or that there is none: part of the format,
# not fitted, since recordings for training hold little digital silence.
SILENCE_TABLE = np.array([[65_472, 64], [512, 65_024], [61_440, 4_096]], np.int32)
_AFTER_SOUND, _AFTER_SILENCE, _FIRST = range(3)


class BlockEnvelopeCoder:
    """Symbols of the frames of one packet, which has one operating point and whole blocks."""

    def __init__(
        self,
        symbol_tables: Sequence[Int[np.ndarray, "..."]],
        detail_table: Int[np.ndarray, "..."],
        digits: Int[np.ndarray, "..."],
    ) -> None:
        """Tables per band of the symbols (points, block, levels); of the detail given the one before.

        `detail_table` has the shape (points, previous, detail); the row after the last detail stands for a packet's
        first frame. `digits` says how many digits a frame of each operating point and detail has.

        Raises:
            ValueError: a table is damaged, or they do not belong together.
        """
        if any(table.ndim != 3 or table.size == 0 for table in (*symbol_tables, detail_table)):
            raise ValueError("the tables of the envelope do not belong together")
        for table in (*symbol_tables, detail_table):
            check_frequencies(table)
        num_points, num_details = detail_table.shape[0], detail_table.shape[2]
        if (
            not symbol_tables
            or any(table.shape[0] != num_points for table in symbol_tables)
            or len({table.shape[1] for table in symbol_tables}) != 1
            or detail_table.shape[1] != num_details + 1
            or digits.shape != (num_points, num_details)
        ):
            raise ValueError("the tables of the envelope do not belong together")
        self.symbol_tables = tuple(symbol_tables)
        self.detail_table = detail_table
        self.digits = digits
        self._weights = coder_weights(detail_table)
        self._silence_weights = coder_weights(SILENCE_TABLE)
        self._silence_models = [table_model(row) for row in SILENCE_TABLE]
        self._detail_models = [[table_model(row) for row in rows] for rows in detail_table]
        self._models = [[[table_model(row) for row in rows] for rows in table] for table in self.symbol_tables]
        self._point_model = table_model(_uniform(num_points)) if num_points > 1 else None

    @property
    def block_frames(self) -> int:
        """Frames of a block."""
        return self.symbol_tables[0].shape[1]

    @property
    def levels(self) -> tuple[int, ...]:
        """Alphabet size of each column of symbols."""
        bands = tuple(table.shape[2] for table in self.symbol_tables)
        return (*bands, self.detail_table.shape[2], self.detail_table.shape[0])

    @classmethod
    def fit(
        cls,
        packets_of_points: Sequence[Sequence[Int[np.ndarray, "_ s"]]],
        levels: tuple[int, ...],
        block_frames: int,
        digits: Int[np.ndarray, "points detail"],
    ) -> "BlockEnvelopeCoder":
        """Tables of the symbols of recordings, coded at every operating point in turn.

        Raises:
            ValueError: a symbol lies outside its alphabet, or a packet is not of whole blocks.
        """
        num_points, num_details = len(packets_of_points), levels[_DETAIL]
        counts = [np.zeros((num_points, block_frames, size), np.int64) for size in levels[:_DETAIL]]
        detail_counts = np.zeros((num_points, num_details + 1, num_details), np.int64)
        for point, packets in enumerate(packets_of_points):
            for symbols in packets:
                if len(symbols) % block_frames:
                    raise ValueError(f"{len(symbols)} frames are no whole number of blocks of {block_frames}")
                _check_symbols(symbols, levels)
                symbols = symbols[~np.repeat(_silent_blocks(symbols, block_frames), block_frames)]
                place = np.arange(len(symbols)) % block_frames
                for band, count in enumerate(counts):
                    np.add.at(count[point], (place, symbols[:, band]), 1)
                detail = symbols[:, _DETAIL]
                np.add.at(detail_counts[point], (_before(detail, num_details), detail), 1)
        tables = [_smoothed(count) for count in counts]
        return cls(tables, _smoothed(detail_counts), digits)

    def num_digits(self, symbols: Int[np.ndarray, "n s"]) -> Int[np.ndarray, " n"]:
        """Digits of each frame."""
        return self.digits[symbols[:, _POINT], symbols[:, _DETAIL]]

    def write(self, symbols: Int[np.ndarray, "n s"], writer: RangeWriter) -> None:
        """Appends the frames of one packet: point, which blocks are silent, and of the others the details and bands.

        Raises:
            ValueError: a symbol lies outside its alphabet, or the packet is not of whole blocks or one point.
        """
        point = self._point_of(symbols)
        if self._point_model is not None and len(symbols):
            writer.write(np.array([point], np.int32), self._point_model)
        silent = _silent_blocks(symbols, self.block_frames)
        writer.write_each(silent.astype(np.int32), self._silence_weights, _silence_contexts(silent))
        symbols = symbols[~np.repeat(silent, self.block_frames)]
        detail = symbols[:, _DETAIL]
        writer.write_each(detail, self._weights[point], _before(detail, self.levels[_DETAIL]))
        for band, models in enumerate(self._models):
            for place, model in enumerate(models[point]):
                writer.write(symbols[place :: self.block_frames, band], model)

    def read(self, num_frames: int, reader: RangeReader) -> Int[np.ndarray, "n s"]:
        """The frames of one packet.

        Raises:
            BitstreamError: the packet is not of whole blocks.
        """
        if num_frames % self.block_frames:
            raise BitstreamError(
                f"a packet has {num_frames} frames, no whole number of blocks of {self.block_frames}: damaged file"
            )
        point = 0
        if self._point_model is not None and num_frames:
            point = int(reader.read(1, self._point_model)[0])
        silent = np.array(_read_chain(reader, self._silence_models, _FIRST, num_frames // self.block_frames), bool)
        reader.confirm_each(silent.astype(np.int32), self._silence_weights, _silence_contexts(silent))
        sounding = ~np.repeat(silent, self.block_frames)
        symbols = np.zeros((int(sounding.sum()), len(self.levels)), np.int32)
        first = self.levels[_DETAIL]
        detail = np.array(_read_chain(reader, self._detail_models[point], first, len(symbols)), np.int32)
        reader.confirm_each(detail, self._weights[point], _before(detail, first))
        symbols[:, _DETAIL] = detail
        for band, bands in enumerate(self._models):
            for place, model in enumerate(bands[point]):
                symbols[place :: self.block_frames, band] = reader.read(len(symbols) // self.block_frames, model)
        packet = np.zeros((num_frames, len(self.levels)), np.int32)
        packet[sounding] = symbols
        packet[:, _POINT] = point
        return packet

    def sounding(self, symbols: Int[np.ndarray, "n s"]) -> Bool[np.ndarray, " n"]:
        """Frames of blocks that are not silent: the ones whose details and symbols are coded."""
        return ~np.repeat(_silent_blocks(symbols, self.block_frames), self.block_frames)

    def detail_cost(self, detail: Int[np.ndarray, " n"], point: int) -> float:
        """Ideal code length in bits of the details of a packet's frames that are not silent."""
        return ideal_bits(self.detail_table[point][_before(detail, self.levels[_DETAIL])], detail)

    def cost(self, symbols: Int[np.ndarray, "n s"]) -> float:
        """Ideal code length of one packet in bits, the details included."""
        point = self._point_of(symbols)
        silent = _silent_blocks(symbols, self.block_frames)
        bits = float(np.log2(self.levels[_POINT]))
        bits += ideal_bits(SILENCE_TABLE[_silence_contexts(silent)], silent.astype(np.int32))
        symbols = symbols[~np.repeat(silent, self.block_frames)]
        place = np.arange(len(symbols)) % self.block_frames
        for band, table in enumerate(self.symbol_tables):
            bits += ideal_bits(table[point][place], symbols[:, band])
        return bits + self.detail_cost(symbols[:, _DETAIL], point)

    @property
    def fewest_bits_per_frame(self) -> float:
        """Ideal code length of a frame of digital silence, the cheapest there is."""
        return float(PRECISION - np.log2(SILENCE_TABLE[_AFTER_SILENCE, 1])) / self.block_frames

    def _point_of(self, symbols: Int[np.ndarray, "n s"]) -> int:
        _check_symbols(symbols, self.levels)
        if len(symbols) % self.block_frames:
            raise ValueError(f"{len(symbols)} frames are no whole number of blocks of {self.block_frames}")
        points = symbols[:, _POINT]
        if len(points) and (points != points[0]).any():
            raise ValueError("a packet has one operating point, not several")
        return int(points[0]) if len(points) else 0

    def state(self) -> dict[str, np.ndarray]:
        """The tables as int32 arrays."""
        return {
            "digits": self.digits.astype(np.int32),
            "detail": self.detail_table.astype(np.int32),
            "levels": np.array([table.shape[2] for table in self.symbol_tables], np.int32),
            "frequencies": np.concatenate([table.reshape(-1) for table in self.symbol_tables]).astype(np.int32),
        }

    @classmethod
    def from_state(cls, state: Mapping[str, np.ndarray]) -> "BlockEnvelopeCoder":
        """The coder that `state` came from.

        Raises:
            ValueError: the arrays do not belong together.
            KeyError: one is missing.
        """
        levels, frequencies = state["levels"].astype(np.int64), state["frequencies"]
        num_points = state["digits"].shape[0] if state["digits"].ndim == 2 else 0
        if (
            levels.ndim != 1
            or frequencies.ndim != 1
            or len(levels) == 0
            or (levels < 2).any()
            or num_points == 0
            or len(frequencies) % (num_points * levels.sum())
        ):
            raise ValueError(f"corrupt envelope tables: {len(frequencies)} entries")
        block_frames = len(frequencies) // int(num_points * levels.sum())
        ends = np.cumsum(levels * num_points * block_frames)[:-1]
        tables = [
            part.reshape(num_points, block_frames, size)
            for part, size in zip(np.split(frequencies, ends), levels, strict=True)
        ]
        return cls(tables, state["detail"], state["digits"])


def _silent_blocks(symbols: Int[np.ndarray, "n s"], block_frames: int) -> Bool[np.ndarray, " m"]:
    """Which blocks have no symbol and no detail but zeros."""
    num_blocks = len(symbols) // block_frames
    blocks = symbols[:, :_POINT].reshape(num_blocks, block_frames * (symbols.shape[1] - 1))
    return np.logical_not(blocks.any(axis=1))


def _silence_contexts(silent: Bool[np.ndarray, " m"]) -> Int[np.ndarray, " m"]:
    """Rows of the table of silence."""
    return np.concatenate([[_FIRST], silent[:-1]])[: len(silent)].astype(np.int64)


def _read_chain(reader: RangeReader, models: Sequence[Any], first: int, count: int) -> list[int]:
    """Symbols of which each chooses the model of the next; `confirm_each` must follow."""
    symbols, last = [], first
    for _ in range(count):
        last = reader.read_symbol(models[last])
        symbols.append(last)
    return symbols


def _before(detail: Int[np.ndarray, " n"], num_details: int) -> Int[np.ndarray, " n"]:
    """The detail of the frame before; a packet's first frame has none, which is the symbol after the last."""
    return np.concatenate([[num_details], detail[:-1]])[: len(detail)].astype(np.int64)


def _uniform(size: int) -> Int[np.ndarray, " size"]:
    return integer_frequencies(np.ones(size, np.int64))


def _smoothed(counts: Int[np.ndarray, "points places levels"]) -> Int[np.ndarray, "points places levels"]:
    """Tables of counts, to which a few symbols of a curve that falls with the symbol are added."""
    size = counts.shape[-1]
    # Small symbols are small magnitudes: what was never seen is the less likely, the larger it is.
    curve = 1.0 / (1.0 + np.arange(size)) ** 1.5
    scale = 1 << 12
    prior = np.maximum(np.rint(PRIOR_COUNT * scale * curve / curve.sum()), 1).astype(np.int64)
    return integer_frequencies(counts * scale + prior)


def _check_symbols(symbols: Int[np.ndarray, "n s"], levels: tuple[int, ...]) -> None:
    if symbols.shape[1] != len(levels):
        raise ValueError(f"{len(levels)} columns of side information expected, not {symbols.shape[1]}")
    if symbols.size and ((symbols < 0) | (symbols >= np.asarray(levels))).any():
        raise ValueError(f"a symbol of the envelope lies outside its alphabet: {symbols.min()} ... {symbols.max()}")
