"""Rate control: it keeps to the rate over a stream, and spends it where it is loud."""

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from meanflow_audio_codec.codec.rate.rate_control import RESERVOIR_SECONDS, RateControl, operating_point_for

FULL, FRAMES_PER_SECOND, RATE = 8, 50.0, 1_000.0
# Bits of a frame of each detail.
BITS = 4.0 * np.arange(FULL + 1)


def bits_of(detail: np.ndarray) -> float:
    """5 bits per frame whatever its detail: a quarter of the rate."""
    return float(5.0 * len(detail) + BITS[detail].sum())


def run(packets: list[np.ndarray]) -> list[np.ndarray]:
    """Details of packets of these loudnesses."""
    control, details = RateControl(RATE, FRAMES_PER_SECOND), []
    for loudness in packets:
        detail = control.choose(control.share(loudness), FULL, bits_of)
        control.spent(len(loudness), bits_of(detail))
        details.append(detail)
    return details


# No subnormal numbers, which a factor would round.
LOUDNESS = st.floats(0.0, 100.0).filter(lambda value: value == 0.0 or value > 1e-200)
STREAMS = st.lists(st.integers(1, 12).flatmap(lambda n: arrays(np.float64, n, elements=LOUDNESS)), max_size=30)


@settings(deadline=None)
@given(STREAMS)
def test_no_beginning_of_a_stream_costs_more_than_it_is_worth(packets):
    """The reservoir begins empty, and nothing is borrowed for details."""
    spent = np.cumsum([bits_of(detail) for detail in run(packets)])
    worth = np.cumsum([len(packet) for packet in packets]) * RATE / FRAMES_PER_SECOND
    assert (spent <= worth + 1e-6).all()


@settings(deadline=None)
@given(STREAMS)
def test_louder_frames_of_a_packet_have_at_least_the_detail_of_quieter_ones(packets):
    for loudness, detail in zip(packets, run(packets), strict=True):
        assert (np.diff(detail[np.argsort(loudness, kind="stable")]) >= 0).all()
        assert (detail[loudness == 0.0] == 0).all()
        assert 0 <= detail.min() <= detail.max() <= FULL


@settings(deadline=None)
@given(STREAMS, st.integers(-40, 40))
@example([np.array([100.0]), np.full(10, 6e-8)], -2)
@example([np.zeros(4), np.full(10, 6e-8)], 20)
def test_the_level_of_a_recording_does_not_matter(packets, exponent):
    """Shares are ratios: however quiet it is, and to the last bit where the factor is a power of two."""
    for ours, scaled in zip(run(packets), run([2.0**exponent * packet for packet in packets]), strict=True):
        np.testing.assert_array_equal(ours, scaled)


def test_the_only_sound_of_a_stream_has_all_the_detail_and_silence_none():
    """Where nine frames in ten are silent, their quantile is 0 and says nothing of the tenth."""
    control = RateControl(RATE, FRAMES_PER_SECOND)
    loudness = np.zeros(20)
    loudness[7] = 1e-9
    np.testing.assert_array_equal(control.share(loudness), loudness > 0.0)
    np.testing.assert_array_equal(control.share(np.zeros(20)), 0.0)


def test_a_steady_sound_gets_its_whole_rate():
    details = run([np.full(10, 3.0)] * 200)
    spent = sum(bits_of(detail) for detail in details)
    assert 0.95 * RATE * 40.0 <= spent <= RATE * 40.0


def test_silence_saves_for_what_follows_but_not_without_end():
    for seconds in (0.5, 20.0):
        silent = [np.zeros(10)] * round(5 * seconds)
        after = run([*silent, *[np.full(10, 3.0)] * 100])[len(silent) :]
        before = run([np.full(10, 3.0)] * 100)
        more = sum(bits_of(detail) for detail in after) - sum(bits_of(detail) for detail in before)
        # 15 of 20 bits per frame were saved, up to the reservoir; one packet's worth may be left over on either side.
        saved = min(0.75 * seconds, RESERVOIR_SECONDS) * RATE
        assert saved - 200.0 <= more <= saved + 200.0


def test_a_debt_is_paid_back_and_one_that_cannot_be_is_limited():
    control = RateControl(RATE, FRAMES_PER_SECOND)
    loudness = np.full(10, 3.0)
    control.spent(10, 200.0 + 300.0)
    details = []
    for _ in range(20):
        details.append(control.choose(control.share(loudness), FULL, bits_of))
        control.spent(10, bits_of(details[-1]))
    assert details[0].max() == 0
    assert sum(map(bits_of, details)) <= 20 * 200.0 - 300.0
    control.spent(10, 1e9)
    seconds = 0
    while control.choose(control.share(loudness), FULL, bits_of).max() == 0:
        control.spent(50, 250.0)
        seconds += 1
    # A second's bits are owed at most, of which 0.75 can be paid back in a second.
    assert seconds <= 2


def test_without_means_no_detail():
    assert (RateControl(RATE, FRAMES_PER_SECOND).choose(np.ones(5), FULL, lambda detail: 1e6) == 0).all()


def test_what_came_before_is_remembered_and_fades():
    quiet = np.full(10, 1.0)
    fresh, after_loud = RateControl(RATE, FRAMES_PER_SECOND), RateControl(RATE, FRAMES_PER_SECOND)
    np.testing.assert_array_equal(fresh.share(quiet), 1.0)
    after_loud.share(np.full(10, 100.0))
    shares = [after_loud.share(quiet)[0] for _ in range(200)]
    assert shares[0] < 0.02
    assert (np.diff(shares) >= 0.0).all()
    assert shares[-1] == 1.0
    # Half in 2 s, which are 10 packets of these.
    assert shares[10] / shares[0] == pytest.approx(2.0, rel=1e-6)


@settings(deadline=None, max_examples=30)
@given(STREAMS, STREAMS)
def test_decisions_depend_on_the_past_alone(packets, other):
    """So that a stream, which does not know what follows, decides as for a file."""
    for alone, with_more in zip(run(packets), run([*packets, *other]), strict=False):
        np.testing.assert_array_equal(alone, with_more)


def test_packets_without_frames_change_nothing():
    packets = [np.full(7, 2.0), np.full(3, 5.0)]
    with_empty = run([np.zeros(0), packets[0], np.zeros(0), packets[1]])
    for ours, expected in zip(with_empty[1::2], run(packets), strict=True):
        np.testing.assert_array_equal(ours, expected)


def test_a_rate_is_served_by_its_point_or_the_one_above():
    points = (1_500, 3_000, 6_000, 12_000)
    for index, point in enumerate(points):
        assert operating_point_for(float(point), points) == index
        # Nearly its own: up to a ratio of e^0.1 = 1.105.
        assert operating_point_for(1.10 * point, points) == index
        assert operating_point_for(1.11 * point, points) == min(index + 1, 3)
    assert operating_point_for(900.0, points) == 0
    rates = np.linspace(900, 12_000, 200)
    assert (np.diff([operating_point_for(float(rate), points) for rate in rates]) >= 0).all()
