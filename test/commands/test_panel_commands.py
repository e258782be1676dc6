"""The panel in `evaluate` and `demo`: the original first, transcripts of the manifest, slow metrics on a subset."""

import csv
import json
from pathlib import Path

import pytest
import soundfile
from fixtures.tiny_models import RATE, codec_folder

from meanflow_audio_codec.__main__ import main
from meanflow_audio_codec.datasets.audio.example_recording import example_recording
from meanflow_audio_codec.evaluators.metric_packages import REQUIREMENTS, available

SPEECH = example_recording(RATE)[:18_400]


def need(metric: str) -> None:
    if not available()[metric]:
        pytest.skip(f"{metric} is not installed (extra `{REQUIREMENTS[metric].extra}`)")


@pytest.fixture
def recordings(tmp_path) -> Path:
    folder = tmp_path / "recordings"
    folder.mkdir()
    with (folder / "manifest.csv").open("w", newline="") as file:
        table = csv.writer(file)
        table.writerow(["path", "split", "transcript"])
        for number, transcript in enumerate(("one two", "", "")):
            soundfile.write(folder / f"{number}.wav", SPEECH * (1 - 0.2 * number), RATE)
            table.writerow([f"{number}.wav", "test", transcript])
    return folder


def evaluate(recordings: Path, capsys, *arguments: str) -> list[dict]:
    settings = ["--model", str(codec_folder()), "--temperature", "1", "--json", *arguments]
    assert main(["evaluate", str(recordings), *settings]) == 0
    return json.loads(capsys.readouterr().out)


def test_without_a_blind_metric_there_is_no_row_of_the_original(recordings, capsys):
    (ours,) = evaluate(recordings, capsys, "--metrics", "mel")
    assert ours["system"].startswith("tiny")
    assert ours["slow_every"] == 1


def test_the_original_has_its_own_score_in_the_first_row(recordings, capsys):
    need("dnsmos_p808")
    original, ours = evaluate(recordings, capsys, "--metrics", "mel,dnsmos_p808")
    assert (original["system"], original["bits_per_second"]) == ("original", None)
    assert list(original["mean"]) == ["dnsmos_p808"]
    assert list(ours["mean"]) == ["mel", "dnsmos_p808"]
    assert original["mean"]["dnsmos_p808"]["num_clips"] == 3
    # The weights are random.
    assert original["mean"]["dnsmos_p808"]["mean"] > ours["mean"]["dnsmos_p808"]["mean"]


def test_words_are_compared_with_the_transcripts_of_the_manifest(recordings, capsys):
    need("word_error_rate")
    original, ours = evaluate(recordings, capsys, "--metrics", "mel,word_error_rate", "--slow-every", "2")
    for system in (original, ours):
        assert [clip["has_transcript"] for clip in system["clips"]] == [True, False, False]
        assert ["word_error_rate" in clip["scores"] for clip in system["clips"]] == [True, False, True]
    # "one two" is not what the synthetic voice says; without a transcript the original is its own.
    assert original["clips"][0]["scores"]["word_error_rate"] > 0.0
    assert original["clips"][2]["scores"]["word_error_rate"] == 0.0
    assert ours["mean"]["mel"]["num_clips"] == 3


def test_the_demo_takes_the_metrics_of_evaluate(tmp_path, monkeypatch, capsys):
    need("dnsmos_p808")
    monkeypatch.chdir(tmp_path)
    soundfile.write("voice.wav", SPEECH, RATE)
    arguments = ["demo", "voice.wav", "--model", str(codec_folder()), "--metrics", "mel,dnsmos_p808"]
    assert main([*arguments, "--json"]) == 0
    (report,) = json.loads(capsys.readouterr().out)
    titles = list(report["scores"])
    assert titles[0] == "original"
    assert list(report["scores"]["original"]) == ["dnsmos_p808"]
    assert all(list(report["scores"][title]) == ["mel", "dnsmos_p808"] for title in titles[1:])
    assert main([*arguments, "--force"]) == 0
    shown = capsys.readouterr().out
    assert "DNSMOS P.808" in shown
    assert "does not state which metrics it was chosen by" in shown
