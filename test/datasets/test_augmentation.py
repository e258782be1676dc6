"""Playback speed, equalization and noise: closed forms of each, and what they leave alone."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import soundfile
from hypothesis import given, settings
from hypothesis import strategies as st

from meanflow_audio_codec.configs.data import AudioFolderConfig, AugmentationConfig
from meanflow_audio_codec.configs.recipes import recipe
from meanflow_audio_codec.configs.serialization import apply_overrides
from meanflow_audio_codec.datasets.audio.audio_folder import AudioFolder
from meanflow_audio_codec.datasets.augmentation.augmentation import Augmentation
from meanflow_audio_codec.datasets.augmentation.equalization import equalize
from meanflow_audio_codec.datasets.augmentation.noise import colored_noise, mix
from meanflow_audio_codec.datasets.augmentation.playback_speed import excerpt_samples, margin_samples, play
from meanflow_audio_codec.datasets.build import Split, build_dataset
from meanflow_audio_codec.errors import InputError

RATE = 8000
CROP = 1024
EVERYTHING = AugmentationConfig(
    speed_range=(0.8, 1.25), equalization_db=4.0, noise_probability=0.7, noise_clip_share=0.5
)


def white(seed: int, *shape: int) -> np.ndarray:
    return np.random.default_rng(seed).standard_normal(shape, np.float32)


def decibels(power: np.ndarray) -> np.ndarray:
    return 10 * np.log10(power)


def power(signal: np.ndarray) -> np.ndarray:
    return np.mean(np.square(signal, dtype=np.float64), axis=-1)


# Playback speed.


@settings(deadline=None, max_examples=30)
@given(st.integers(RATE // 4, 4 * RATE), st.integers(1, 3000), st.floats(0.0, 0.18))
def test_a_sine_becomes_the_sine_of_the_other_period(playback_rate: int, num_samples: int, frequency: float) -> None:
    """At speed 2 of half the period. Up to the edges, for the filter sees what lies beyond them."""
    margin = margin_samples(RATE, playback_rate)
    length = excerpt_samples(num_samples, RATE, playback_rate) + 2 * margin
    frequency = min(frequency, 0.18 * RATE / playback_rate)  # cycles per sample of the original
    excerpt = np.sin(2 * np.pi * frequency * np.arange(length) + 0.3).astype(np.float32)
    played = play(excerpt, num_samples, RATE, playback_rate)
    speed = playback_rate / RATE
    time = speed * (round(margin / speed) + np.arange(num_samples))
    # -80 dB: the sudden ends of the excerpt, a margin away, ring no louder.
    np.testing.assert_allclose(played, np.sin(2 * np.pi * frequency * time + 0.3), atol=1e-4)


def test_what_would_alias_is_removed() -> None:
    length = excerpt_samples(CROP, RATE, 2 * RATE) + 2 * margin_samples(RATE, 2 * RATE)
    high = np.sin(2 * np.pi * 0.4 * np.arange(length)).astype(np.float32)
    assert np.abs(play(high, CROP, RATE, 2 * RATE)).max() < 1e-3


def test_speeds_fill_their_range_evenly_in_logarithms() -> None:
    speeds = Augmentation(AugmentationConfig(speed_range=(0.5, 2.0)), 0, 0).speeds(10_000)
    assert 0.5 <= speeds.min() < 0.51
    assert 1.98 < speeds.max() <= 2.0
    # Four standard deviations of a mean over so many draws from a range of two octaves.
    assert abs(np.log2(speeds).mean()) < 4 * 2 / np.sqrt(12 * 10_000)


# Equalization.


def test_gains_at_control_points_are_those_asked_for() -> None:
    """The spectrum of the response to an impulse; all gains are relative, for the level is kept."""
    gains = np.array([[6.0, -3.0, 9.0, 0.0, -6.0]])
    size = 1 << 15
    impulse = np.zeros((1, size), np.float32)
    impulse[0, size // 2] = 1.0
    response = np.abs(np.fft.rfft(equalize(impulse, gains)))[0]
    at_points = 2 * decibels(response[[64, 256, 1024, 4096, 16384]])
    np.testing.assert_allclose(at_points - at_points[-1], (gains - gains[0, -1])[0], atol=0.05)
    # Half way between two points in octaves lies the mean of their decibels.
    np.testing.assert_allclose(2 * decibels(response[512]) - at_points[-1], 3.0 + 6.0, atol=0.05)


@settings(deadline=None, max_examples=30)
@given(
    st.integers(1, 700),
    st.lists(st.floats(-24.0, 24.0), min_size=2, max_size=7),
    st.floats(-60.0, 60.0),
)
def test_the_level_is_kept_and_a_constant_gain_changes_nothing(size: int, gains: list[float], constant: float) -> None:
    signal = 0.1 * white(size, 2, size)
    signal[1] = 0.0
    equalized = equalize(signal, np.array([gains, gains]))
    np.testing.assert_allclose(power(equalized), power(signal), rtol=1e-5)
    assert not equalized[1].any()
    np.testing.assert_allclose(equalize(signal, np.full((2, 3), constant)), signal, atol=1e-6)


def test_equalized_white_noise_has_the_spread_asked_for() -> None:
    """Levels at two control points are independent and of 6 dB, so their difference has 6 dB times root two."""
    count = 1000
    config = AugmentationConfig(equalization_db=6.0, equalization_points=5)
    signal = white(1, count, CROP)
    equalized = Augmentation(config, 0, 0).equalized(signal)
    before, after = (np.abs(np.fft.rfft(each, 2 * CROP)) ** 2 for each in (signal, equalized))
    # Two and four octaves below half the sample rate, in bands of a quarter octave.
    levels = [
        decibels(after[:, low:high].sum(axis=1) / before[:, low:high].sum(axis=1))
        for low, high in [(235, 279), (59, 70)]
    ]
    difference = levels[0] - levels[1]
    spread = 6.0 * np.sqrt(2.0)
    # Four standard deviations of an estimate from so many, and a tenth for the width of the bands.
    assert abs(difference.std() - spread) < 4 * spread / np.sqrt(2 * count) + 0.1 * spread
    assert abs(difference.mean()) < 4 * spread / np.sqrt(count)


# Noise.


@settings(deadline=None, max_examples=20)
@given(st.floats(-12.0, 6.0))
def test_noise_has_the_slope_asked_for(slope: float) -> None:
    noise = colored_noise(np.random.default_rng(0), np.full(64, slope), 4096)
    density = (np.abs(np.fft.rfft(noise)) ** 2).mean(axis=0)
    # One octave below half the sample rate, and three octaves further down, in bands of equal relative width: there are
    # 64 x 26 and 64 x 208 bins, so the means err by 2.5 % at one standard deviation, 0.11 dB.
    upper, lower = density[924:1132].mean(), density[115:141].mean()
    assert abs(float(decibels(upper / lower)) - 3 * slope) < 0.5


@settings(deadline=None, max_examples=30)
@given(st.floats(-30.0, 60.0), st.floats(1e-4, 10.0), st.integers(1, 600))
def test_the_mixture_has_the_ratio_asked_for(ratio: float, level: float, size: int) -> None:
    signal, noise = 0.1 * white(0, 1, size), np.float32(level) * white(1, 1, size)
    mixed = mix(signal, noise, np.array([ratio]))
    # Rounding to float32 adds noise at -150 dB.
    assert abs(float(decibels(power(signal) / power(mixed.astype(np.float64) - signal))[0]) - ratio) < 0.1


def test_silence_is_not_mixed() -> None:
    signal = white(0, 2, 50)
    signal[0] = 0.0
    np.testing.assert_array_equal(mix(signal, signal[::-1].copy(), np.zeros(2)), signal)


@pytest.mark.parametrize("share", [0.0, 1.0])
def test_noise_is_coloured_or_another_crop(share: float) -> None:
    signal, others = 0.1 * white(0, 400, 64), white(1, 400, 64)
    config = AugmentationConfig(
        noise_probability=0.25,
        noise_clip_share=share,
        signal_to_noise_range_db=(5.0, 15.0),
        noise_slope_range_db=(0.0, 0.0),
    )
    noisy = Augmentation(config, 0, 0).noisy(signal, lambda _, count: others[:count])
    changed = np.flatnonzero((noisy != signal).any(axis=1))
    # Four standard deviations of a share among 400.
    assert abs(len(changed) / 400 - 0.25) < 4 * np.sqrt(0.25 * 0.75 / 400)
    noise = (noisy - signal)[changed]
    ratios = decibels(power(signal[changed]) / power(noise))
    assert 4.9 < ratios.min() < 6
    assert 14 < ratios.max() < 15.1
    other = others[: len(changed)]
    alike = (noise * other).sum(axis=1) / np.linalg.norm(noise, axis=1) / np.linalg.norm(other, axis=1)
    # Independent vectors of 64 values have a cosine of 1/8 at one standard deviation.
    assert (alike > 0.999).all() if share else (np.abs(alike) < 0.7).all()


# Crops of recordings.


@pytest.fixture(scope="module")
def data_directory(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of clips of full-scale noise, and one of a single sine of 100 samples per period."""
    root = tmp_path_factory.mktemp("data")
    clips = {"noises": np.random.default_rng(0).uniform(-1.0, 1.0, (9, 3 * CROP)), "sine": [sine(100.0, 30_000)]}
    for folder, sounds in clips.items():
        (root / folder).mkdir()
        rows = ["path,split"]
        for number, sound in enumerate(sounds):
            soundfile.write(root / folder / f"{number}.wav", sound, RATE, subtype="PCM_16")
            rows.append(f"{number}.wav,{('train', 'valid', 'test')[number % 3]}")
        (root / folder / "manifest.csv").write_text("\n".join(rows) + "\n")
    return root


