"""Audio files: what is read is what was written, and every kind of damage is one clear line."""

import math
from pathlib import Path

import numpy as np
import pytest
import soundfile
from hypothesis import given, settings
from hypothesis import strategies as st

from meanflow_audio_codec.datasets.audio_files import read_audio, write_audio
from meanflow_audio_codec.errors import InputError
from meanflow_audio_codec.preprocessing.resampling import resample

RATE = 16000


def tone(frequency: float, seconds: float, sample_rate: int = RATE) -> np.ndarray:
    return (0.5 * np.sin(2 * np.pi * frequency * np.arange(round(seconds * sample_rate)) / sample_rate)).astype("f4")


@pytest.mark.parametrize("suffix", [".wav", ".flac", ".WAV"])
def test_sixteen_bit_samples_survive_reading_and_writing_bit_for_bit(tmp_path: Path, suffix: str) -> None:
    samples = np.random.default_rng(0).integers(-32768, 32768, (2, 999)).astype(np.int16)
    samples[:, :2] = [-32768, 32767]
    path = tmp_path / f"original{suffix}"
    soundfile.write(path, samples.T, 22050, subtype="PCM_16")
    audio, sample_rate = read_audio(path)
    assert (audio.dtype, audio.shape, sample_rate) == (np.float32, (2, 999), 22050)
    copy = tmp_path / f"copy{suffix}"
    write_audio(copy, audio, sample_rate, overwrite=False)
    written, _ = soundfile.read(copy, dtype="int16", always_2d=True)
    np.testing.assert_array_equal(written.T, samples)
    assert soundfile.info(copy).subtype == "PCM_16"


@pytest.mark.parametrize(("subtype", "tolerance"), [("PCM_U8", 2**-7), ("PCM_24", 2**-23), ("FLOAT", 1e-7)])
def test_other_sample_formats_are_read_at_full_scale_one(tmp_path: Path, subtype: str, tolerance: float) -> None:
    original = tone(440.0, 0.1)
    path = tmp_path / "tone.wav"
    soundfile.write(path, original, RATE, subtype=subtype)
    audio, _ = read_audio(path)
    assert audio.dtype == np.float32
    np.testing.assert_allclose(audio[0], original, atol=tolerance)


def test_long_ogg_files_are_written_and_sound_like_the_original(tmp_path: Path) -> None:
    original = np.stack([tone(440.0, 20.0), tone(660.0, 20.0)])
    path = tmp_path / "tone.ogg"
    write_audio(path, original, RATE, overwrite=False)
    audio, sample_rate = read_audio(path)
    assert (audio.shape, sample_rate) == (original.shape, RATE)
    assert np.sqrt(np.mean((audio - original) ** 2)) < 0.01


def test_mp3_files_are_read(tmp_path: Path) -> None:
    path = tmp_path / "tone.mp3"
    soundfile.write(path, tone(440.0, 1.0), RATE, format="MP3")
    audio, sample_rate = read_audio(path)
    assert sample_rate == RATE
    assert np.abs(np.fft.rfft(audio[0][:RATE])).argmax() == 440


def test_values_outside_the_range_are_clipped_for_integers_and_kept_for_floats(tmp_path: Path) -> None:
    audio = np.array([0.0, 1.5, -1.5, 1.0], np.float32)
    write_audio(tmp_path / "integer.wav", audio, RATE, overwrite=False)
    write_audio(tmp_path / "float.wav", audio, RATE, overwrite=False, subtype="FLOAT")
    np.testing.assert_array_equal(read_audio(tmp_path / "integer.wav")[0][0], [0.0, 32767 / 32768, -1.0, 32767 / 32768])
    np.testing.assert_array_equal(read_audio(tmp_path / "float.wav")[0][0], audio)


