"""Figures of a part of a recording: which part, of whom, and what is refused before the work."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
from fixtures.golden_files import speech_signal
from fixtures.tiny_models import scalable_folder

from meanflow_audio_codec.errors import InputError
from meanflow_audio_codec.evaluators.figures import power_decibels
from meanflow_audio_codec.tools import zoomed_spectrograms
from meanflow_audio_codec.tools.zoomed_spectrograms import loudest_part, main


def test_the_loudest_part_is_found() -> None:
    samples = np.full(1_000, 0.1, np.float32)
    samples[620:700] = 0.5
    assert loudest_part(samples, 80) == 620
    assert loudest_part(samples[:50], 80) == 0


def test_longer_windows_tell_harmonics_of_a_low_voice_apart() -> None:
    """100 Hz apart: windows of 64 ms leave valleys of 20 dB between them, windows of 32 ms none of that depth."""
    time = np.arange(16_000) / 16_000
    voice = 0.1 * np.sin(2 * np.pi * 100 * np.arange(1, 30)[:, None] * time).sum(axis=0).astype(np.float32)

    def valley(window: int) -> float:
        level = power_decibels(voice, 16_000, window)[10:-10].mean(axis=0)
        peak, between = (round(hertz * window / 16_000) for hertz in (1_500, 1_550))
        return float(level[peak] - level[between])

    assert valley(1_024) > 20.0 > valley(512)


def test_a_figure_shows_the_original_and_every_model_at_every_rate(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    soundfile.write(tmp_path / "a.wav", speech_signal(), 16_000)
    seen = {}

    def recorded(path: Path, clips: dict[str, np.ndarray], rate: int, **options: Any) -> None:
        seen.update(clips)
        draw(path, clips, rate, **options)

    draw = zoomed_spectrograms.spectrogram_comparison
    monkeypatch.setattr(zoomed_spectrograms, "spectrogram_comparison", recorded)
    folder = str(scalable_folder())
    main([str(tmp_path / "a.wav"), "--output-dir", str(tmp_path / "out"), "--models", folder, "--bitrate", "0.9", "1.2",
          "--seconds", "0.25", "--start", "0.1"])  # fmt: skip
    target = tmp_path / "out" / "a.spectrograms.png"
    assert capsys.readouterr().out == f"{target}\n"
    assert target.read_bytes()[:4] == b"\x89PNG"
    original, *decoded = seen
    assert original == "original"
    assert [title.split(" at ")[1] for title in decoded] == ["0.9 kbit/s", "1.2 kbit/s"]
    np.testing.assert_allclose(seen["original"], speech_signal()[1_600:5_600], atol=1e-4)
    assert {len(clip) for clip in seen.values()} == {4_000}


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--seconds", "0"], "--seconds must be above 0"),
        (["--highest-hz", "0"], "--highest-hz must be above 0"),
        (["--start", "100"], "--start must lie within"),
        (["--opus-decoder", "lace"], "give --opus KBPS"),
        (["--lyra", "6"], "set LYRA_DIR"),
    ],
)
def test_what_cannot_be_drawn_is_refused(
    tmp_path: Path, options: list[str], words: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("LYRA_DIR", raising=False)
    zoomed_spectrograms.find_lyra.cache_clear()
    soundfile.write(tmp_path / "a.wav", speech_signal(), 16_000)
    with pytest.raises(InputError, match=words):
        main([str(tmp_path / "a.wav"), "--output-dir", str(tmp_path), "--models", str(scalable_folder()), *options])


def test_two_recordings_of_one_name_are_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="two of the recordings have one name"):
        main(["a/x.wav", "b/x.wav", "--output-dir", str(tmp_path)])
