import sys

import numpy as np
import pytest

from meanflow_audio_codec.datasets.audio.example_recording import example_recording
from meanflow_audio_codec.evaluators.audio import perceptual
from meanflow_audio_codec.evaluators.audio.perceptual import (
    MissingPackageError,
    NotMeasurableError,
    estoi,
    pesq_wideband,
)
from meanflow_audio_codec.evaluators.metric_packages import available

SPEECH = example_recording(16_000)[: 2 * 16_000]
NOISE = np.random.default_rng(0).standard_normal(len(SPEECH)).astype(np.float32)


def need(metric: str) -> None:
    if not available()[metric]:
        pytest.skip(f"the package for {metric} is not installed (extra `metrics`)")


def test_a_clip_against_itself_is_at_the_ceiling():
    need("pesq")
    need("estoi")
    assert pesq_wideband(SPEECH, SPEECH, 16_000) == pytest.approx(4.644, abs=1e-3)
    assert estoi(SPEECH, SPEECH, 16_000) == pytest.approx(1.0, abs=1e-4)


def test_noise_lowers_both_and_more_noise_more():
    need("pesq")
    need("estoi")
    for metric in (pesq_wideband, estoi):
        scores = [metric(SPEECH, SPEECH + level * NOISE, 16_000) for level in (0.0, 0.01, 0.1)]
        assert scores[0] > scores[1] > scores[2]


def test_other_sample_rates_are_resampled():
    need("estoi")
    upper = example_recording(24_000)[: 2 * 24_000]
    noise = 0.02 * np.random.default_rng(1).standard_normal(len(upper)).astype(np.float32)
    assert estoi(upper, upper, 24_000) == pytest.approx(1.0, abs=1e-4)
    assert 0.2 < estoi(upper, upper + noise, 24_000) < 0.98


def test_pesq_of_a_long_clip_is_the_mean_of_its_parts(monkeypatch):
    need("pesq")
    monkeypatch.setattr(perceptual, "LONGEST_PESQ_SECONDS", 2.0)
    noisy, noisier = SPEECH + 0.01 * NOISE, SPEECH + 0.05 * NOISE
    mean = (pesq_wideband(SPEECH, noisy, 16_000) + pesq_wideband(SPEECH, noisier, 16_000)) / 2
    assert pesq_wideband(np.tile(SPEECH, 2), np.append(noisy, noisier), 16_000) == pytest.approx(mean)
    # A silent part is left out.
    silence = np.zeros_like(SPEECH)
    two_of_three = np.concatenate([noisy, silence, noisier])
    assert pesq_wideband(np.concatenate([SPEECH, silence, SPEECH]), two_of_three, 16_000) == pytest.approx(mean)


@pytest.mark.parametrize("metric", [pesq_wideband, estoi])
@pytest.mark.parametrize(
    ("reference", "decoded", "reason"),
    [
        (np.zeros(16_000), np.ones(16_000), "silent"),
        (SPEECH, np.zeros_like(SPEECH), "silent"),
        (SPEECH[2_000:3_000], SPEECH[2_000:3_000], "short|fewer"),
    ],
)
def test_what_cannot_be_measured_says_why(metric, reference, decoded, reason):
    need("pesq")
    need("estoi")
    with pytest.raises(NotMeasurableError, match=reason):
        metric(reference, decoded, 16_000)


@pytest.mark.parametrize(("package", "name", "metric"), [("pesq", "pesq", pesq_wideband), ("pystoi", "estoi", estoi)])
def test_a_missing_package_is_named(monkeypatch, package, name, metric):
    monkeypatch.setitem(sys.modules, package, None)
    assert not available()[name]
    with pytest.raises(MissingPackageError, match=package):
        metric(SPEECH, SPEECH, 16_000)
