"""Integer tables, the range coder and code packets: exactness, size, determinism for ever, hostile bytes."""

from fractions import Fraction
from typing import Any

import constriction
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from meanflow_audio_codec.codec.container import BitstreamError
from meanflow_audio_codec.codec.entropy_coding.code_coder import CodeCoder
from meanflow_audio_codec.codec.entropy_coding.packet_coder import PacketCoder
from meanflow_audio_codec.codec.entropy_coding.range_coder import RangeReader, RangeWriter, table_model
from meanflow_audio_codec.codec.entropy_coding.tables import (
    TOTAL,
    check_frequencies,
    coder_weights,
    ideal_bits,
    integer_frequencies,
)

counts_lists = st.lists(st.integers(0, 10**9), min_size=1, max_size=60)
levels_and_sizes = st.tuples(st.lists(st.integers(1, 40), min_size=1, max_size=6), st.integers(0, 40))


def side_of(codes: np.ndarray) -> np.ndarray:
    return np.zeros((len(codes), 0), np.int32)


def random_codes(levels, num_frames, rng) -> np.ndarray:
    # Powers of a uniform variable: skewed columns, so that tables are far from uniform.
    draw = rng.random((num_frames, len(levels))) ** rng.uniform(1, 6, len(levels))
    return np.minimum(draw * np.asarray(levels), np.asarray(levels) - 1).astype(np.int32)


@settings(deadline=None)
@given(counts_lists)
def test_frequencies_sum_exactly_and_round_to_the_nearest_share(counts):
    frequencies = integer_frequencies(np.array(counts))
    assert frequencies.sum() == TOTAL
    assert frequencies.min() >= 1
    total = sum(counts) or len(counts)
    for count, frequency in zip(counts if sum(counts) else [1] * len(counts), frequencies, strict=True):
        share = 1 + Fraction(count * (TOTAL - len(counts)), total)
        assert abs(share - int(frequency)) < 1


def test_frequencies_are_these_for_ever():
    assert integer_frequencies(np.array([[1, 2, 4], [0, 0, 0], [1, 1, 1], [10**12, 0, 1]])).tolist() == [
        [9363, 18725, 37448],
        [21846, 21845, 21845],
        [21846, 21845, 21845],
        [65534, 1, 1],
    ]


@pytest.mark.parametrize("counts", [[-1, 2], [2**46, 1]])
def test_impossible_counts_are_refused(counts):
    with pytest.raises(ValueError, match="counts must be non-negative"):
        integer_frequencies(np.array(counts))
    with pytest.raises(ValueError, match="an alphabet must have"):
        integer_frequencies(np.zeros((2, 0), np.int64))


@settings(deadline=None)
@given(counts_lists.filter(lambda counts: len(counts) > 1), st.data())
def test_coder_probabilities_are_the_table_to_the_last_bit(counts, data):
    frequencies = integer_frequencies(np.array(counts))
    symbol = data.draw(st.integers(0, len(counts) - 1))
    expected_lower, expected_width = int(frequencies[:symbol].sum()) << 8, int(frequencies[symbol]) << 8
    # The coder's interval after one symbol, from its definition: (2^64 - 1 >> 24) units per 24-bit probability.
    unit = (2**64 - 1) >> 24
    expected = [unit * expected_lower, unit * expected_width]
    while expected[1] < 2**32:
        expected = [(expected[0] << 32) % 2**64, expected[1] << 32]
    stream: Any = constriction.stream  # pyright: ignore[reportAttributeAccessIssue]
    family = stream.model.Categorical(perfect=False)
    weights = coder_weights(frequencies)
    for arguments in ((table_model(frequencies),), (family, weights[None])):
        encoder = stream.queue.RangeEncoder()
        encoder.encode(np.array([symbol], np.int32), *arguments)
        assert list(encoder.pos()[1]) == expected


