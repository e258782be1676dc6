"""Loudness against the recommendation's own numbers, and versions brought to one loudness."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from meanflow_audio_codec.listening.loudness import LARGEST_GAIN_DB, PEAK, k_weighting, loudness, match


def sine(hertz: float, sample_rate: int, seconds: float = 2.0, amplitude: float = 1.0) -> np.ndarray:
    return amplitude * np.sin(2 * np.pi * hertz * np.arange(round(seconds * sample_rate)) / sample_rate)[None]


def test_the_filters_are_those_of_the_recommendation_at_48_khz():
    """ITU-R BS.1770-4, tables 1 and 2."""
    (head, head_poles), (low, low_poles) = k_weighting(48_000)
    np.testing.assert_allclose(head, [1.53512485958697, -2.69169618940638, 1.19839281085285], rtol=1e-9)
    np.testing.assert_allclose(head_poles, [1.0, -1.69065929318241, 0.73248077421585], rtol=1e-9)
    np.testing.assert_array_equal(low, [1.0, -2.0, 1.0])
    np.testing.assert_allclose(low_poles, [1.0, -1.99004745483398, 0.99007225036621], rtol=1e-9)


@pytest.mark.parametrize("sample_rate", [16_000, 44_100, 48_000])
def test_a_full_scale_sine_reads_minus_three(sample_rate):
    """The recommendation: 0 dB FS at 997 Hz in one channel is -3.01; the bilinear transform at 16 kHz costs 0.05."""
    assert loudness(sine(997.0, sample_rate), sample_rate) == pytest.approx(-3.01, abs=0.06)


def test_two_equal_channels_are_three_decibels_louder():
    one = sine(500.0, 16_000)
    difference = loudness(np.repeat(one, 2, axis=0), 16_000) - loudness(one, 16_000)
    assert difference == pytest.approx(10 * np.log10(2))


def test_silence_around_a_sound_does_not_count():
    """The gate; without it, three times as much silence would cost 6 dB. Blocks across the edge cost a little."""
    loud = sine(997.0, 16_000, seconds=4.0)
    padded = np.concatenate([np.zeros((1, 96_000)), loud, np.zeros((1, 96_000))], axis=1)
    assert loudness(padded, 16_000) == pytest.approx(loudness(loud, 16_000), abs=0.4)


def test_a_short_sound_is_one_block_and_silence_is_none():
    assert loudness(sine(997.0, 16_000, seconds=0.1), 16_000) == pytest.approx(-3.01, abs=0.3)
    assert loudness(np.zeros((1, 100)), 16_000) == -np.inf
    assert loudness(np.zeros((2, 16_000)), 16_000) == -np.inf


@settings(deadline=None, max_examples=15)
@given(gains=st.lists(st.floats(-11.0, 11.0), min_size=1, max_size=3), amplitude=st.floats(0.01, 1.0))
def test_versions_end_at_the_loudness_of_the_original(gains, amplitude):
    original = amplitude * np.random.default_rng(0).normal(0.0, 0.3, (1, 8_000))
    matched = match(original, [10 ** (gain / 20) * original for gain in gains], 16_000)
    np.testing.assert_allclose([version.gain_db for version in matched], [0.0, *(-gain for gain in gains)], atol=1e-6)
    for version in matched[1:]:
        np.testing.assert_allclose(version.audio, matched[0].audio, atol=1e-6)
    assert max(np.abs(version.audio).max() for version in matched) <= PEAK + 1e-6


def test_what_does_not_clip_keeps_the_level_of_the_original():
    original = sine(300.0, 16_000, amplitude=0.3)
    np.testing.assert_allclose(match(original, [2 * original], 16_000)[0].audio, original, atol=1e-7)


def test_silent_versions_stay_and_a_gain_has_an_end():
    original = sine(300.0, 16_000, amplitude=0.3)
    silent, faint = match(original, [np.zeros_like(original), 0.02 * original], 16_000)[1:]
    assert (silent.gain_db, faint.gain_db) == (0.0, LARGEST_GAIN_DB)
    assert not silent.audio.any()
    assert [each.gain_db for each in match(np.zeros_like(original), [original], 16_000)] == [0.0, 0.0]
