"""Range coding of what `BlockGainShapeNormalizer` needs: operating point, detail of every frame, symbols of the blocks.

A block that follows another is coded by what `block_prediction` expects of it. Of the other blocks, all symbols of a
packet at one place, say frame 2, band 5, share a table. Each operating point has tables and predictors of its own
(documentation/research/envelope_coding.md).
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from jaxtyping import Bool, Int

from meanflow_audio_codec.codec.container import BitstreamError
from meanflow_audio_codec.codec.entropy_coding.block_gain_predictor import BlockPredictor, Values
from meanflow_audio_codec.codec.entropy_coding.range_coder import RangeReader, RangeWriter, table_model
from meanflow_audio_codec.codec.entropy_coding.tables import (
    PRECISION,
    check_frequencies,
    coder_weights,
    ideal_bits,
    integer_frequencies,
    smoothed_frequencies,
)
from meanflow_audio_codec.preprocessing.block_transform import inverse_zigzag, zigzag

# Columns of the symbols after those of the bands.
_DETAIL, _POINT = -2, -1
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
        predictors: Sequence[BlockPredictor] = (),
    ) -> None:
        """Tables per band of the symbols (points, block, levels); of the detail given the one before; predictors.

        `detail_table` has the shape (points, previous, detail); the row after the last detail stands for a packet's
        first frame. `digits` says how many digits a frame of each operating point and detail has. There is a predictor
        for each operating point, or none at all: then no block is predicted.

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
        bands = tuple(table.shape[2] for table in symbol_tables)
        if predictors and (
            len(predictors) != num_points
            or not all(one.fits(symbol_tables[0].shape[1], len(bands), bands) for one in predictors)
        ):
            raise ValueError("the tables of the envelope's prediction do not belong together")
        self.predictors = tuple(predictors)
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
        bands = levels[:_DETAIL]
        counts = [np.zeros((num_points, block_frames, size), np.int64) for size in bands]
        detail_counts = np.zeros((num_points, num_details + 1, num_details), np.int64)
        predictors = []
        for point, packets in enumerate(packets_of_points):
            values, predicted, num_blocks = [], [], 0
            for symbols in packets:
                if len(symbols) % block_frames:
                    raise ValueError(f"{len(symbols)} frames are no whole number of blocks of {block_frames}")
                _check_symbols(symbols, levels)
                silent = _silent_blocks(symbols, block_frames)
                values.append(_values(symbols, block_frames, len(bands)))
                predicted.append(num_blocks + np.flatnonzero(_following(silent)))
                num_blocks += len(silent)
                symbols = symbols[~np.repeat(silent, block_frames)]
                place = np.arange(len(symbols)) % block_frames
                for band, count in enumerate(counts):
                    np.add.at(count[point], (place, symbols[:, band]), 1)
                detail = symbols[:, _DETAIL]
                np.add.at(detail_counts[point], (_before(detail, num_details), detail), 1)
            # Packets of one block, as those of live speech, have nothing to be predicted from.
            if _can_be_predicted(bands) and sum(map(len, predicted)):
                largest = (bands[0] // 2, bands[1] // 2)
                predictors.append(BlockPredictor.fit(np.concatenate(values), np.concatenate(predicted), largest))
        tables = [smoothed_frequencies(count) for count in counts]
        return cls(
            tables,
            smoothed_frequencies(detail_counts),
            digits,
            predictors if len(predictors) == num_points else (),
        )

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
        detail = symbols[~np.repeat(silent, self.block_frames), _DETAIL]
        writer.write_each(detail, self._weights[point], _before(detail, self.levels[_DETAIL]))
        predicted = self._predicted(silent)
        alone = symbols[np.repeat(~silent & ~predicted, self.block_frames)]
        for band, models in enumerate(self._models):
            for place, model in enumerate(models[point]):
                writer.write(alone[place :: self.block_frames, band], model)
        if predicted.any():
            values = _values(symbols, self.block_frames, self._num_bands)
            self.predictors[point].write(values, np.flatnonzero(predicted), writer)

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
        first = self.levels[_DETAIL]
        detail = np.array(_read_chain(reader, self._detail_models[point], first, int(sounding.sum())), np.int32)
        reader.confirm_each(detail, self._weights[point], _before(detail, first))
        packet = np.zeros((num_frames, len(self.levels)), np.int32)
        packet[sounding, _DETAIL] = detail
        packet[:, _POINT] = point
        predicted = self._predicted(silent)
        blocks = packet.reshape(num_frames // self.block_frames, self.block_frames, len(self.levels))
        alone = np.flatnonzero(~silent & ~predicted)
        for band, models in enumerate(self._models):
            for place, model in enumerate(models[point]):
                blocks[alone, place, band] = reader.read(len(alone), model)
        if predicted.any():
            values = _values(packet, self.block_frames, self._num_bands)
            self.predictors[point].read(values, np.flatnonzero(predicted), reader)
            packet[:, : self._num_bands] = zigzag(values).reshape(num_frames, self._num_bands)
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
        bits += self.detail_cost(symbols[~np.repeat(silent, self.block_frames), _DETAIL], point)
        predicted = self._predicted(silent)
        alone = symbols[np.repeat(~silent & ~predicted, self.block_frames)]
        place = np.arange(len(alone)) % self.block_frames
        for band, table in enumerate(self.symbol_tables):
            bits += ideal_bits(table[point][place], alone[:, band])
        if predicted.any():
            values = _values(symbols, self.block_frames, self._num_bands)
            bits += self.predictors[point].cost(values, np.flatnonzero(predicted))
        return bits

    @property
    def fewest_bits_per_frame(self) -> float:
        """Ideal code length of a frame of digital silence, the cheapest there is."""
        return float(PRECISION - np.log2(SILENCE_TABLE[_AFTER_SILENCE, 1])) / self.block_frames

    @property
    def _num_bands(self) -> int:
        return len(self.symbol_tables)

    def _predicted(self, silent: Bool[np.ndarray, " m"]) -> Bool[np.ndarray, " m"]:
        """Which blocks of a packet are predicted, given which ones are silent."""
        return _following(silent) if self.predictors else np.zeros(len(silent), bool)

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
        } | {
            name: np.stack([one.state()[name] for one in self.predictors])
            for name in (self.predictors[0].state() if self.predictors else ())
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
        names = sorted(state.keys() - {"digits", "detail", "levels", "frequencies"})
        if any(state[name].shape[:1] != (num_points,) for name in names):
            raise ValueError("the tables of the envelope's prediction do not belong together")
        predictors = [
            BlockPredictor.from_state({name: state[name][point] for name in names})
            for point in range(num_points if names else 0)
        ]
        return cls(tables, state["detail"], state["digits"], predictors)


def _silent_blocks(symbols: Int[np.ndarray, "n s"], block_frames: int) -> Bool[np.ndarray, " m"]:
    """Which blocks have no symbol and no detail but zeros."""
    num_blocks = len(symbols) // block_frames
    blocks = symbols[:, :_POINT].reshape(num_blocks, block_frames * (symbols.shape[1] - 1))
    return np.logical_not(blocks.any(axis=1))


def _following(silent: Bool[np.ndarray, " m"]) -> Bool[np.ndarray, " m"]:
    """Which blocks sound after one that sounds."""
    return ~silent & np.concatenate([[False], ~silent[:-1]])[: len(silent)]


def _values(symbols: Int[np.ndarray, "n s"], block_frames: int, num_bands: int) -> Values:
    """The integers that the symbols of the bands stand for."""
    values = inverse_zigzag(symbols[:, :num_bands].astype(np.int64))
    return values.reshape(len(symbols) // block_frames, block_frames, num_bands)


def _can_be_predicted(levels: tuple[int, ...]) -> bool:
    """Whether a block has a level and further columns, these of one alphabet, all of integers and their negatives."""
    return len(levels) > 1 and len(set(levels[1:])) == 1 and all(level % 2 == 1 for level in levels)


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


def _check_symbols(symbols: Int[np.ndarray, "n s"], levels: tuple[int, ...]) -> None:
    if symbols.shape[1] != len(levels):
        raise ValueError(f"{len(levels)} columns of side information expected, not {symbols.shape[1]}")
    if symbols.size and ((symbols < 0) | (symbols >= np.asarray(levels))).any():
        raise ValueError(f"a symbol of the envelope lies outside its alphabet: {symbols.min()} ... {symbols.max()}")
