"""The `data` command and where it looks."""

import argparse
import json
from pathlib import Path

import numpy as np
import pytest
import soundfile

from meanflow_audio_codec.commands import data
from meanflow_audio_codec.datasets.data_directory import cache_directory, find_data_directory
from meanflow_audio_codec.errors import InputError


@pytest.fixture(autouse=True)
def _own_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("MEANFLOW_DATA_DIR", raising=False)
    monkeypatch.setenv("MEANFLOW_CACHE_DIR", str(tmp_path / "cache"))


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    """A data directory with one good folder, at two sample rates, and one that is no data set."""
    root = tmp_path / "data"
    (root / "voices").mkdir(parents=True)
    (root / "notes").mkdir()
    (root / "notes" / "todo.txt").write_text("nothing")
    soundfile.write(root / "voices" / "a.wav", np.zeros(16000, np.int16) + 5, 16000)
    soundfile.write(root / "voices" / "b.flac", np.zeros(48000, np.int16) + 5, 24000)
    (root / "voices" / "manifest.csv").write_text("path,split\nvoices/a.wav,test\nvoices/b.flac,train\n")
    return root


def run(*words: str) -> int:
    parser = argparse.ArgumentParser()
    data.add_arguments(parser)
    return data.run(parser.parse_args(words))


def test_the_explicit_data_directory_wins_over_the_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(InputError, match="--data-dir or set MEANFLOW_DATA_DIR"):
        find_data_directory(None)
    monkeypatch.setenv("MEANFLOW_DATA_DIR", str(tmp_path / "none"))
    with pytest.raises(InputError, match=r"none \(from MEANFLOW_DATA_DIR\) is not a folder"):
        find_data_directory(None)
    assert find_data_directory(tmp_path) == tmp_path
    with pytest.raises(InputError, match=r"from --data-dir"):
        find_data_directory(tmp_path / "gone")


def test_the_cache_is_the_users_unless_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert cache_directory() == tmp_path / "cache"
    monkeypatch.delenv("MEANFLOW_CACHE_DIR")
    assert cache_directory().name == "meanflow_audio_codec"


def test_lists_clips_hours_and_rates_of_each_data_set(directory: Path, capsys: pytest.CaptureFixture) -> None:
    assert run("--data-dir", str(directory), "--json") == 0
    (folder,) = json.loads(capsys.readouterr().out)
    assert folder == {
        "name": "voices",
        "kind": "audio",
        "examples": {"train": 1, "test": 1},
        "hours": {"train": 2 / 3600, "test": 1 / 3600},
        "sample_rates": [16000, 24000],
        "problem": None,
    }
    assert run("--data-dir", str(directory)) == 0
    assert "voices" in capsys.readouterr().out


def test_damaged_data_is_reported_and_the_exit_code_tells(directory: Path, capsys: pytest.CaptureFixture) -> None:
    (directory / "voices" / "a.wav").write_text("not audio")
    (directory / "mnist").mkdir()
    (directory / "mnist" / "train-images-idx3-ubyte.gz").write_text("not gzip")
    (directory / "broken").mkdir()
    (directory / "broken" / "manifest.csv").write_text("path,split\nbroken/gone.wav,train\n")
    assert run("--data-dir", str(directory), "--json") == 1
    problems = {folder["name"]: folder["problem"] for folder in json.loads(capsys.readouterr().out)}
    assert problems.keys() == {"broken", "mnist", "voices"}
    assert "gone.wav" in problems["broken"]
    assert "train-images" in problems["mnist"]
    assert problems["voices"] == "1 files cannot be read, the first is voices/a.wav"


def test_an_empty_directory_says_what_to_do(tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    assert run("--data-dir", str(tmp_path)) == 0
    assert "put folders of audio files" in capsys.readouterr().out


def test_packs_a_folder_and_says_where(directory: Path, capsys: pytest.CaptureFixture) -> None:
    words = ("--data-dir", str(directory), "--pack", "voices", "--sample-rate", "8000", "--split", "all", "--json")
    assert run(*words) == 0
    record = json.loads(capsys.readouterr().out)
    assert Path(record["pack"]).is_file()
    assert (record["clips"], record["hours"]) == (2, pytest.approx(3 / 3600))
    with pytest.raises(InputError, match="sample-rate"):
        run("--data-dir", str(directory), "--pack", "voices", "--sample-rate", "0")
    with pytest.raises(InputError, match="is not a folder"):
        run("--data-dir", str(directory), "--pack", "nothing")


def test_label_columns_may_be_named_one_after_the_other(directory: Path, capsys: pytest.CaptureFixture) -> None:
    rows = "path,split,digit,word\nvoices/a.wav,test,7,\nvoices/b.flac,train,,snow\n"
    (directory / "voices" / "manifest.csv").write_text(rows)
    words = ("--data-dir", str(directory), "--pack", "voices", "--json", "--label-column", "digit")
    assert run(*words, "--label-column", "word") == 0
    assert json.loads(capsys.readouterr().out)["classes"] == ["7", "snow"]
    with pytest.raises(InputError, match=r"b\.flac has no value in the manifest column 'digit'"):
        run(*words)