@pytest.fixture(autouse=True)
def _cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MEANFLOW_CACHE_DIR", str(tmp_path / "cache"))


def sine(period: float, length: int) -> np.ndarray:
    return 0.5 * np.sin(2 * np.pi * np.arange(length) / period)


@pytest.fixture
def crops(data_directory: Path) -> Callable[..., AudioFolder]:
    def build(augmentation: AugmentationConfig | None, folder: str = "noises", batch_size: int = 8) -> AudioFolder:
        return AudioFolder(
            folders=(data_directory / folder,),
            sample_rate=RATE,
            crop_samples=CROP,
            batch_size=batch_size,
            augmentation=augmentation,
        )

    return build


def test_defaults_leave_every_batch_as_it_is(crops: Callable[..., AudioFolder]) -> None:
    plain, default = (replace(crops(each), gain_range_db=(-6.0, 6.0)) for each in (None, AugmentationConfig()))
    for step in range(20):
        np.testing.assert_array_equal(default.batch(step).signal, plain.batch(step).signal)


def test_an_augmented_batch_depends_on_seed_and_step_alone(crops: Callable[..., AudioFolder]) -> None:
    data, again = crops(EVERYTHING), crops(EVERYTHING)
    forward = [data.batch(step).signal for step in range(4)]
    for step in (3, 1, 0, 2):
        np.testing.assert_array_equal(again.batch(step).signal, forward[step])
    assert not np.array_equal(replace(data, seed=1).batch(0).signal, forward[0])
    noise = [Augmentation(EVERYTHING, 0, step).speeds(8) for step in (0, 1)]
    assert not np.array_equal(*noise)


