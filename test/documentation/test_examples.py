"""Every example runs to its end, with small models and few steps, and says what it did."""

import runpy
import sys
from pathlib import Path

import numpy as np
import pytest
import soundfile
from fixtures.tiny_models import codec_with_tokens_of, sound
from pages import ROOT

from meanflow_audio_codec.codec.codec import Codec
from meanflow_audio_codec.datasets.audio import example_recording as recordings

EXAMPLES = ROOT / "examples"
MOST_LINES = 60


@pytest.fixture
def example(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture):
    """Runs an example in an empty folder: what it prints, and the names it leaves behind."""
    monkeypatch.chdir(tmp_path)
    codec = codec_with_tokens_of("speech-16k")  # once for the session, and before its loader is replaced
    monkeypatch.setattr(Codec, "from_pretrained", lambda *_: codec)
    monkeypatch.setattr(recordings, "example_recording", lambda rate=16_000: sound(2 * rate, 0, rate))

    def run(name: str, *arguments: str) -> tuple[str, dict[str, object]]:
        monkeypatch.setattr(sys, "argv", [name, *arguments])
        names = runpy.run_path(str(EXAMPLES / name), run_name="__main__")
        return capsys.readouterr().out, names

    return run


def test_round_trip(example) -> None:
    soundfile.write("stereo.wav", np.stack([sound(16_000, 1), sound(16_000, 2)], axis=1), 16_000)
    printed, _ = example("codec_round_trip.py", "stereo.wav", "--bitrate", "6")
    assert "same again when decoded twice: True" in printed
    decoded, rate = soundfile.read("decoded.wav")
    assert (decoded.shape, rate) == ((16_000, 2), 16_000)


def test_codes(example) -> None:
    printed, names = example("codes_for_a_language_model.py", "--bitrate", "3")
    digits = names["digits"]
    assert isinstance(digits, np.ndarray)
    assert 0 < digits.shape[1] <= 22  # of 112: those that frames keep at 3 kbit/s
    assert "uniform: 2.32" in printed
    assert Path("detokenized.wav").exists()


def test_streaming(example) -> None:
    printed, names = example("streaming_with_losses.py", "--loss", "0.3")
    assert f"{names['num_lost']} of 26 packets lost" in printed  # 2 s and the frame that fills them, in blocks of 4
    assert 0 < int(str(names["num_lost"])) < 26
    assert len(soundfile.read("received.wav")[0]) >= 32_000


def test_digits(example) -> None:
    printed, names = example("mean_flow_on_digits.py", "--num-steps", "2")
    assert "step 1: error of the velocity" in printed
    assert Path("digits.png").exists()
    assert names["images"].shape == (100, 28, 28)  # type: ignore[attr-defined]


def test_own_method_learns(example) -> None:
    """In 60 steps nearly all of the velocity, whose root mean square over z of unit variance is 1.2 at this time."""
    _, names = example("own_method.py", "--num-steps", "60")
    assert np.sqrt(np.mean(names["z"] ** 2)) == pytest.approx(1.0, abs=0.05)  # type: ignore[operator]
    assert float(names["error"]) < 0.2  # type: ignore[arg-type]


def test_examples_are_short_and_all_have_a_test() -> None:
    tests = Path(__file__).read_text(encoding="utf-8")
    for file in EXAMPLES.glob("*.py"):
        assert len(file.read_text(encoding="utf-8").splitlines()) <= MOST_LINES
        assert f'example("{file.name}"' in tests
        assert f"examples/{file.name}" in (ROOT / "documentation/user_guide/examples.md").read_text(encoding="utf-8")
