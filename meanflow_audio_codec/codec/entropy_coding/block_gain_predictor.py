"""Predicting the symbols of a block of band gains from the block before it, in integers.

A block is coded in two parts: its level (the first column of the transform, over time), which is predicted from the
level of the block before; then the other columns, predicted from all of the block before and the level of this one.
Each integer is coded as its difference from a prediction, under a table chosen by how large the difference is likely to
be. All coefficients of a part share the tables: what tells them apart is the expected size of the difference
(documentation/research/envelope_coding.md).
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, fields, replace
from functools import cached_property
from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Int

from meanflow_audio_codec.codec.entropy_coding.range_coder import RangeReader, RangeWriter
from meanflow_audio_codec.codec.entropy_coding.tables import (
    check_frequencies,
    coder_weights,
    ideal_bits,
    smoothed_frequencies,
)

# Fraction bits of weights and predictions.
WEIGHT_BITS = 8
ONE = 1 << WEIGHT_BITS
# Magnitudes count up to here as inputs and as what is expected: the rare large ones would drown the others.
MOST_MAGNITUDE = 15
# Tables of a part: this many expected magnitudes, each for predictions near an integer and for those between two.
LEVEL_CLASSES, SHAPE_CLASSES = 8, 24
NUM_SIDES = 2
# Of the least squares, beside sums of squared symbols.
RIDGE = 1000.0

Values = Int[np.ndarray, "blocks places columns"]
BlockNumbers = Int[np.ndarray, " n"]


class Prediction(NamedTuple):
    """Of each integer of some blocks: the nearest integer, the side on which the prediction lies, and the table."""

    values: Int[np.ndarray, "n outputs"]
    sides: Int[np.ndarray, "n outputs"]  # 1 above the integer, or -1 below it
    contexts: Int[np.ndarray, "n outputs"]  # rows of the tables


@dataclass(frozen=True)
class LinearPredictor:
    """Integers from integers by a linear map in 1/256, and tables for the differences.

    Weights have the shape (inputs + 1, outputs), the constant last. With V the largest magnitude, differences are coded
    modulo 2 V + 1. The rows of `frequencies`, (contexts, 2 V + 1), belong to classes of expected magnitude, divided by
    `thresholds`, and within a class to whether the prediction is nearer to an integer or to the middle of two.
    Source: documentation/research/envelope_coding.md, equations 9 to 11.

    Raises:
        ValueError: the arrays do not belong together, or the tables are damaged.
    """

    value_weights: Int[np.ndarray, "..."]
    magnitude_weights: Int[np.ndarray, "..."]
    thresholds: Int[np.ndarray, "..."]
    frequencies: Int[np.ndarray, "..."]

    def __post_init__(self) -> None:
        """Check the arrays."""
        if (
            self.value_weights.ndim != 2
            or self.magnitude_weights.shape != self.value_weights.shape
            or self.thresholds.ndim != 1
            or (np.diff(self.thresholds) < 0).any()
            or self.frequencies.ndim != 2
            or self.frequencies.shape[0] != NUM_SIDES * (len(self.thresholds) + 1)
            or self.frequencies.shape[1] % 2 == 0
        ):
            raise ValueError("the tables of the envelope's prediction do not belong together")
        check_frequencies(self.frequencies)

    @cached_property
    def weights(self) -> Float[np.ndarray, "contexts levels"]:
        """The tables as the range coder takes them."""
        return coder_weights(self.frequencies)

    @cached_property
    def _exact(self) -> tuple[Float[np.ndarray, "..."], Float[np.ndarray, "..."]]:
        return self.value_weights.astype(np.float64), self.magnitude_weights.astype(np.float64)

    @property
    def largest(self) -> int:
        """The largest magnitude of an integer."""
        return self.frequencies.shape[1] // 2

    def predict(self, inputs: Int[np.ndarray, "n inputs"]) -> Prediction:
        """What to expect after these integers."""
        value_weights, magnitude_weights = self._exact
        predicted = _linear(inputs, value_weights)
        values = np.minimum(np.maximum(np.floor(predicted / ONE + 0.5), -self.largest), self.largest)
        beyond = predicted - ONE * values
        expected = _linear(np.minimum(np.abs(inputs), MOST_MAGNITUDE), magnitude_weights)
        contexts = NUM_SIDES * np.searchsorted(self.thresholds, expected) + (np.abs(beyond) >= ONE / 4)
        return Prediction(values.astype(np.int64), np.where(beyond < 0.0, -1, 1), contexts)

    def symbols(self, values: Int[np.ndarray, "n outputs"], prediction: Prediction) -> Int[np.ndarray, "n outputs"]:
        """What is coded for integers: 0 for the predicted, 1 for its neighbour on the prediction's side, and so on."""
        difference = prediction.sides * _wrapped(values - prediction.values, self.largest)
        return np.where(difference > 0, 2 * difference - 1, -2 * difference)

    def values(self, symbols: Int[np.ndarray, "n outputs"], prediction: Prediction) -> Int[np.ndarray, "n outputs"]:
        """The inverse of `symbols`."""
        difference = np.where(symbols % 2 == 1, (symbols + 1) // 2, -(symbols // 2))
        return _wrapped(prediction.values + prediction.sides * difference, self.largest)

    @classmethod
    def fit(
        cls,
        inputs: Int[np.ndarray, "n inputs"],
        values: Int[np.ndarray, "n outputs"],
        *,
        largest: int,
        num_classes: int,
    ) -> "LinearPredictor":
        """By least squares, first the integers, then the magnitude of what is left; tables are counts of that."""
        levels = 2 * largest + 1
        value_weights = _least_squares(inputs, values)
        uniform = smoothed_frequencies(np.zeros((NUM_SIDES, levels), np.int64))
        draft = cls(value_weights, np.zeros_like(value_weights), np.zeros(0, np.int64), uniform)
        left = np.abs(_wrapped(values - draft.predict(inputs).values, largest))
        limited = np.minimum(np.abs(inputs), MOST_MAGNITUDE)
        magnitude_weights = _least_squares(limited, np.minimum(left, MOST_MAGNITUDE))
        expected = _linear(limited, magnitude_weights.astype(np.float64))
        thresholds = np.quantile(expected, np.arange(1, num_classes) / num_classes, method="lower").astype(np.int64)
        uniform = smoothed_frequencies(np.zeros((NUM_SIDES * num_classes, levels), np.int64))
        draft = cls(value_weights, magnitude_weights, thresholds, uniform)
        prediction = draft.predict(inputs)
        counts = np.zeros(uniform.shape, np.int64)
        np.add.at(counts, (prediction.contexts, draft.symbols(values, prediction)), 1)
        return replace(draft, frequencies=smoothed_frequencies(counts))


class BlockPredictor(NamedTuple):
    """The two parts of a block, of one operating point."""

    level: LinearPredictor
    shape: LinearPredictor

    @classmethod
    def fit(cls, values: Values, predicted: BlockNumbers, largest: tuple[int, int]) -> "BlockPredictor":
        """Of the blocks with these numbers; `largest` are the magnitudes of the level and of other columns."""

        def fitted(part: int, num_classes: int) -> LinearPredictor:
            inputs, targets = _INPUTS[part](values, predicted), _columns(values[predicted], part)
            return LinearPredictor.fit(inputs, targets, largest=largest[part], num_classes=num_classes)

        return cls(fitted(_LEVEL, LEVEL_CLASSES), fitted(_SHAPE, SHAPE_CLASSES))

    def write(self, values: Values, predicted: BlockNumbers, writer: RangeWriter) -> None:
        """Appends the blocks of a packet with these numbers: the levels of all, then the other columns of all."""
        for predictor, symbols, contexts in self._coded(values, predicted):
            writer.write_each(symbols, predictor.weights, contexts)

    def cost(self, values: Values, predicted: BlockNumbers) -> float:
        """Ideal code length in bits of the blocks of a packet with these numbers."""
        coded = self._coded(values, predicted)
        return sum((ideal_bits(one.frequencies[contexts], symbols) for one, symbols, contexts in coded), start=0.0)

    def _coded(
        self, values: Values, predicted: BlockNumbers
    ) -> Iterator[tuple[LinearPredictor, Int[np.ndarray, " symbols"], Int[np.ndarray, " symbols"]]]:
        """Of each part its predictor, symbols and their rows of the tables."""
        for part, predictor in enumerate(self):
            prediction = predictor.predict(_INPUTS[part](values, predicted))
            symbols = predictor.symbols(_columns(values[predicted], part), prediction)
            yield predictor, symbols.ravel(), prediction.contexts.ravel()

    def read(self, values: Values, predicted: BlockNumbers, reader: RangeReader) -> None:
        """Fills in the blocks of a packet with these numbers, ascending, of which all others are known."""
        for part, predictor in enumerate(self):
            for block in predicted[:, None]:
                prediction = predictor.predict(_INPUTS[part](values, block))
                symbols = reader.read_each(predictor.weights, prediction.contexts[0])
                found = predictor.values(symbols[None], prediction)
                values[block, :, _COLUMNS[part]] = found.reshape(1, values.shape[1], -1)

    def fits(self, places: int, bands: int, levels: tuple[int, ...]) -> bool:
        """Whether it is for blocks of this shape and columns of these alphabets."""
        return (
            self.level.value_weights.shape == (places + 1, places)
            and self.shape.value_weights.shape == (places * (bands + 1) + 1, places * (bands - 1))
            and 2 * self.level.largest + 1 == levels[0]
            and {2 * self.shape.largest + 1} == set(levels[1:])
        )

    def state(self) -> dict[str, np.ndarray]:
        """All arrays as int32."""
        return {
            f"{part}_{field.name}": getattr(predictor, field.name).astype(np.int32)
            for part, predictor in self._asdict().items()
            for field in fields(LinearPredictor)
        }

    @classmethod
    def from_state(cls, state: Mapping[str, np.ndarray]) -> "BlockPredictor":
        """The predictor that `state` came from.

        Raises:
            ValueError: the arrays do not belong together.
            KeyError: one is missing.
        """

        def part(name: str) -> LinearPredictor:
            arrays = {field.name: state[f"{name}_{field.name}"] for field in fields(LinearPredictor)}
            return LinearPredictor(**{key: array.astype(np.int32) for key, array in arrays.items()})

        return cls(part("level"), part("shape"))


def _level_inputs(values: Values, blocks: BlockNumbers) -> Int[np.ndarray, "n inputs"]:
    return values[blocks - 1, :, 0]


def _shape_inputs(values: Values, blocks: BlockNumbers) -> Int[np.ndarray, "n inputs"]:
    return np.concatenate([_flat(values[blocks - 1]), values[blocks, :, 0]], axis=1)


def _columns(blocks: Values, part: int) -> Int[np.ndarray, "n outputs"]:
    return _flat(blocks[:, :, _COLUMNS[part]])


def _flat(blocks: Values) -> Int[np.ndarray, "blocks integers"]:
    return blocks.reshape(len(blocks), blocks.shape[1] * blocks.shape[2])


_LEVEL, _SHAPE = 0, 1
_INPUTS = (_level_inputs, _shape_inputs)
_COLUMNS = (slice(0, 1), slice(1, None))


def _linear(
    inputs: Int[np.ndarray, "n inputs"], weights: Float[np.ndarray, "inputs+1 outputs"]
) -> Float[np.ndarray, "n outputs"]:
    """Whole numbers throughout, far below 2^53: exact in any order of summation, and faster than integers are."""
    return inputs.astype(np.float64) @ weights[:-1] + weights[-1]


def _wrapped(values: Int[np.ndarray, "*n"], largest: int) -> Int[np.ndarray, "*n"]:
    """Modulo 2 V + 1, into -V ... V."""
    return (values + largest) % (2 * largest + 1) - largest


def _least_squares(
    inputs: Int[np.ndarray, "n inputs"], targets: Int[np.ndarray, "n outputs"]
) -> Int[np.ndarray, "inputs+1 outputs"]:
    """Weights, the constant last, in 1 / `ONE`."""
    matrix = np.concatenate([inputs, np.ones((len(inputs), 1))], axis=1).astype(np.float64)
    ridge = np.diag([*[RIDGE] * (matrix.shape[1] - 1), 1e-3])  # means are free
    normal = matrix.T @ matrix + ridge
    return np.rint(ONE * np.linalg.solve(normal, matrix.T @ targets)).astype(np.int64)
