import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from jaxtyping import TypeCheckError

from meanflow_audio_codec.evaluators.audio.reconstruction import (
    log_spectral_distance,
    mean_squared_error,
    mel_distance,
    multi_resolution_stft_distance,
    peak_signal_to_noise_ratio,
    scale_invariant_sdr,
    signal_to_noise_ratio,
)
from meanflow_audio_codec.preprocessing import mel as spectra

NOISE = np.random.default_rng(0).standard_normal(16_000)
NOISE -= NOISE.mean()


def orthogonal_noise(reference: np.ndarray) -> np.ndarray:
    noise = np.random.default_rng(1).standard_normal(len(reference))
    noise -= noise.mean()
    return noise - (noise @ reference) / (reference @ reference) * reference


@settings(max_examples=20, deadline=None)
@given(ratio_db=st.floats(-20, 60), gain=st.floats(0.1, 10))
def test_si_sdr_is_the_ratio_to_orthogonal_noise_at_any_gain(ratio_db, gain):
    noise = orthogonal_noise(NOISE)
    noise *= np.linalg.norm(NOISE) / np.linalg.norm(noise) * 10 ** (-ratio_db / 20)
    assert scale_invariant_sdr(NOISE, gain * (NOISE + noise)) == pytest.approx(ratio_db, abs=1e-4)


def test_si_sdr_ignores_a_constant_offset():
    estimate = NOISE + 0.1 * orthogonal_noise(NOISE)
    assert scale_invariant_sdr(NOISE + 0.3, estimate - 0.2) == pytest.approx(scale_invariant_sdr(NOISE, estimate))


@pytest.mark.parametrize("gain", [0.5, 0.9, 1.5])
def test_a_gain_alone(gain):
    # Every ratio of magnitudes is the gain, so each distance is a function of it.
    decoded = gain * NOISE
    assert signal_to_noise_ratio(NOISE, decoded) == pytest.approx(-20 * np.log10(abs(1 - gain)), abs=1e-6)
    assert log_spectral_distance(NOISE, decoded, 16_000) == pytest.approx(abs(20 * np.log10(gain)) / 10)
    assert mel_distance(NOISE, decoded, 16_000) == pytest.approx(abs(np.log10(gain)))
    expected = abs(1 - gain) + abs(np.log(gain))
    assert multi_resolution_stft_distance(NOISE, decoded) == pytest.approx(expected)


@pytest.mark.parametrize("length", [1, 100, 5_000])
def test_identical_clips_of_any_length(length):
    clip = NOISE[:length].astype(np.float32)
    assert log_spectral_distance(clip, clip, 24_000) == 0.0
    assert mel_distance(clip, clip, 24_000) == 0.0
    assert multi_resolution_stft_distance(clip, clip) == 0.0
    assert np.isfinite(scale_invariant_sdr(clip, clip))
    assert np.isfinite(signal_to_noise_ratio(clip, clip))


def test_long_clips_are_scored_in_blocks(monkeypatch):
    decoded = NOISE + 0.1 * np.random.default_rng(2).standard_normal(len(NOISE))

    def scores():
        return (
            log_spectral_distance(NOISE, decoded, 16_000),
            mel_distance(NOISE, decoded, 16_000),
            multi_resolution_stft_distance(NOISE, decoded),
        )

    whole = scores()
    monkeypatch.setattr(spectra, "FRAMES_PER_BLOCK", 7)
    assert scores() == pytest.approx(whole, rel=1e-12)


# Printed by another program, which takes its mel filters from librosa, for the two signals below.
INDEPENDENT = {
    16_000: (0.65901351, 0.13773032, 0.91631156, 17.5894203),
    24_000: (0.71420854, 0.12778988, 0.91631156, 17.5894203),
    44_100: (1.22781098, 0.16320293, 0.91631156, 17.5894203),
}


@pytest.mark.parametrize("sample_rate", INDEPENDENT)
def test_agrees_with_an_independent_implementation(sample_rate):
    k = np.arange(12_000)
    reference = 0.3 * np.sin(2 * np.pi * (200 + 0.1 * k) * k / 16_000) + 0.05 * ((7919 * k * k) % 1000 / 500 - 1)
    decoded = 0.8 * reference + 0.04 * ((104729 * k * k + k) % 997 / 498.5 - 1)
    scores = (
        log_spectral_distance(reference, decoded, sample_rate),
        mel_distance(reference, decoded, sample_rate),
        multi_resolution_stft_distance(reference, decoded),
        scale_invariant_sdr(reference, decoded),
    )
    assert scores == pytest.approx(INDEPENDENT[sample_rate], rel=2e-5)


def test_mel_scale_inverts_and_filters_have_unit_area():
    frequency = np.linspace(0.0, 24_000.0, 1000)
    np.testing.assert_allclose(spectra.mel_to_hertz(spectra.hertz_to_mel(frequency)), frequency, atol=1e-9)
    filters = spectra.mel_filters(48_000, 2048, 80)
    # Wide filters cover many bins, so that the sum is close to the integral.
    np.testing.assert_allclose(filters[:, 40:].sum(axis=0) * 48_000 / 2048, 1.0, rtol=0.02)
    assert (filters.max(axis=0) > 0).all()


@pytest.mark.parametrize("sample_rate", [8_000, 16_000, 24_000, 44_100, 48_000])
def test_window_lasts_32_ms_or_more(sample_rate):
    assert 0.032 <= spectra.window_length(sample_rate) / sample_rate < 0.064


def test_lengths_must_agree():
    # The annotations are checked in tests only; both errors name the samples.
    for metric in (scale_invariant_sdr, signal_to_noise_ratio, multi_resolution_stft_distance):
        with pytest.raises((ValueError, TypeCheckError), match="samples"):
            metric(NOISE, NOISE[:-1])
    with pytest.raises((ValueError, TypeCheckError), match="samples"):
        mel_distance(NOISE, NOISE[:-1], 16_000)


def test_image_metrics_of_a_constant_error():
    reference = np.zeros((3, 4, 5), np.float32)
    estimate = reference + np.array([0.0, 0.5, 2.0], np.float32)[:, None, None]
    np.testing.assert_allclose(mean_squared_error(reference, estimate), [0.0, 0.25, 4.0])
    # The peak of a range of 2 is 2: an error of 2 everywhere is 0 dB, a quarter of it 12.04 dB better.
    expected = [np.inf, 20 * np.log10(4), 0.0]
    np.testing.assert_allclose(peak_signal_to_noise_ratio(reference, estimate), expected)
