"""What fills a gap: gains on the line between its ends, less the fade, and codes of the nearest frame."""

import numpy as np

# GainColumns from where the codec has it.
from meanflow_audio_codec.codec.streaming.concealment import Concealment, GainColumns

# Two gains in steps of 2 dB, then the detail.
GAINS = GainColumns(2, 2.0, 40, 2)
MIDDLE = np.array([2, 2], np.int32)


def filled(received: list[int], num_frames: int, **settings: float) -> tuple[np.ndarray, np.ndarray]:
    """Frames with gains (20, 30) before frame 4 and (26, 30) from it on, codes by number; of these, some arrived."""
    side = np.array([[20 if frame < 4 else 26, 30, 8] for frame in range(num_frames)], np.int32)
    codes = np.repeat(np.arange(num_frames, dtype=np.int32)[:, None], 2, axis=1)
    arrived = np.isin(np.arange(num_frames), received)
    side[~arrived], codes[~arrived] = 99, 99  # never to be looked at
    return Concealment(**settings).fill(side, codes, arrived, MIDDLE, GAINS)


def test_gains_go_from_end_to_end_and_sink_towards_the_middle():
    """From 20 to 26 over four frames: 21.5, 23, 24.5; less 4 dB, two steps, per frame of distance."""
    side, _ = filled([0, 1, 5, 6], 7, fade_db=4.0, repeat=3)
    np.testing.assert_array_equal(side[2:5, 0], np.rint([21.5 - 2, 23 - 4, 24.5 - 2]))
    np.testing.assert_array_equal(side[2:5, 1], [28, 26, 28])
    np.testing.assert_array_equal(side[[0, 1, 5, 6], 0], [20, 20, 26, 26])


def test_codes_are_those_of_the_nearest_frame_and_of_the_earlier_one_of_two():
    _, codes = filled([1, 5], 7, fade_db=1.0, repeat=3)
    np.testing.assert_array_equal(codes[:, 0], [1, 1, 1, 1, 5, 5, 5])


def test_beyond_the_reach_of_repetition_digits_are_in_the_middle_and_none_are_kept():
    side, codes = filled([0, 8], 9, fade_db=1.0, repeat=2)
    np.testing.assert_array_equal(codes[:, 0], [0, 0, 0, 2, 2, 2, 8, 8, 8])
    np.testing.assert_array_equal(side[:, 2], [8, 8, 8, 0, 0, 0, 8, 8, 8])


def test_no_gain_sinks_below_the_lowest_and_nothing_received_is_silence():
    side, _ = filled([0], 30, fade_db=8.0, repeat=3)
    assert side[:, :2].min() == 0
    side, codes = filled([], 3)
    assert (side == 0).all()
    np.testing.assert_array_equal(codes, [MIDDLE] * 3)
