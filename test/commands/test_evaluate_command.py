"""evaluate: bad recordings among good ones, what is refused before any coding, and results kept as they come."""

import json
from pathlib import Path

import numpy as np
import pytest
import soundfile
from fixtures.tiny_models import RATE, codec_folder, sound

from meanflow_audio_codec.__main__ import main
from meanflow_audio_codec.codec.codec import Codec
from meanflow_audio_codec.evaluators.clip_scores import METRICS
from meanflow_audio_codec.processes.stop_signals import StoppedError


@pytest.fixture
def recordings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Three recordings of a split; the cache is a folder of the test."""
    monkeypatch.setenv("MEANFLOW_CACHE_DIR", str(tmp_path / "cache"))
    folder = tmp_path / "recordings"
    folder.mkdir()
    for number in range(3):
        soundfile.write(folder / f"{number}.wav", sound(6_000, number), RATE)
    write_manifest(folder)
    return folder


def write_manifest(folder: Path) -> None:
    lines = [f"{path.name},test" for path in sorted(folder.glob("*.wav"))]
    (folder / "manifest.csv").write_text("\n".join(["path,split", *lines]) + "\n")


def evaluate(folder: Path, capsys, *arguments: str) -> tuple[int, list[dict], str]:
    command = ["evaluate", str(folder), "--model", str(codec_folder()), "--temperature", "0", "--json", *arguments]
    code = main(command if "--metrics" in arguments else [*command, "--metrics", "mel,snr"])
    printed = capsys.readouterr()
    return code, json.loads(printed.out or "[]"), printed.err


def counted_encodings(monkeypatch: pytest.MonkeyPatch, stop_at: int = 10**6) -> list[int]:
    """The lengths of what is encoded from now on; the program is stopped instead of the encoding with this number."""
    encode, lengths = Codec.encode, []

    def counted(self: Codec, audio: np.ndarray, *arguments: object, **options: object) -> bytes:
        if len(lengths) == stop_at:
            raise StoppedError(15)
        lengths.append(len(audio))
        return encode(self, audio, *arguments, **options)

    monkeypatch.setattr(Codec, "encode", counted)
    return lengths


def test_a_bad_recording_is_a_row_with_its_reason(recordings, capsys):
    code, (good,), _ = evaluate(recordings, capsys)
    assert code == 0
    soundfile.write(recordings / "a-tick.wav", sound(60), RATE)
    soundfile.write(recordings / "b-silence.wav", np.zeros(3_000), RATE)
    soundfile.write(recordings / "c-nothing.wav", np.zeros(0), RATE)
    soundfile.write(recordings / "d-nan.wav", np.full(3_000, np.nan), RATE, subtype="FLOAT")
    (recordings / "e-text.wav").write_text("no audio")
    write_manifest(recordings)
    code, (mixed,), errors = evaluate(recordings, capsys)
    assert code == 0
    assert "Traceback" not in errors
    rows = {Path(clip["name"]).name: clip for clip in mixed["clips"]}
    assert len(rows) == 8
    for name in ("c-nothing.wav", "d-nan.wav", "e-text.wav"):
        assert rows[name]["scores"] == {"mel": None, "snr": None}
        assert "not read" in rows[name]["reasons"]["mel"]
        assert rows[name]["payload_bits"] is None
        assert f"failed: recordings/{name}: not read" in errors
    assert "silent" in rows["b-silence.wav"]["reasons"]["mel"]
    for clip in good["clips"]:
        assert rows[Path(clip["name"]).name] == clip


def test_a_clip_that_cannot_be_coded_or_scored_costs_no_other(recordings, capsys, monkeypatch):
    encode = Codec.encode

    def fails_once(self: Codec, audio: np.ndarray, *arguments: object, **options: object) -> bytes:
        if np.array_equal(audio, audio_of_first):
            raise FloatingPointError("one and\none")
        return encode(self, audio, *arguments, **options)

    audio_of_first = soundfile.read(recordings / "0.wav", dtype="float32")[0]
    monkeypatch.setattr(Codec, "encode", fails_once)
    mel = METRICS["mel"].function
    calls = []

    def fails_second(pair) -> float:
        calls.append(pair.name)
        if len(calls) == 2:
            raise IndexError("out of range")
        return mel(pair)

    monkeypatch.setitem(METRICS, "mel", METRICS["mel"]._replace(function=fails_second))
    code, (system,), _ = evaluate(recordings, capsys)
    assert code == 0
    first, second, third = system["clips"]
    assert first["reasons"]["mel"] == "not coded: unexpected FloatingPointError: one and one"
    # The second clip to be scored is the third.
    assert third["reasons"] == {"mel": "unexpected IndexError: out of range"}
    assert third["scores"]["snr"] is not None
    assert second["scores"]["mel"] is not None
    assert system["mean"]["mel"]["num_clips"] == 1
    seconds = second["seconds"] + third["seconds"]
    assert system["bits_per_second"] == (second["payload_bits"] + third["payload_bits"]) / seconds


def test_without_any_readable_recording_the_command_fails(recordings, capsys):
    for path in recordings.glob("*.wav"):
        path.write_text("no audio")
    code, (system,), _ = evaluate(recordings, capsys)
    assert code == 1
    assert (system["bits_per_second"], system["mean"]["mel"]["num_clips"]) == (None, 0)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--bitrate", "3", "99"], "bit rate"),
        (["--frames-per-packet", "0"], "frames per packet must lie in 1"),
        (["--metrics", "mel,beauty"], "unknown metric beauty"),
        (["--slow-every", "0"], "not 0"),
        (["--jobs", "0"], "jobs must be 1 or more, not 0"),
        (["--limit", "0"], "--limit must be at least 1, not 0"),
        (["--opus", "16", "1000"], "Opus codes at 6 to 256"),
        (["--lyra", "3.2", "99"], "Lyra codes at multiples of 0.2"),
        (["--only", "speaker"], "write it as COLUMN=VALUE"),
        (["--only", "speaker=a"], "no manifest column 'speaker'"),
        (["--num-steps", "1", "0"], "steps must lie in 1"),
        (["--seed", "-1"], "seed"),
        (["--results", "/dev/null/x"], "results cannot be kept"),
    ],
)
def test_settings_are_refused_before_any_coding(recordings, capsys, monkeypatch, arguments, message):
    lengths = counted_encodings(monkeypatch)
    code, systems, errors = evaluate(recordings, capsys, *arguments)
    assert (code, systems, lengths) == (2, [], [])
    assert message in errors
    assert errors.count("\n") == 1


def test_metrics_of_which_none_is_installed_are_refused(recordings, capsys, monkeypatch):
    monkeypatch.setattr("meanflow_audio_codec.evaluators.metric_packages.find_spec", lambda name: None)
    lengths = counted_encodings(monkeypatch)
    code, _, errors = evaluate(recordings, capsys, "--metrics", "pesq,estoi")
    assert (code, lengths) == (2, [])
    assert "pesq needs uv sync --extra metrics" in errors


def test_a_stopped_evaluation_goes_on(recordings, tmp_path, capsys, monkeypatch):
    whole = evaluate(recordings, capsys)[1]
    assert list((tmp_path / "cache" / "evaluations").iterdir()) == []  # complete: nothing to go on with
    with monkeypatch.context() as patch:
        counted_encodings(patch, stop_at=2)
        code, systems, _ = evaluate(recordings, capsys)
        assert (code, systems) == (143, [])
    (kept,) = (tmp_path / "cache" / "evaluations").iterdir()
    kept.write_bytes(kept.read_bytes() + b'{"system": "cut o')
    lengths = counted_encodings(monkeypatch)
    code, systems, errors = evaluate(recordings, capsys)
    assert (code, systems, len(lengths)) == (0, whole, 1)
    assert "2 scores taken over" in errors
    assert not kept.exists()


def test_results_are_kept_where_told_and_not_mixed(recordings, tmp_path, capsys, monkeypatch):
    path = tmp_path / "results.jsonl"
    whole = evaluate(recordings, capsys, "--results", str(path))[1]
    content = path.read_bytes()
    heading, *rows = map(json.loads, content.splitlines())
    assert heading["settings"]["metrics"] == ["mel", "snr"]
    assert [row["scores"] for row in rows] == whole[0]["clips"]
    lengths = counted_encodings(monkeypatch)
    assert evaluate(recordings, capsys, "--results", str(path))[1] == whole
    assert lengths == []
    code, _, errors = evaluate(recordings, capsys, "--results", str(path), "--metrics", "snr")
    assert code == 2
    assert "those of other settings" in errors
    path.write_text("my thesis")
    assert evaluate(recordings, capsys, "--results", str(path))[0] == 2
    assert (path.read_text(), len(content) > 0) == ("my thesis", True)


def test_all_splits_are_one(recordings, capsys):
    (recordings / "manifest.csv").write_text("path,split\n0.wav,train\n1.wav,valid\n")
    code, _, errors = evaluate(recordings, capsys)
    assert code == 2
    assert "--split all" in errors
    assert len(evaluate(recordings, capsys, "--split", "all")[1][0]["clips"]) == 2


def test_two_processes_give_the_same_scores(recordings, capsys):
    assert evaluate(recordings, capsys, "--jobs", "2")[1] == evaluate(recordings, capsys)[1]
