"""The spectral loss: against a plain NumPy computation, and by what it ignores and asks for."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from meanflow_audio_codec.configs.recipes import recipe
from meanflow_audio_codec.configs.serialization import apply_overrides
from meanflow_audio_codec.errors import InputError
from meanflow_audio_codec.preprocessing.mel import mel_filters
from meanflow_audio_codec.trainers.spectral_loss import (
    SMALLEST_MAGNITUDE,
    multi_resolution_mel_loss,
    repulsion_of_temperature,
    spectral_energy_score,
)

RATE = 16_000
WINDOWS = (256, 512)


def noise(seed: int, level: float = 0.1) -> np.ndarray:
    return (level * np.random.default_rng(seed).standard_normal((2, 4_000))).astype(np.float32)


def by_loops(reference: np.ndarray, decoded: np.ndarray, *, bands: bool = True, frames: bool = False) -> float:
    """Frame after frame, in float64; `frames` takes the root mean square of each instead of absolute differences."""
    means = []
    for length in WINDOWS:
        window = np.hanning(length + 1)[:-1]
        filters = mel_filters(RATE, length, int(length / 12.8)) if bands else np.eye(length // 2 + 1)
        filters = filters / filters.sum(axis=0)
        differences = []
        for one, other in zip(reference.astype(np.float64), decoded.astype(np.float64), strict=True):
            for start in range(0, len(one) // (length // 4) * (length // 4) - length + 1, length // 4):
                logs = [
                    np.log(
                        np.maximum(
                            np.abs(np.fft.rfft(x[start : start + length] * window)) * 2 / window.sum() @ filters, 1e-5
                        )
                    )
                    for x in (one, other)
                ]
                difference = np.abs(logs[0] - logs[1])
                differences.append(np.sqrt((difference**2).mean()) if frames else difference)
        means.append(np.mean(differences))
    return float(np.mean(means))


def test_it_is_the_mean_over_frames_bands_and_resolutions() -> None:
    loss = multi_resolution_mel_loss(jnp.asarray(noise(0)), jnp.asarray(noise(1, 0.05)), RATE, WINDOWS)
    assert float(loss) == pytest.approx(by_loops(noise(0), noise(1, 0.05)), rel=1e-4)


def test_phase_does_not_count_and_level_counts_in_logarithms() -> None:
    sound = jnp.asarray(noise(0))
    assert float(multi_resolution_mel_loss(sound, -sound, RATE, WINDOWS)) < 1e-6
    assert float(multi_resolution_mel_loss(sound, 0.5 * sound, RATE, WINDOWS)) == pytest.approx(np.log(2.0), rel=1e-3)


def test_a_full_scale_sine_has_magnitude_one() -> None:
    sine = np.sin(2 * np.pi * 1_000 * np.arange(4_000) / RATE).astype(np.float32)[None]
    difference = multi_resolution_mel_loss(jnp.asarray(sine), jnp.zeros((1, 4_000)), RATE, (512,))
    # No band is further above the floor than the sine itself, and its own band nearly is.
    assert 0.0 < float(difference) < -np.log(SMALLEST_MAGNITUDE)


def test_silence_has_a_finite_gradient_and_no_loss() -> None:
    silence, sound = jnp.zeros((2, 4_000)), jnp.asarray(noise(0))
    assert float(multi_resolution_mel_loss(silence, silence, RATE, WINDOWS)) == 0.0
    gradient = jax.grad(lambda x: multi_resolution_mel_loss(sound, x, RATE, WINDOWS))(silence)
    assert bool(jnp.isfinite(gradient).all())


def test_descent_on_noise_finds_the_level_without_losing_the_noise() -> None:
    """What a squared error of samples would answer with silence."""
    reference, drawn = jnp.asarray(noise(0)), jnp.asarray(noise(1))

    def loss(gain: jax.Array) -> jax.Array:
        return multi_resolution_mel_loss(reference, gain * drawn, RATE, WINDOWS)

    gains = [0.25, 0.5, 0.9, 1.0, 1.1, 2.0, 4.0]
    losses = [float(loss(jnp.asarray(gain))) for gain in gains]
    assert gains[int(np.argmin(losses))] in (0.9, 1.0, 1.1)


def test_single_frequencies_are_weighed_beside_the_bands() -> None:
    loss = multi_resolution_mel_loss(jnp.asarray(noise(0)), jnp.asarray(noise(1, 0.05)), RATE, WINDOWS, bin_weight=0.25)
    bands, bins = (by_loops(noise(0), noise(1, 0.05), bands=bands) for bands in (True, False))
    assert float(loss) == pytest.approx(bands + 0.25 * bins, rel=1e-4)


def test_the_score_of_two_draws_is_their_distance_to_the_recording_less_that_to_each_other() -> None:
    recording, first, second = noise(0), noise(1, 0.05), noise(2, 0.2)
    score = spectral_energy_score(
        jnp.asarray(recording),
        (jnp.asarray(first), jnp.asarray(second)),
        RATE,
        WINDOWS,
        repulsion=0.6,
        bin_weight=0.0,
    )
    pairs = ((recording, first), (recording, second), (first, second))
    distances = [by_loops(*pair, frames=True) for pair in pairs]
    expected = 0.5 * (distances[0] + distances[1]) - 0.3 * distances[2]
    assert float(score) == pytest.approx(expected, rel=1e-4)


def score_of_spread(spread: float, repulsion: float) -> float:
    """Mean score where recordings are noise, and draws are in part the same noise and in part another every time."""
    fixed = noise(100)
    scores = []
    for number in range(6):
        draws = [np.sqrt(1 - spread**2) * fixed + spread * noise(10 * number + place) for place in (1, 2)]
        score = spectral_energy_score(
            jnp.asarray(noise(10 * number)),
            (jnp.asarray(draws[0]), jnp.asarray(draws[1])),
            RATE,
            (256,),
            repulsion=repulsion,
            bin_weight=1.0,
        )
        scores.append(float(score))
    return float(np.mean(scores))


def test_at_full_repulsion_the_score_is_lowest_where_draws_vary_as_recordings_do() -> None:
    """A pattern that is the same in every draw costs something; without repulsion it costs nothing."""
    proper = [score_of_spread(spread, 1.0) for spread in (0.0, 0.5, 1.0)]
    assert proper[0] > proper[1] > proper[2]
    plain = [score_of_spread(spread, 0.0) for spread in (0.0, 1.0)]
    assert plain[0] == pytest.approx(plain[1], rel=0.02)


def test_frames_that_vary_as_a_whole_are_no_noise() -> None:
    """Where a fixed noise becomes louder and softer, every magnitude by itself may be distributed as that of noise."""

    def draw(number: int, *, common: bool) -> jax.Array:
        if not common:
            return jnp.asarray(noise(number))
        levels = np.exp(0.56 * np.random.default_rng(number).standard_normal((2, 250)))  # that of a Rayleigh magnitude
        return jnp.asarray(noise(100) * np.repeat(levels, 16, axis=1).astype(np.float32))

    def score(*, common: bool) -> float:
        scores = [
            spectral_energy_score(
                jnp.asarray(noise(10 * number)),
                (draw(10 * number + 1, common=common), draw(10 * number + 2, common=common)),
                RATE,
                (64,),
                repulsion=1.0,
                bin_weight=1.0,
            )
            for number in range(4)
        ]
        return float(np.mean(scores))

    assert score(common=False) < 0.9 * score(common=True)


@pytest.mark.parametrize("temperature", [0.0, 0.1, 0.5, 0.8, 1.0])
def test_the_repulsion_of_a_temperature_asks_for_that_share_of_the_deviation(temperature: float) -> None:
    """Closed form for Gaussians: E|x - a| = sqrt(2 (1 + s^2) / pi) and E|a - b| = 2 s / sqrt(pi)."""
    repulsion = float(repulsion_of_temperature(jnp.asarray(temperature)))
    deviations = np.linspace(0.0, 1.5, 1501)
    scores = np.sqrt(2 * (1 + deviations**2) / np.pi) - 0.5 * repulsion * 2 * deviations / np.sqrt(np.pi)
    assert deviations[np.argmin(scores)] == pytest.approx(temperature, abs=2e-3)


def test_two_equal_draws_have_a_finite_gradient() -> None:
    sound, silence = jnp.asarray(noise(0)), jnp.zeros((2, 4_000))
    gradient = jax.grad(lambda x: spectral_energy_score(sound, (x, x), RATE, WINDOWS, repulsion=1.0, bin_weight=1.0))(
        silence
    )
    assert bool(jnp.isfinite(gradient).all())


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        (['training.spectral_loss={"windows":[250]}'], "multiple of 4"),
        (['training.spectral_loss={"windows":[8192]}', "dataset.crop_samples=4800"], "crop"),
    ],
)
def test_impossible_windows_are_refused(settings: list[str], words: str) -> None:
    with pytest.raises(InputError, match=words):
        apply_overrides(recipe("speech-16k"), settings)


def test_images_have_no_spectral_loss() -> None:
    with pytest.raises(InputError, match=r"training\.spectral_loss needs audio"):
        apply_overrides(recipe("mnist"), ["training.spectral_loss={}"])
