"""Range coding of blocks of band gains: what is written is read, at the stated cost, and damage is noticed."""

from functools import cache

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from meanflow_audio_codec.codec.container import BitstreamError
from meanflow_audio_codec.codec.entropy_coding.block_gain_coder import BlockEnvelopeCoder
from meanflow_audio_codec.codec.entropy_coding.code_coder import CodeCoder
from meanflow_audio_codec.codec.entropy_coding.packet_coder import PacketCoder
from meanflow_audio_codec.codec.entropy_coding.tables import TOTAL

BLOCK, BANDS, NUM_POINTS, NUM_DETAILS = 4, 3, 2, 9
LEVELS = (31, 15, 15, NUM_DETAILS, NUM_POINTS)
CODE_LEVELS = (5, 5, 5, 5)
DIGITS = np.array([[detail // 4 for detail in range(NUM_DETAILS)], [detail // 2 for detail in range(NUM_DETAILS)]])


def speechlike(point: int, num_blocks: int, rng: np.random.Generator) -> np.ndarray:
    """Loud and silent blocks; coefficients that fall with frequency and band; detail that follows the loudness."""
    symbols = np.zeros((num_blocks * BLOCK, BANDS + 2), np.int32)
    loud = np.repeat(rng.random(num_blocks) < 0.7, BLOCK)
    place = np.arange(len(symbols)) % BLOCK
    for band in range(BANDS):
        scale = 4.0 / (1 + band) / (1 + place)
        values = np.abs(rng.normal(0.0, scale)) + 8 * ((band == 0) & (place == 0))
        symbols[:, band] = np.minimum(values, LEVELS[band] - 1) * loud
    symbols[:, -2] = loud * rng.integers(6, NUM_DETAILS, len(symbols))
    symbols[:, -1] = point
    return symbols


@cache
def coder() -> BlockEnvelopeCoder:
    rng = np.random.default_rng(0)
    packets = [[speechlike(point, 60, rng) for _ in range(4)] for point in range(NUM_POINTS)]
    return BlockEnvelopeCoder.fit(packets, LEVELS, BLOCK, DIGITS)


@cache
def packet_coder() -> PacketCoder:
    return PacketCoder(CodeCoder.fit([], CODE_LEVELS), coder())


def codes_of(symbols: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Codes of the digits that each frame has, the middle one for the others."""
    codes = rng.integers(0, 5, (len(symbols), len(CODE_LEVELS))).astype(np.int32)
    return np.where(np.arange(len(CODE_LEVELS)) < coder().num_digits(symbols)[:, None], codes, 2)


@st.composite
def packets(draw) -> np.ndarray:
    num_frames = BLOCK * draw(st.integers(0, 5))
    columns = [
        draw(arrays(np.int32, num_frames, elements=st.integers(0, size - 1), fill=st.just(0))) for size in LEVELS[:-1]
    ]
    return np.stack([*columns, np.full(num_frames, draw(st.integers(0, NUM_POINTS - 1)), np.int32)], axis=1)


@settings(deadline=None, max_examples=50)
@given(packets(), st.integers(0, 2**32 - 1))
def test_any_packet_round_trips_at_its_cost(symbols, seed):
    codes = codes_of(symbols, np.random.default_rng(seed))
    payload = packet_coder().encode(symbols, codes)
    decoded_symbols, decoded_codes = packet_coder().decode(payload, len(symbols))
    np.testing.assert_array_equal(decoded_symbols, symbols)
    np.testing.assert_array_equal(decoded_codes, codes)
    cost = sum(packet_coder().cost(symbols, codes).values())
    # Rounded up to bytes, and what closing the last word takes; a packet without frames has no operating point.
    assert len(symbols) == 0 or -1.0 <= 8 * len(payload) - cost <= 16.0 + 1e-3 * cost
    assert len(payload) >= packet_coder().fewest_bytes(len(symbols))


def test_only_the_digits_that_a_frame_has_are_paid():
    rng = np.random.default_rng(1)
    symbols = speechlike(1, 50, rng)
    codes = codes_of(symbols, rng)
    digits = coder().num_digits(symbols)
    np.testing.assert_array_equal(digits, symbols[:, -2] // 2)
    assert packet_coder().cost(symbols, codes)["codes"] == pytest.approx(digits.sum() * np.log2(5.0), rel=1e-3)
    per_code = packet_coder().codes.bits(codes)
    assert per_code[0, 0] == pytest.approx(np.log2(5.0), rel=1e-3)
    with pytest.raises(ValueError, match="left out must be the middle"):
        packet_coder().encode(symbols, np.where(np.arange(4) < digits[:, None], codes, 3))


def test_the_cost_is_that_of_symbols_and_details():
    symbols = speechlike(0, 30, np.random.default_rng(2))
    plain = symbols.copy()
    plain[coder().sounding(symbols), -2] = 1
    difference = coder().cost(symbols) - coder().cost(plain)
    details = (coder().detail_cost(each[coder().sounding(each), -2], 0) for each in (symbols, plain))
    assert difference == pytest.approx(next(details) - next(details))


def test_silent_blocks_cost_next_to_nothing():
    symbols = np.zeros((400 * BLOCK, BANDS + 2), np.int32)
    assert coder().cost(symbols) < 16.0
    loud = speechlike(0, 1, np.random.default_rng(0))
    loud[0, 0], loud[:, -2] = 1, 5
    between = np.concatenate([symbols, loud, symbols])
    assert coder().cost(between) < coder().cost(loud) + 48.0
    payload = packet_coder().encode(between, codes_of(between, np.random.default_rng(1)))
    np.testing.assert_array_equal(packet_coder().decode(payload, len(between))[0], between)


def test_a_fixed_stream_decodes_to_the_same_symbols_for_ever():
    """May change when the order in which a packet is written changes: a new version of the format."""
    t, band = np.arange(8)[:, None], np.arange(BANDS)[None]
    symbols = np.concatenate([(t * t + 3 * band * t) % 15, t * 5 % 9, np.ones((8, 1))], axis=1).astype(np.int32)
    table = np.full((NUM_POINTS, BLOCK, 16), TOTAL // 16, np.int32)
    details = np.full((NUM_POINTS, 17, 16), TOTAL // 16, np.int32)
    uniform = BlockEnvelopeCoder([table] * BANDS, details, np.zeros((NUM_POINTS, 16), np.int32))
    payload = PacketCoder(CodeCoder.fit([], ()), uniform).encode(symbols, np.zeros((8, 0), np.int32))
    # 1 bit for the point, next to none for two blocks that are not silent, 4 for each detail and symbol: 129 in all.
    assert payload.hex() == "8261c9c9a5e42dcc93b955fe0da7ee36e0"
    np.testing.assert_array_equal(PacketCoder(CodeCoder.fit([], ()), uniform).decode(payload, 8)[0], symbols)


def test_every_changed_byte_is_noticed_or_decodes_to_what_it_encodes():
    rng = np.random.default_rng(3)
    symbols = speechlike(1, 12, rng)
    payload = np.frombuffer(packet_coder().encode(symbols, codes_of(symbols, rng)), np.uint8)
    refused = 0
    for place in range(len(payload)):
        for change in (1, 128, int(rng.integers(1, 256))):
            damaged = payload.copy()
            damaged[place] ^= change
            try:
                decoded = packet_coder().decode(damaged.tobytes(), len(symbols))
            except BitstreamError:
                refused += 1
                continue
            assert packet_coder().encode(*decoded) == damaged.tobytes()
    assert refused > 0.5 * 3 * len(payload)


@pytest.mark.parametrize("num_frames", [20, 28])
def test_another_number_of_frames_is_refused(num_frames):
    rng = np.random.default_rng(4)
    symbols = speechlike(1, 6, rng)
    with pytest.raises(BitstreamError, match=r"probability tables|fewer than any"):
        packet_coder().decode(packet_coder().encode(symbols, codes_of(symbols, rng)), num_frames)


def test_ragged_packets_are_refused():
    symbols = speechlike(0, 2, np.random.default_rng(5))
    message = "7 frames are no whole number of blocks of 4"
    for call in (
        lambda: coder().cost(symbols[:7]),
        lambda: packet_coder().encode(symbols[:7], np.full((7, 4), 2, np.int32)),
        lambda: BlockEnvelopeCoder.fit([[symbols[:7]]], (*LEVELS[:-1], 1), BLOCK, DIGITS[:1]),
    ):
        with pytest.raises(ValueError, match=message):
            call()
    with pytest.raises(BitstreamError, match="a packet has 7 frames, no whole number of blocks of 4"):
        packet_coder().decode(bytes(100), 7)


def test_symbols_that_cannot_be_coded_are_refused():
    symbols = speechlike(0, 2, np.random.default_rng(6))
    two_points = symbols.copy()
    two_points[4:, -1] = 1
    with pytest.raises(ValueError, match="one operating point, not several"):
        coder().cost(two_points)
    for column, value in ((0, 31), (1, -1), (3, 9), (4, 2)):
        bad = symbols.copy()
        bad[3, column] = value
        with pytest.raises(ValueError, match="outside its alphabet"):
            coder().cost(bad)
    with pytest.raises(ValueError, match="5 columns of side information expected, not 4"):
        coder().cost(symbols[:, :4])


def test_every_symbol_is_codable_at_bounded_cost():
    """A table entry is at least 2^-16, so a symbol costs at most 16 bits, and the unseen are not far from that."""
    for point in range(NUM_POINTS):
        loudest = np.tile(np.array(LEVELS) - 1, (BLOCK, 1)).astype(np.int32)
        loudest[:, -1] = point
        assert coder().cost(loudest) <= 16.0 * loudest.size


def test_tables_fit_what_they_were_fitted_to():
    rng = np.random.default_rng(7)
    for point in range(NUM_POINTS):
        typical = speechlike(point, 60, rng)
        shuffled = np.stack([rng.integers(0, size, len(typical)) for size in LEVELS], axis=1).astype(np.int32)
        shuffled[:, -1] = point
        assert coder().cost(typical) < 0.5 * coder().cost(shuffled)
        # Each place of a block has a table of its own: the first holds the level, and is dear elsewhere.
        moved = np.roll(typical, 1, axis=0)
        assert coder().cost(typical) < 0.9 * coder().cost(moved)


def test_silence_costs_little():
    silent = np.zeros((100 * BLOCK, BANDS + 2), np.int32)
    # Three blocks in ten were silent: 1.7 bits for the first symbol; the others are zero in half of the loud ones too.
    assert coder().cost(silent) < 8.0 * 100


def test_one_operating_point_costs_nothing():
    symbols = speechlike(0, 10, np.random.default_rng(8))
    single = BlockEnvelopeCoder.fit([[symbols]], (*LEVELS[:-1], 1), BLOCK, np.zeros((1, NUM_DETAILS), np.int32))
    coded = PacketCoder(CodeCoder.fit([], ()), single)
    payload = coded.encode(symbols, np.zeros((40, 0), np.int32))
    np.testing.assert_array_equal(coded.decode(payload, 40)[0], symbols)
    assert abs(8 * len(payload) - single.cost(symbols)) <= 16.0


def test_the_state_is_int32_and_restores_the_coder():
    state = packet_coder().state()
    assert all(array.dtype == np.int32 for array in state.values())
    restored = PacketCoder.from_state(state)
    symbols = speechlike(1, 6, np.random.default_rng(9))
    codes = codes_of(symbols, np.random.default_rng(9))
    assert restored.encode(symbols, codes) == packet_coder().encode(symbols, codes)
    assert restored.envelope is not None
    assert (restored.envelope.levels, restored.fewest_bytes(500)) == (LEVELS, packet_coder().fewest_bytes(500))


def swapped(name: str, change) -> dict[str, np.ndarray]:
    state = packet_coder().state()
    return {**state, f"block_envelope.{name}": change(state[f"block_envelope.{name}"])}


@pytest.mark.parametrize(
    ("name", "change", "match"),
    [
        ("frequencies", lambda a: a[:-1], "corrupt envelope tables"),
        ("frequencies", lambda a: a + 1, "must sum to 65536"),
        ("frequencies", lambda a: np.where(a == a.max(), -a, a), "tables|sum|frequenc"),
        ("frequencies", lambda a: a[:0], "corrupt|do not belong together"),
        ("levels", lambda a: a * 0, "corrupt envelope tables"),
        ("levels", lambda a: a[::-1].copy(), "sum to 65536"),
        ("levels", lambda a: a[:0], "corrupt envelope tables"),
        ("detail", lambda a: a[:, :-1], "do not belong together"),
        ("detail", lambda a: a[:1], "do not belong together"),
        ("detail", lambda a: a[0], "do not belong together"),
        ("digits", lambda a: a[:, :-1], "do not belong together"),
        ("digits", lambda a: a[:0], "corrupt envelope tables"),
        ("digits", lambda a: a.reshape(-1), "corrupt envelope tables"),
        ("frequencies", lambda a: a[None], "corrupt envelope tables"),
        ("digits", lambda a: a - 1, "do not belong together"),
        ("digits", lambda a: a + 9, "do not belong together"),
        ("level_value_weights", lambda a: a[:, 1:], "prediction do not belong together"),
        ("level_thresholds", lambda a: a[:1], "prediction do not belong together"),
        ("level_thresholds", lambda a: a.reshape(-1)[0], "prediction do not belong together"),
        ("shape_magnitude_weights", lambda a: a[..., 1:], "prediction do not belong together"),
        ("shape_frequencies", lambda a: a[:, 2:], "prediction do not belong together"),
        ("shape_frequencies", lambda a: a + 1, "must sum to 65536"),
    ],
)
def test_damaged_tables_are_refused(name, change, match):
    with pytest.raises(ValueError, match=match):
        PacketCoder.from_state(swapped(name, change))


def test_missing_tables_are_named():
    state = packet_coder().state()
    del state["block_envelope.detail"]
    with pytest.raises(ValueError, match="lack 'detail'"):
        PacketCoder.from_state(state)
    state = packet_coder().state()
    del state["block_envelope.shape_thresholds"]
    with pytest.raises(ValueError, match="lack 'shape_thresholds'"):
        PacketCoder.from_state(state)