def test_kinds_do_not_change_each_other_nor_the_crops_drawn(crops: Callable[..., AudioFolder]) -> None:
    kinds = AugmentationConfig(noise_probability=0.5), AugmentationConfig(equalization_db=4.0)
    both = AugmentationConfig(noise_probability=0.5, equalization_db=4.0)
    plain, noisy, equalized, everything = (crops(each, batch_size=64).batch(0).signal for each in (None, *kinds, both))
    untouched = (noisy == plain).all(axis=1)
    assert 0 < untouched.sum() < 64
    np.testing.assert_array_equal(everything[untouched], equalized[untouched])
    assert (everything[~untouched] != equalized[~untouched]).any(axis=1).all()


def test_crops_of_a_sine_have_half_the_period_at_speed_two(crops: Callable[..., AudioFolder]) -> None:
    """Wherever they begin; and the recording around a crop is used, so that its edges are sound, too."""
    signal = crops(AugmentationConfig(speed_range=(2.0, 2.0)), "sine").batch(0).signal
    phases = 2 * np.pi * np.arange(CROP) / 50.0
    basis = np.stack([np.sin(phases), np.cos(phases)])
    amplitudes, *_ = np.linalg.lstsq(basis.T, signal.T)
    np.testing.assert_allclose(np.linalg.norm(amplitudes, axis=0), 0.5, rtol=1e-3)
    # 16-bit samples.
    np.testing.assert_allclose(amplitudes.T @ basis, signal, atol=2e-4)


