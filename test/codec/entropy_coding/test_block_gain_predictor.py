"""Predicted blocks of band gains: differences come back, prediction saves bits, integers decide alone."""

from dataclasses import replace
from functools import cache

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from meanflow_audio_codec.codec.entropy_coding.block_gain_coder import BlockEnvelopeCoder
from meanflow_audio_codec.codec.entropy_coding.block_gain_predictor import NUM_SIDES, BlockPredictor, LinearPredictor
from meanflow_audio_codec.codec.entropy_coding.range_coder import RangeReader, RangeWriter
from meanflow_audio_codec.codec.entropy_coding.tables import TOTAL
from meanflow_audio_codec.preprocessing.block_transform import inverse_zigzag, zigzag

PLACES, COLUMNS, NUM_DETAILS = 2, 4, 3
LARGEST = (15, 7)
LEVELS = (31, 15, 15, 15, NUM_DETAILS, 1)


def drifting(num_blocks: int, seed: int) -> np.ndarray:
    """Blocks that are much like the ones before, and louder columns where the level moves."""
    rng = np.random.default_rng(seed)
    level = np.clip(np.cumsum(rng.integers(-1, 2, (num_blocks, PLACES)), axis=0), -15, 15)
    shape = rng.normal(0.0, 0.2, (num_blocks, PLACES, COLUMNS - 1)).cumsum(axis=0)
    shape = np.clip(np.rint(4.0 * np.sin(shape)), -7, 7)
    return np.concatenate([level[:, :, None], shape], axis=2).astype(np.int64)


@cache
def predictor() -> BlockPredictor:
    return BlockPredictor.fit(drifting(2_000, 0), np.arange(1, 2_000), LARGEST)