def write_float(values: list[float]):
    return lambda path: soundfile.write(path, np.array(values, np.float32), RATE, subtype="FLOAT")


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda path: None, "does not exist"),
        (lambda path: path.mkdir(), "is a folder"),
        (lambda path: path.write_bytes(b""), "is empty"),
        (lambda path: path.write_text("Dear diary, this is no audio.\n" * 9), "cannot be read as audio"),
        (lambda path: path.write_bytes(b"RIFF\xff\xff\xff\x7fWAVE"), "cannot be read as audio"),
        (lambda path: soundfile.write(path, np.zeros((0, 1), np.int16), RATE), "holds no samples"),
        (write_float([0.0, math.nan]), "NaN or infinite"),
        (write_float([math.inf, 0.0]), "NaN or infinite"),
    ],
    ids=["missing", "folder", "empty", "text", "cut header", "no samples", "NaN", "infinite"],
)
def test_unusable_files_are_named_on_one_line(tmp_path: Path, make, message: str) -> None:
    path = tmp_path / "clip.wav"
    make(path)
    with pytest.raises(InputError, match=message) as caught:
        read_audio(path)
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_an_existing_file_is_replaced_only_when_asked(tmp_path: Path) -> None:
    path = tmp_path / "clip.wav"
    write_audio(path, np.zeros(10, np.float32), RATE, overwrite=False)
    before = path.read_bytes()
    with pytest.raises(InputError, match="exists"):
        write_audio(path, np.ones(20, np.float32), RATE, overwrite=False)
    assert path.read_bytes() == before
    write_audio(path, np.ones(20, np.float32), RATE, overwrite=True)
    assert read_audio(path)[0].shape == (1, 20)


def test_replacing_a_file_never_shows_a_half_written_one(tmp_path: Path) -> None:
    """The new content is a new file under the old name: whoever holds the old one keeps it whole."""
    path, held = tmp_path / "clip.wav", tmp_path / "held.wav"
    write_audio(path, np.zeros(10, np.float32), RATE, overwrite=False)
    held.hardlink_to(path)
    write_audio(path, np.ones(20, np.float32), RATE, overwrite=True)
    assert read_audio(held)[0].shape == (1, 10)
    assert read_audio(path)[0].shape == (1, 20)


def test_a_failed_write_leaves_the_old_file_and_no_other(tmp_path: Path) -> None:
    path = tmp_path / "clip.flac"
    write_audio(path, np.zeros(10, np.float32), RATE, overwrite=False)
    before = path.read_bytes()
    with pytest.raises(InputError, match="cannot be written"):
        write_audio(path, np.ones((9, 10), np.float32), RATE, overwrite=True)  # FLAC has at most 8 channels
    with pytest.raises(ValueError, match="NaN"):
        write_audio(path, np.full(10, np.nan, np.float32), RATE, overwrite=True)
    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("clip.aiff", r"\.wav, \.flac, \.ogg"),
        ("clip", "unknown suffix"),
        ("no/such/folder/clip.wav", "cannot be written"),
    ],
)
def test_unwritable_names_are_explained(tmp_path: Path, name: str, message: str) -> None:
    with pytest.raises(InputError, match=message):
        write_audio(tmp_path / name, np.zeros(10, np.float32), RATE, overwrite=False)


@settings(max_examples=40, deadline=None)
@given(
    samples=st.integers(1, 3000),
    from_rate=st.sampled_from([8000, 16000, 22050, 24000, 44100, 48000]),
    to_rate=st.sampled_from([8000, 16000, 22050, 24000, 44100, 48000]),
)
def test_resampled_length_is_the_ceiling_and_back_is_never_shorter(samples: int, from_rate: int, to_rate: int) -> None:
    there = resample(np.zeros((2, samples), np.float32), from_rate, to_rate)
    assert there.shape == (2, math.ceil(samples * to_rate / from_rate))
    assert resample(there, to_rate, from_rate).shape[-1] >= samples


@pytest.mark.parametrize(("from_rate", "to_rate"), [(44100, 16000), (16000, 24000), (8000, 48000)])
def test_resampling_a_sine_gives_the_sine_at_the_other_rate(from_rate: int, to_rate: int) -> None:
    there = resample(tone(1000.0, 1.0, from_rate), from_rate, to_rate)
    expected = tone(1000.0, 1.0, to_rate)
    assert there.dtype == np.float32
    inner = slice(to_rate // 10, -to_rate // 10)
    np.testing.assert_allclose(there[inner], expected[inner], atol=1e-4)


def test_resampling_removes_what_the_lower_rate_cannot_carry() -> None:
    assert np.abs(resample(tone(10000.0, 1.0, 44100), 44100, 16000)[1000:-1000]).max() < 1e-4