def test_a_clip_that_is_too_short_lies_whole_among_zeros(tmp_path: Path) -> None:
    (tmp_path / "short").mkdir()
    soundfile.write(tmp_path / "short" / "0.wav", np.full(600, 0.5), RATE, subtype="PCM_16")
    (tmp_path / "short" / "manifest.csv").write_text("path,split\n0.wav,train\n")
    data = AudioFolder(folders=(tmp_path / "short",), sample_rate=RATE, crop_samples=CROP, batch_size=8)
    starts = set()
    for speed in (0.75, 1.5):
        slower = replace(data, augmentation=AugmentationConfig(speed_range=(speed, speed)))
        for signal in slower.batch(0).signal:
            heard = np.flatnonzero(np.abs(signal) > 0.25)
            # The edges lie where the filter's step response is at half its height.
            assert abs(len(heard) - 600 / speed) <= 1
            assert abs(signal.sum() - 0.5 * 600 / speed) < 1.0
            starts.add(int(heard[0]))
    assert len(starts) > 8


def test_nothing_is_clipped(crops: Callable[..., AudioFolder]) -> None:
    """Full-scale noise exceeds full scale with noise added, and by speed and equalization as well."""
    assert np.abs(crops(None).batch(0).signal).max() <= 1.0
    for kind in (
        AugmentationConfig(speed_range=(0.8, 0.8)),
        AugmentationConfig(equalization_db=6.0),
        AugmentationConfig(noise_probability=1.0, signal_to_noise_range_db=(0.0, 0.0)),
    ):
        assert np.abs(crops(kind).batch(0).signal).max() > 1.2


@pytest.mark.parametrize("split", ["valid", "test"])
def test_only_training_crops_are_augmented(split: Split, data_directory: Path) -> None:
    plain, augmented = (
        AudioFolderConfig(folders=("noises",), sample_rate=RATE, crop_samples=CROP, augmentation=each)
        for each in (AugmentationConfig(), EVERYTHING)
    )

    def built(config: AudioFolderConfig, split: Split) -> AudioFolder:
        data = build_dataset(config, split, data_directory=data_directory, batch_size=3, seed=0)
        assert isinstance(data, AudioFolder)
        return data

    np.testing.assert_array_equal(built(augmented, split).batch(0).signal, built(plain, split).batch(0).signal)
    one, other = built(augmented, "train"), built(plain, "train")
    assert not np.array_equal(one.batch(0).signal, other.batch(0).signal)
    for batch, expected in zip(one.evaluation(), other.evaluation(), strict=True):
        np.testing.assert_array_equal(batch.signal, expected.signal)
    for (_, clip, _), (_, expected, _) in zip(one.clips(), other.clips(), strict=True):
        np.testing.assert_array_equal(clip, expected)


# Configuration.


@pytest.mark.parametrize(
    ("setting", "words"),
    [
        ("augmentation.speed_range=[1.1,0.9]", r"speed_range: must be \(lowest, highest\), not \(1\.1, 0\.9\)"),
        ("augmentation.speed_range=[0.1,1]", r"speed_range\.0: .*greater than or equal to 0\.25"),
        ("augmentation.signal_to_noise_range_db=[9,3]", r"must be \(lowest, highest\), not \(9\.0, 3\.0\)"),
        ("augmentation.noise_slope_range_db=[0,-6]", r"must be \(lowest, highest\), not \(0\.0, -6\.0\)"),
        ("augmentation.noise_probability=2", "less than or equal to 1"),
        ("augmentation.equalization_points=1", "greater than or equal to 2"),
        ("augmentation.pitch=1", "unknown field"),
        ("gain_range_db=[6,-6]", r"gain_range_db: must be \(lowest, highest\), not \(6\.0, -6\.0\)"),
    ],
)
def test_impossible_settings_are_refused_in_one_line(setting: str, words: str) -> None:
    with pytest.raises(InputError, match=words) as raised:
        apply_overrides(recipe("speech-16k"), [f"dataset.{setting}"])
    assert "\n" not in str(raised.value)