@settings(deadline=None, max_examples=200)
@given(levels_and_sizes, st.integers(0, 2**32))
def test_codes_round_trip(shape, seed):
    levels, num_frames = shape
    rng = np.random.default_rng(seed)
    coder = PacketCoder(CodeCoder.fit([random_codes(levels, 50, rng)], tuple(levels)))
    extremes = np.array([[0] * len(levels), [size - 1 for size in levels]], np.int32)
    for codes in (random_codes(levels, num_frames, rng), extremes):
        payload = coder.encode(side_of(codes), codes)
        side, decoded = coder.decode(payload, len(codes))
        np.testing.assert_array_equal(decoded, codes)
        assert side.shape == (len(codes), 0)
        # The ending costs less than a byte, and rounding inside the coder next to nothing.
        assert 8 * len(payload) <= coder.cost(side, codes)["codes"] * 1.001 + 16


def test_nothing_to_code_costs_nothing():
    coder = PacketCoder(CodeCoder.fit([], (5, 1, 7)))
    empty = np.zeros((0, 3), np.int32)
    assert coder.encode(side_of(empty), empty) == b""
    assert coder.decode(b"", 0)[1].shape == (0, 3)
    single = PacketCoder(CodeCoder.fit([], (1, 1)))
    assert single.encode(np.zeros((9, 0), np.int32), np.zeros((9, 2), np.int32)) == b""


@pytest.mark.parametrize("levels", [(5,) * 24, (2,), (1024, 7, 3)])
def test_long_streams_reach_the_ideal_length(levels):
    rng = np.random.default_rng(0)
    codes = random_codes(levels, 4000, rng)
    coder = PacketCoder(CodeCoder.fit([codes], levels))
    ideal = coder.cost(side_of(codes), codes)["codes"]
    # The empirical entropy, computed apart, is what a table of the same histogram cannot beat by more than rounding.
    histograms = [np.bincount(codes[:, i], minlength=size) / len(codes) for i, size in enumerate(levels)]
    entropy = -len(codes) * sum(float(np.sum(p[p > 0] * np.log2(p[p > 0]))) for p in histograms)
    assert entropy <= ideal <= 1.01 * entropy + 64
    assert abs(8 * len(coder.encode(side_of(codes), codes)) - ideal) <= 0.01 * ideal + 64