def uniform(value_weights: list[list[int]], magnitude_weights: list[list[int]], thresholds: list[int]):
    tables = np.full((NUM_SIDES * (len(thresholds) + 1), 15), TOTAL // 15, np.int32)
    tables[:, 0] += TOTAL % 15
    return LinearPredictor(np.array(value_weights), np.array(magnitude_weights), np.array(thresholds, int), tables)


def test_predictions_by_hand():
    """In 1/256: 2 x + 0.25 for the integer, |x| up to 15 for the magnitude."""
    one = uniform([[512], [64]], [[256], [0]], [300, 600])
    found = one.predict(np.array([[1], [-1], [2], [3], [9], [-9]]))
    # 2.25, -1.75, 4.25; 6.25; 18.25 and -17.75 are limited to 7 and -7, and lie far beyond.
    assert found.values.ravel().tolist() == [2, -2, 4, 6, 7, -7]
    assert found.sides.ravel().tolist() == [1, 1, 1, 1, 1, -1]
    # Expected magnitudes 1, 1, 2, 3, 9, 9 among 300/256 and 600/256; a quarter off the integer counts as between two.
    assert (found.contexts.ravel() // NUM_SIDES).tolist() == [0, 0, 1, 2, 2, 2]
    assert (found.contexts.ravel() % NUM_SIDES).tolist() == [1, 1, 1, 1, 1, 1]
    near = uniform([[512], [63]], [[256], [0]], []).predict(np.array([[1]]))
    assert near.contexts.tolist() == [[0]]


def test_the_likelier_neighbour_has_the_smaller_symbol():
    above = uniform([[0], [100]], [[0], [0]], []).predict(np.zeros((1, 1), int))
    below = uniform([[0], [-100]], [[0], [0]], []).predict(np.zeros((1, 1), int))
    one = uniform([[0], [0]], [[0], [0]], [])
    values = np.array([[0, 1, -1, 2, -2, 7, -7]])
    assert one.symbols(values, above).tolist() == [[0, 1, 2, 3, 4, 13, 14]]
    assert one.symbols(values, below).tolist() == [[0, 2, 1, 4, 3, 14, 13]]


@given(st.integers(0, 2**32 - 1))
@settings(deadline=None, max_examples=40)
def test_any_integers_come_back_from_any_prediction(seed):
    """Differences are taken modulo the alphabet, so every integer has one symbol of it."""
    rng = np.random.default_rng(seed)
    weights, magnitudes = rng.integers(-3_000, 3_000, (2, 3, 4)).tolist()
    one = uniform(weights, magnitudes, sorted(rng.integers(-2_000, 2_000, 3).tolist()))
    prediction = one.predict(rng.integers(-15, 16, (20, 2)))
    values = rng.integers(-7, 8, (20, 4))
    symbols = one.symbols(values, prediction)
    assert 0 <= symbols.min() <= symbols.max() < 15
    np.testing.assert_array_equal(one.values(symbols, prediction), values)
    assert len(set(map(tuple, np.stack([one.values(np.full((20, 4), s), prediction) for s in range(15)])[:, 0]))) == 15


@given(arrays(np.int64, (6, PLACES, COLUMNS), elements=st.integers(-7, 7)), st.sets(st.integers(1, 5)))
@settings(deadline=None, max_examples=40)
def test_blocks_are_read_as_they_were_written_and_cost_what_is_said(values, chosen):
    predicted = np.array(sorted(chosen), int)
    writer = RangeWriter()
    predictor().write(values, predicted, writer)
    payload = writer.to_bytes()
    known = values.copy()
    known[predicted] = 0
    reader = RangeReader(payload)
    predictor().read(known, predicted, reader)
    reader.finish()
    np.testing.assert_array_equal(known, values)
    assert -1.0 <= 8 * len(payload) - predictor().cost(values, predicted) <= 16.0


def test_a_model_of_what_follows_costs_less_than_tables_alone():
    def packets(num_blocks: int, seed: int) -> np.ndarray:
        symbols = zigzag(drifting(num_blocks, seed)).reshape(-1, COLUMNS)
        return np.concatenate([symbols, np.ones((len(symbols), 1)), np.zeros((len(symbols), 1))], 1).astype(np.int32)

    digits = np.zeros((1, NUM_DETAILS), np.int32)
    fitted = BlockEnvelopeCoder.fit([[packets(500, seed) for seed in range(4)]], LEVELS, PLACES, digits)
    alone = BlockEnvelopeCoder(fitted.symbol_tables, fitted.detail_table, digits)
    other = packets(300, 9)
    assert fitted.cost(other) < 0.75 * alone.cost(other)
    # The first block of a packet has nothing before it.
    assert fitted.cost(other[:PLACES]) == alone.cost(other[:PLACES])
    # Nor has the first one after silence.
    gap = np.zeros((PLACES, len(LEVELS)), np.int32)
    joined = np.concatenate([other[:PLACES], gap, other[:PLACES]])
    assert fitted.cost(joined) == alone.cost(joined)


def test_packets_of_one_block_fit_no_prediction():
    """As those of live speech."""
    symbols = zigzag(drifting(200, 3)).reshape(200, PLACES, COLUMNS)
    packets = [np.pad(block, ((0, 0), (0, 2))).astype(np.int32) for block in symbols]
    coder = BlockEnvelopeCoder.fit([packets], LEVELS, PLACES, np.zeros((1, NUM_DETAILS), np.int32))
    assert coder.predictors == ()
    assert set(coder.state()) == {"digits", "detail", "levels", "frequencies"}


def test_the_state_restores_the_predictor():
    state = predictor().state()
    assert all(array.dtype == np.int32 for array in state.values())
    restored = BlockPredictor.from_state(state)
    values = drifting(50, 7)
    predicted = np.arange(1, 50)
    assert restored.cost(values, predicted) == predictor().cost(values, predicted)
    assert restored.fits(PLACES, COLUMNS, LEVELS[:COLUMNS])
    assert not restored.fits(PLACES, COLUMNS, (31, 15, 15, 31))
    assert not restored.fits(PLACES + 1, COLUMNS, LEVELS[:COLUMNS])
    with pytest.raises(KeyError, match="shape_thresholds"):
        BlockPredictor.from_state({name: array for name, array in state.items() if name != "shape_thresholds"})


@pytest.mark.parametrize(
    ("name", "change", "match"),
    [
        ("value_weights", lambda a: a[:, 0], "do not belong together"),
        ("magnitude_weights", lambda a: a[1:], "do not belong together"),
        ("thresholds", lambda a: a[1:], "do not belong together"),
        ("thresholds", lambda a: -a, "do not belong together"),
        ("frequencies", lambda a: a[:, 1:], "do not belong together"),
        ("frequencies", lambda a: a + 1, "must sum to 65536"),
    ],
)
def test_damaged_predictors_are_refused(name, change, match):
    with pytest.raises(ValueError, match=match):
        replace(predictor().level, **{name: change(getattr(predictor().level, name))})


def test_symbols_of_integers_and_back():
    values = np.arange(-7, 8)
    np.testing.assert_array_equal(inverse_zigzag(np.asarray(zigzag(values))), values)
