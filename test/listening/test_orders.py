"""Orders of blind tests: complete, drawn from the seed alone, and different from listener to listener."""

from collections import Counter

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from meanflow_audio_codec.listening.blind_tests.orders import NUM_ORDERS, abx_orders, mushra_orders


@settings(deadline=None, max_examples=10)
@given(recordings=st.integers(1, 6), stimuli=st.integers(4, 12), seed=st.integers(0, 2**32 - 1))
def test_every_listener_rates_everything_once(recordings, stimuli, seed):
    orders = mushra_orders(recordings, stimuli, seed=seed)
    assert orders == mushra_orders(recordings, stimuli, seed=seed)
    assert len(orders) == NUM_ORDERS
    for order in orders:
        assert sorted(order.recordings) == list(range(recordings))
        assert all(sorted(each) == list(range(stimuli)) for each in order.stimuli)
        assert len(order.stimuli) == recordings


@settings(deadline=None, max_examples=10)
@given(recordings=st.integers(1, 4), pairs=st.integers(1, 3), repeats=st.integers(1, 4), seed=st.integers(0, 99))
def test_every_pair_of_every_recording_is_asked_as_often(recordings, pairs, repeats, seed):
    orders = abx_orders(recordings, pairs, repeats, seed=seed)
    assert orders == abx_orders(recordings, pairs, repeats, seed=seed)
    for order in orders:
        counts = Counter((trial.recording, trial.pair) for trial in order)
        assert counts == {(one, other): repeats for one in range(recordings) for other in range(pairs)}


def test_another_seed_is_another_order():
    assert mushra_orders(5, 6, seed=0) != mushra_orders(5, 6, seed=1)
    assert abx_orders(5, 2, 2, seed=0) != abx_orders(5, 2, 2, seed=1)


def test_positions_are_fair():
    """Over many orders, each stimulus is first as often as any other, and X is A half of the time (4 deviations)."""
    orders = mushra_orders(10, 5, seed=7)
    first = Counter(stimuli[0] for order in orders for stimuli in order.stimuli)
    total = NUM_ORDERS * 10
    assert all(abs(first[number] - total / 5) < 4 * np.sqrt(total * 0.2 * 0.8) for number in range(5))
    trials = [trial for order in abx_orders(5, 1, 4, seed=7) for trial in order]
    for outcomes in ([trial.x == "a" for trial in trials], [trial.swapped for trial in trials]):
        assert abs(sum(outcomes) - len(trials) / 2) < 2 * np.sqrt(len(trials))