def test_a_fixed_stream_decodes_to_the_same_codes_for_ever():
    levels = (5, 8, 2, 300)
    counts = [np.arange(size) ** 2 % 11 for size in levels]
    coder = PacketCoder(CodeCoder([integer_frequencies(count) for count in counts]))
    t = np.arange(12)
    codes = np.stack([t * 7 % 5, t * t % 8, t // 3 % 2, t * 97 % 300], axis=1).astype(np.int32)
    golden = "00003563a1b0dc2eb49cabddc907c94636319e77292cb3000000008d4472bb00009cc6a573a52f897aee513959dfd2"
    np.testing.assert_array_equal(coder.decode(bytes.fromhex(golden), 12)[1], codes)
    assert coder.encode(side_of(codes), codes).hex() == golden


@pytest.mark.parametrize(
    "payload", [b"\x80", b"\x40", b"\x80\0\0\0\x01", b"\xff\xff\xff\xff\0\0\0\x01", b"\x7f" + b"\xff" * 11]
)
@pytest.mark.parametrize("table", [[1, TOTAL - 2, 1], [21845, 21846, 21845], [40000, 3, 25533]])
def test_carries_propagate(payload, table):
    # The messages whose intervals contain these numbers straddle a word boundary for many words: the coder cannot
    # settle a word until a carry is decided, at the very end if need be.
    model = table_model(np.array(table, np.int32))
    for length in [*range(1, 30), 200, 1000]:
        symbols = RangeReader(payload).read(length, model)
        writer = RangeWriter()
        writer.write(symbols, model)
        reader = RangeReader(writer.to_bytes())
        np.testing.assert_array_equal(reader.read(length, model), symbols)
        reader.finish()


def test_mutated_payloads_are_refused_or_decode_to_what_they_encode():
    rng = np.random.default_rng(1)
    levels = (5, 5, 3, 64)
    codes = random_codes(levels, 30, rng)
    coder = PacketCoder(CodeCoder.fit([codes], levels))
    payload = np.frombuffer(coder.encode(side_of(codes), codes), np.uint8)
    refused = 0
    for _ in range(2000):
        damaged = payload.copy()
        damaged[rng.integers(len(damaged))] = rng.integers(256)
        damaged = damaged[: rng.integers(len(damaged) + 1)].tobytes() + rng.bytes(int(rng.integers(3)))
        try:
            side, decoded = coder.decode(damaged, 30)
        except BitstreamError:
            refused += 1
            continue
        assert (decoded < np.array(levels)).all()
        assert coder.encode(side, decoded) == damaged
    assert refused > 1500


@pytest.mark.parametrize("change", [-3, 3])
def test_a_wrong_number_of_frames_is_refused(change):
    codes = random_codes((5,) * 24, 30, np.random.default_rng(2))
    coder = PacketCoder(CodeCoder.fit([], (5,) * 24))
    with pytest.raises(BitstreamError, match=r"does not fit the model's probability tables|fewer than any take"):
        coder.decode(coder.encode(side_of(codes), codes), 30 + change)


def test_other_tables_are_refused():
    codes = random_codes((5,) * 24, 30, np.random.default_rng(3))
    payload = PacketCoder(CodeCoder.fit([codes], (5,) * 24)).encode(side_of(codes), codes)
    with pytest.raises(BitstreamError):
        PacketCoder(CodeCoder.fit([], (5,) * 24)).decode(payload, 30)


def test_symbols_outside_the_alphabet_are_refused():
    coder = PacketCoder(CodeCoder.fit([], (5, 3)))
    for bad in ([[0, 3]], [[-1, 0]]):
        with pytest.raises(ValueError, match="outside its alphabet"):
            coder.encode(np.zeros((1, 0), np.int32), np.array(bad))
    with pytest.raises(ValueError, match="2 columns of codes expected, not 1"):
        coder.encode(np.zeros((1, 0), np.int32), np.zeros((1, 1), np.int32))
    with pytest.raises(ValueError, match="side information given to a coder without any"):
        coder.encode(np.zeros((1, 4), np.int32), np.zeros((1, 2), np.int32))


def test_state_is_int32_and_restores_the_coder():
    codes = random_codes((5, 1, 40), 60, np.random.default_rng(4))
    coder = PacketCoder(CodeCoder.fit([codes], (5, 1, 40)))
    state = coder.state()
    assert all(array.dtype == np.int32 for array in state.values())
    restored = PacketCoder.from_state(state)
    assert restored.codes.levels == (5, 1, 40)
    assert restored.encode(side_of(codes), codes) == coder.encode(side_of(codes), codes)


def test_corrupt_states_are_refused():
    state = PacketCoder(CodeCoder.fit([], (5, 3))).state()
    table = state["codes.frequencies"]
    for bad, message in (
        ({**state, "codes.frequencies": table[:-1]}, "corrupt probability tables"),
        ({**state, "codes.frequencies": table + 1}, "must sum to 65536"),
        ({**state, "codes.levels": np.array([8, 0], np.int32)}, "corrupt probability tables"),
        ({"codes.levels": state["codes.levels"]}, "lack 'frequencies'"),
        ({**state, "what.ever": table}, "unknown entropy table 'what.ever'"),
    ):
        with pytest.raises(ValueError, match=message):
            PacketCoder.from_state(bad)


def test_ideal_bits_are_the_logarithms():
    table = np.array([[TOTAL // 2, TOTAL // 4, TOTAL // 4]] * 3, np.int32)
    check_frequencies(table)
    assert ideal_bits(table, np.array([0, 1, 2])) == 5.0
