import numpy as np
import pytest
from jaxtyping import TypeCheckError

from meanflow_audio_codec.evaluators.audio.mel_distances import RESOLUTIONS, multi_resolution_mel_distance
from meanflow_audio_codec.preprocessing import mel as spectra

NOISE = np.random.default_rng(0).standard_normal(16_000)


@pytest.mark.parametrize("sample_rate", [16_000, 24_000, 48_000])
def test_a_gain_alone_counts_once_per_resolution(sample_rate):
    # At 48 kHz one band of the shortest window lies between two bins; an empty band would count as no distance.
    distance = multi_resolution_mel_distance(NOISE, 0.5 * NOISE, sample_rate)
    assert distance == pytest.approx(7 * np.log10(2), rel=1e-9)
    empty = [not spectra.mel_filters(sample_rate, n, bands).any(axis=0).all() for n, bands in RESOLUTIONS.items()]
    assert any(empty) == (sample_rate == 48_000)


@pytest.mark.parametrize("length", [1, 20, 5_000])
def test_identical_clips_of_any_length(length):
    clip = NOISE[:length].astype(np.float32)
    assert multi_resolution_mel_distance(clip, clip, 16_000) == 0.0


def test_symmetric_and_larger_for_more_noise():
    noise = np.random.default_rng(1).standard_normal(len(NOISE))
    near, far = (multi_resolution_mel_distance(NOISE, NOISE + level * noise, 16_000) for level in (0.1, 0.5))
    assert 0 < near < far
    assert multi_resolution_mel_distance(NOISE + 0.5 * noise, NOISE, 16_000) == pytest.approx(far)


def test_silence_against_silence_is_no_distance_and_the_floor_bounds_the_rest():
    silence = np.zeros(4_000)
    assert multi_resolution_mel_distance(silence, 1e-9 * NOISE[:4_000], 16_000) == 0.0
    assert np.isfinite(multi_resolution_mel_distance(NOISE[:4_000], silence, 16_000))


def test_short_windows_see_a_click_that_moved():
    """A click moved by 5 ms looks the same to a window of 128 ms, and not to one of 2 ms."""
    click, moved = np.zeros((2, 8_000))
    click[4_000] = moved[4_080] = 1.0
    whole = multi_resolution_mel_distance(click, moved, 16_000)
    gain_alone = multi_resolution_mel_distance(click, 0.999 * click, 16_000)
    assert whole > 20 * gain_alone


def test_long_clips_are_scored_in_blocks(monkeypatch):
    decoded = NOISE + 0.1 * np.random.default_rng(2).standard_normal(len(NOISE))
    whole = multi_resolution_mel_distance(NOISE, decoded, 16_000)
    monkeypatch.setattr(spectra, "FRAMES_PER_BLOCK", 7)
    assert multi_resolution_mel_distance(NOISE, decoded, 16_000) == pytest.approx(whole, rel=1e-12)


def test_lengths_must_agree():
    with pytest.raises((ValueError, TypeCheckError), match="samples"):
        multi_resolution_mel_distance(NOISE, NOISE[:-1], 16_000)
