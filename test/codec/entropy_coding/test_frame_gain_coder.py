"""Coding of band gains: the decoder repeats the encoder's integers, and the cost is what the source is worth."""

import dataclasses

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from meanflow_audio_codec.codec.container import BitstreamError
from meanflow_audio_codec.codec.entropy_coding.code_coder import CodeCoder
from meanflow_audio_codec.codec.entropy_coding.frame_gain_coder import EnvelopeCoder
from meanflow_audio_codec.codec.entropy_coding.frame_gain_model import (
    EnvelopeModel,
    analyse,
    num_contexts,
    previous_frames,
)
from meanflow_audio_codec.codec.entropy_coding.packet_coder import PacketCoder
from meanflow_audio_codec.codec.entropy_coding.tables import integer_frequencies

NUM_BANDS, NUM_LEVELS = 5, 43


def walks(num_packets: int, num_frames: int, rng) -> list[np.ndarray]:
    """Every band steps by -1, 0 or 1 with equal probability: exactly log2(3) bits per index after the first frame."""
    steps = rng.integers(-1, 2, (num_packets, num_frames, NUM_BANDS))
    steps[:, 0] = 21
    return list(np.cumsum(steps, axis=1).clip(0, NUM_LEVELS - 1).astype(np.int32))


@pytest.fixture(scope="module")
def coder() -> EnvelopeCoder:
    return EnvelopeCoder.fit(walks(150, 60, np.random.default_rng(0)), NUM_LEVELS, packet_frames=60)


@pytest.fixture(scope="module")
def packets(coder) -> PacketCoder:
    return PacketCoder(CodeCoder.fit([], (3, 4)), coder)


def fixed_model(num_bands: int = 4, num_levels: int = 9) -> EnvelopeModel:
    """A model of arbitrary integers, the same on every machine."""

    def integers(*shape: int, modulus: int) -> np.ndarray:
        return ((np.arange(np.prod(shape)) * 7919 + 13) % modulus - modulus // 3).reshape(shape).astype(np.int32)

    contexts = num_contexts(3)
    return EnvelopeModel(
        centroids=np.abs(integers(2, num_bands, modulus=num_levels)),
        prediction_past=integers(3, 2 * num_bands + 1, num_bands, modulus=61),
        prediction_current=integers(3, 3, num_bands, modulus=83),
        activity_past=integers(3, num_bands + 1, num_bands, modulus=47),
        activity_current=integers(3, 3, num_bands, modulus=59),
        activity_thresholds=np.array([-20, 30, 90], np.int32),
        frequencies=integer_frequencies(np.arange(contexts * num_levels).reshape(contexts, num_levels) ** 2 % 23),
    )


@settings(deadline=None, max_examples=100)
@given(st.data(), st.integers(0, 8))
def test_any_side_information_round_trips(packets, data, num_frames):
    side = data.draw(
        arrays(np.int32, (num_frames, NUM_BANDS), elements=st.integers(0, NUM_LEVELS - 1), fill=st.just(0))
    )
    codes = data.draw(arrays(np.int32, (num_frames, 2), elements=st.integers(0, 2)))
    payload = packets.encode(side, codes)
    decoded_side, decoded_codes = packets.decode(payload, num_frames)
    np.testing.assert_array_equal(decoded_side, side)
    np.testing.assert_array_equal(decoded_codes, codes)
    cost = packets.cost(side, codes)
    assert abs(8 * len(payload) - cost["envelope"] - cost["codes"]) <= 0.01 * sum(cost.values()) + 16


@pytest.mark.parametrize("num_bands", [1, 2, 3, 4, 30])
def test_arbitrary_models_round_trip(num_bands):
    coder = PacketCoder(CodeCoder.fit([], ()), EnvelopeCoder(fixed_model(num_bands)))
    rng = np.random.default_rng(num_bands)
    side = rng.integers(0, 9, (40, num_bands)).astype(np.int32)
    side[5:20] = 0  # silence begins and ends inside the packet
    side[10, -1] = 8
    none = np.zeros((40, 0), np.int32)
    np.testing.assert_array_equal(coder.decode(coder.encode(side, none), 40)[0], side)


def test_a_fixed_stream_decodes_to_the_same_indices_for_ever():
    coder = PacketCoder(CodeCoder.fit([], (6,)), EnvelopeCoder(fixed_model()))
    t, band = np.arange(14)[:, None], np.arange(4)[None]
    side = ((t * t + 3 * band * t) % 9 * (t % 5 != 2)).astype(np.int32)
    codes = (t * 5 % 6).astype(np.int32)
    golden = "00003400a8966d03a0187e5c7b492d9b599aa62e9f3d3ef925eb1bc325fbcf"
    decoded_side, decoded_codes = coder.decode(bytes.fromhex(golden), 14)
    np.testing.assert_array_equal(decoded_side, side)
    np.testing.assert_array_equal(decoded_codes, codes)
    assert coder.encode(side, codes).hex() == golden


def test_packets_are_analysed_alone():
    model = fixed_model()
    rng = np.random.default_rng(0)
    parts = [rng.integers(0, 9, (length, 4)).astype(np.int32) for length in (1, 2, 7, 1, 3)]
    first = np.concatenate([np.arange(len(part)) == 0 for part in parts])
    together = analyse(model, np.concatenate(parts), first)
    alone = [analyse(model, part, np.arange(len(part)) == 0) for part in parts]
    for joined, pieces in zip(together, zip(*alone, strict=True), strict=True):
        np.testing.assert_array_equal(joined, np.concatenate(pieces))


def test_previous_frames_stop_at_packet_starts():
    frames = np.arange(1, 6)[:, None]
    first = np.array([True, False, False, True, False])
    one, two = previous_frames(frames, first)
    assert one.ravel().tolist() == [0, 1, 2, 0, 4]
    assert two.ravel().tolist() == [0, 1, 1, 0, 4]


def test_a_random_walk_costs_its_entropy(coder):
    (side,) = walks(1, 60, np.random.default_rng(99))
    after_first = coder.cost(side) - coder.cost(side[:1])
    ideal = 59 * NUM_BANDS * np.log2(3.0)
    assert 0.98 * ideal <= after_first <= 1.08 * ideal


def test_common_steps_are_paid_once():
    # All bands take the same step: one band carries the information, the others follow from it.
    rng = np.random.default_rng(1)
    steps = rng.integers(-1, 2, (150, 60, 1))
    steps[:, 0] = 21
    sides = list(np.broadcast_to(np.cumsum(steps, axis=1), (150, 60, NUM_BANDS)).astype(np.int32))
    coder = EnvelopeCoder.fit(sides[:-1], NUM_LEVELS, packet_frames=60)
    after_first = coder.cost(sides[-1]) - coder.cost(sides[-1][:1])
    assert after_first <= 1.35 * 59 * np.log2(3.0)


def test_silence_costs_nearly_nothing(coder):
    silent = np.zeros((500, NUM_BANDS), np.int32)
    assert coder.cost(silent) < 0.02 * silent.size + 16


def test_every_index_is_codable_at_bounded_cost(coder):
    loud = np.full((20, NUM_BANDS), NUM_LEVELS - 1, np.int32)
    loud[::2] = 0
    # An index costs at most 16 bits, for every table entry is at least 2^-16.
    assert coder.cost(loud) <= 16 * loud.size


def test_fitting_is_deterministic():
    sides = walks(10, 40, np.random.default_rng(2))
    first, second = (EnvelopeCoder.fit(sides, NUM_LEVELS).state() for _ in range(2))
    for name in first:
        np.testing.assert_array_equal(first[name], second[name])


@pytest.mark.parametrize("length", [1, 2, 40])
def test_fitting_needs_one_frame_only(length):
    sides = walks(1, length, np.random.default_rng(3))
    coder = EnvelopeCoder.fit(sides, NUM_LEVELS)
    assert np.isfinite(coder.cost(sides[0]))


def test_state_is_int32_and_restores_the_coder(packets):
    state = packets.state()
    assert all(array.dtype == np.int32 for array in state.values())
    (side,) = walks(1, 30, np.random.default_rng(4))
    codes = np.zeros((30, 2), np.int32)
    assert PacketCoder.from_state(state).encode(side, codes) == packets.encode(side, codes)


def test_packet_coder_fits_both_parts():
    sides = walks(4, 30, np.random.default_rng(5))
    codes = [np.zeros((30, 2), np.int32)] * 4
    coder = PacketCoder.fit(sides, codes, side_levels=(NUM_LEVELS,) * NUM_BANDS, code_levels=(5, 3))
    assert coder.codes.levels == (5, 3)
    assert coder.cost(sides[0], codes[0])["codes"] < 1.0
    without = PacketCoder.fit([side[:, :0] for side in sides], codes, side_levels=(), code_levels=(5, 3))
    assert without.envelope is None


def test_mutated_payloads_are_refused_or_decode_to_what_they_encode(packets):
    rng = np.random.default_rng(6)
    (side,) = walks(1, 12, rng)
    codes = rng.integers(0, 3, (12, 2)).astype(np.int32)
    payload = np.frombuffer(packets.encode(side, codes), np.uint8)
    for _ in range(300):
        damaged = payload.copy()
        damaged[rng.integers(len(damaged))] = rng.integers(256)
        damaged = damaged[: rng.integers(len(damaged) + 1)].tobytes() + rng.bytes(int(rng.integers(3)))
        try:
            decoded = packets.decode(damaged, 12)
        except BitstreamError:
            continue
        assert decoded[0].min() >= 0
        assert decoded[0].max() < NUM_LEVELS
        assert packets.encode(*decoded) == damaged


def test_bad_input_is_refused(coder):
    with pytest.raises(ValueError, match="5 bands of side information expected, not 4"):
        coder.cost(np.zeros((3, 4), np.int32))
    for bad in (-1, NUM_LEVELS):
        with pytest.raises(ValueError, match=r"outside 0 \.\.\. 42"):
            coder.cost(np.full((3, NUM_BANDS), bad, np.int32))
        with pytest.raises(ValueError, match=r"must lie in 0 \.\.\. 42"):
            EnvelopeCoder.fit([np.full((3, NUM_BANDS), bad, np.int32)], NUM_LEVELS)
    for sides, levels in (([], NUM_LEVELS), ([np.zeros((3, 2), np.int32)], 1)):
        with pytest.raises(ValueError, match="needs frames and two levels"):
            EnvelopeCoder.fit(sides, levels)


def test_corrupt_models_are_refused():
    model = fixed_model()
    for change, message in (
        ({"prediction_past": model.prediction_past[:, :-1]}, "prediction_past has shape"),
        ({"frequencies": model.frequencies[:-1]}, "frequencies has shape"),
        ({"frequencies": model.frequencies + 1}, "must sum to 65536"),
        ({"activity_thresholds": model.activity_thresholds[::-1].copy()}, "thresholds out of order"),
        ({"prediction_current": model.prediction_current + 2**20}, "exceeds 2\\^20"),
    ):
        with pytest.raises(ValueError, match=message):
            dataclasses.replace(model, **change)
