"""Public corpora: archives laid out like the real ones become folders that `AudioFolder` reads."""

import csv
import hashlib
import json
import re
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from fixtures.archive_server import Served, serving
from fixtures.made_up_corpora import files, published, published_libritts, sound, zip_of

from meanflow_audio_codec.__main__ import main
from meanflow_audio_codec.configs.recipes import recipe
from meanflow_audio_codec.datasets.audio.audio_folder import AudioFolder
from meanflow_audio_codec.datasets.audio.audio_sources import split_of
from meanflow_audio_codec.datasets.base import SPLITS
from meanflow_audio_codec.datasets.corpora import corpus_names, find_corpus, musdb18hq, vctk
from meanflow_audio_codec.datasets.downloads.corpus import Corpus
from meanflow_audio_codec.datasets.downloads.corpus_folder import install
from meanflow_audio_codec.errors import InputError
from meanflow_audio_codec.trainers import export


@pytest.fixture
def served() -> Iterator[Served]:
    with serving() as server:
        yield server


@pytest.fixture
def data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("MEANFLOW_CACHE_DIR", str(tmp_path / "cache"))
    (tmp_path / "data").mkdir()
    return tmp_path / "data"


@pytest.fixture
def libritts(served: Served) -> Corpus:
    return published_libritts(served)


def manifest(folder: Path) -> dict[str, dict[str, str]]:
    with (folder / "manifest.csv").open(newline="", encoding="utf-8") as file:
        return {row["path"]: row for row in csv.DictReader(file)}


def listing(folder: Path) -> set[str]:
    """All files but the archives, hidden ones too."""
    return {name for name in files(folder) if ".archives" not in name}


# What a corpus is.


@pytest.mark.parametrize("name", corpus_names())
def test_what_a_corpus_declares_is_complete(name: str) -> None:
    corpus = find_corpus(name)
    assert corpus.name == name
    assert set(corpus.default_parts) <= set(corpus.parts)
    for archive in corpus.parts.values():
        algorithm, digest = archive.checksum.split(":")
        assert len(bytes.fromhex(digest)) == hashlib.new(algorithm).digest_size
        assert archive.size > 5e8
        assert all(url.startswith("https://") for url in archive.urls)
    depth = corpus.pattern.count("/")
    for part in corpus.parts:
        member = f"top/{part}/" + "x/" * depth + Path(corpus.pattern).name.replace("*", "name")
        recording = corpus.recording(part, member)
        assert recording is not None
        row = corpus.row(part, recording)
        assert row["split"] in SPLITS
        assert row["licence"] == corpus.licence


def test_an_unknown_corpus_is_named() -> None:
    with pytest.raises(InputError, match="libri: no such corpus; choose from libritts, musdb18hq, vctk"):
        find_corpus("libri")


def test_the_documented_split_of_vctk_is_the_one_made() -> None:
    """Frozen: changing it would put speakers that a model was trained on into its test split."""
    test = (240, 245, 255, 271, 276, 277, 307, 314, 340, 364)
    valid = (225, 232, 243, 251, 254, 263, 293, 301, 303, 318, 330, 347, 374)
    assert {split_of(f"p{number}") for number in test} == {"test"}
    assert {split_of(f"p{number}") for number in valid} == {split_of("s5")} == {"valid"}
    assert split_of("p226") == "train"
    assert vctk.corpus().parts.keys() == {"wav48_silence_trimmed"}


def test_the_recipes_follow_those_they_come_from() -> None:
    changed = {"name", "dataset", "encoder", "prior", "decoder", "training"}
    for name, folders in (("speech-16k-libritts", ("libritts", "vctk")), ("audio-44k-musdb18", ("musdb18hq",))):
        derived, base = recipe(name), recipe(name.rpartition("-")[0])
        assert set(folders) <= set(corpus_names())
        assert {
            field for field in type(base).model_fields if getattr(derived, field) != getattr(base, field)
        } == changed
        assert derived.dataset == base.dataset.model_copy(update={"folders": folders})


# What becomes of its archives.


def test_libritts_becomes_a_folder_that_trains(libritts: Corpus, served: Served, data: Path) -> None:
    sources = install(libritts, data, ("dev-clean", "test-clean", "train-clean-100"))
    assert [(source.name, source.split) for source in sources] == [
        (f"libritts/{part}/{speaker}/121123/{speaker}_121123_00000{n}_000000.wav", split)
        for part, speaker, split in (
            ("dev-clean", 84, "valid"),
            ("test-clean", 61, "test"),
            ("train-clean-100", 19, "train"),
        )
        for n in (1, 2)
    ]
    rows = manifest(data / "libritts")
    assert rows["dev-clean/84/121123/84_121123_000001_000000.wav"] == {
        "path": "dev-clean/84/121123/84_121123_000001_000000.wav",
        "split": "valid",
        "speaker": "84",
        "part": "dev-clean",
        "licence": "CC BY 4.0",
    }
    # Recordings and nothing else.
    assert listing(data / "libritts") == {*rows, "manifest.csv"}
    dataset = AudioFolder(folders=(data / "libritts",), sample_rate=16_000, crop_samples=800, batch_size=3)
    assert dataset.batch(0).signal.any()
    assert [row["speaker"] for _, _, row in dataset.clips()] == ["19", "19"]
    # All of it again: nothing is fetched and nothing written.
    served.requests.clear()
    before = {name: (data / "libritts" / name).stat().st_mtime_ns for name in files(data / "libritts")}
    assert install(libritts, data, ("dev-clean",)) == sources
    assert served.requests == []
    assert {name: (data / "libritts" / name).stat().st_mtime_ns for name in before} == before


def test_a_part_that_comes_later_leaves_the_manifest_as_it_was(libritts: Corpus, data: Path) -> None:
    install(libritts, data, ("dev-clean",))
    path = data / "libritts" / "manifest.csv"
    # A user took one recording out and noted something about the other.
    path.write_text("path,split,mood\nlibritts/dev-clean/84/121123/84_121123_000002_000000.wav,test,calm\n")
    install(libritts, data, ("train-clean-100",))
    rows = manifest(data / "libritts")
    assert len(rows) == 3
    kept = rows.pop("libritts/dev-clean/84/121123/84_121123_000002_000000.wav")
    assert (kept["split"], kept["mood"], kept["speaker"]) == ("test", "calm", "")
    assert {(row["split"], row["mood"], row["speaker"]) for row in rows.values()} == {("train", "", "19")}


def test_vctk_has_one_microphone_and_speakers_by_hash(served: Served, data: Path) -> None:
    speakers = [f"p{number}" for number in range(225, 245)]
    members = {
        f"wav48_silence_trimmed/{speaker}/{speaker}_001_mic{n}.flac": sound("flac", 48_000)
        for speaker in speakers
        for n in (1, 2)
    }
    corpus = published("vctk", served, {"VCTK-Corpus-0.92.zip": zip_of({"speaker-info.txt": b"ID", **members})})
    sources = install(corpus, data, corpus.default_parts)
    assert {source.row["speaker"]: source.split for source in sources} == {name: split_of(name) for name in speakers}
    assert {source.split for source in sources} == set(SPLITS)
    assert all(source.name.endswith("_mic2.flac") for source in sources)
    assert not any("mic1" in name for name in files(data))


def test_musdb18_gives_mixtures_by_the_published_splits_from_one_download(served: Served, data: Path) -> None:
    songs = {"train/ANiMAL - Rockshow": "valid", "train/Juliet's Rescue - Heartbeats": "train", "test/AM - On": "test"}
    members = {
        f"{song}/{stem}.wav": sound("wav", 44_100) for song in songs for stem in ("bass", "mixture", "other", "vocals")
    }
    corpus = published("musdb18hq", served, {"musdb18hq.zip": zip_of(members)})
    sources = install(corpus, data, corpus.default_parts)
    assert {f"{s.row['part']}/{s.row['track']}": s.split for s in sources} == songs
    assert {Path(source.name).name for source in sources} == {"mixture.wav"}
    assert not any("vocals" in name for name in files(data))
    assert [path for path, _ in served.requests] == ["/musdb18hq.zip"]
    assert len(musdb18hq.VALIDATION) == 14


def test_entropy_tables_are_fitted_on_part_of_a_large_corpus(
    libritts: Corpus, data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    install(libritts, data, ("dev-clean", "test-clean", "train-clean-100"))
    dataset = AudioFolder(folders=(data / "libritts",), split="all", sample_rate=24_000, crop_samples=800, batch_size=3)
    every = [samples for _, samples, _ in dataset.clips()]
    assert len(export.clips_for_tables(dataset)) == 6
    # Six clips of a tenth of a second where a quarter may be taken: every third.
    monkeypatch.setattr(export, "TABLE_HOURS", 0.25 / 3600.0)
    some = export.clips_for_tables(dataset)
    assert len(some) == 2
    np.testing.assert_array_equal(some[1], every[3])


# The command.


def test_the_command_downloads_states_the_licence_and_lists(
    libritts: Corpus, data: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> None:
    monkeypatch.setattr("meanflow_audio_codec.datasets.corpora.libritts.corpus", lambda: libritts)
    line = ["data", "--data-dir", str(data), "--download", "libritts", "--part", "dev-clean", "--part", "test-clean"]
    assert main([*line, "--json"]) == 0
    printed = capsys.readouterr()
    assert json.loads(printed.out) == {
        "libritts": str(data / "libritts"),
        "licence": "CC BY 4.0",
        "examples": {"test": 2, "valid": 2},
    }
    assert printed.err == "LibriTTS, read English, 24 kHz. Licence: CC BY 4.0 (any use with attribution)\n"
    assert main(["data", "--data-dir", str(data), "--json"]) == 0
    (folder,) = json.loads(capsys.readouterr().out)
    assert (folder["name"], folder["sample_rates"], folder["problem"]) == ("libritts", [24_000], None)


def test_the_corpora_are_listed_with_their_terms(capsys: pytest.CaptureFixture) -> None:
    assert main(["data", "--corpora"]) == 0
    text = capsys.readouterr().out
    assert "train-clean-360           27.5 GB" in text
    assert "weights trained on it inherit this limit" in text
    assert main(["data", "--corpora", "--json"]) == 0
    records = {record["name"]: record for record in json.loads(capsys.readouterr().out)}
    assert records.keys() == set(corpus_names())
    assert records["musdb18hq"]["parts"] == {"train": 22_656_664_047, "test": 22_656_664_047}


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("--download librits", "--download librits: no such data set; choose from mnist, libritts, musdb18hq, vctk"),
        ("--download libritts --part train", "train: no such part of libritts; choose from dev-clean, .*-500"),
        ("--download mnist --part train", "--part train: mnist has no parts"),
        ("--part train", "--part train: name the corpus that it is of by --download"),
    ],
)
def test_bad_input_is_one_line(line: str, message: str, data: Path, capsys: pytest.CaptureFixture) -> None:
    assert main(["data", "--data-dir", str(data), *line.split()]) == 2
    printed = capsys.readouterr()
    assert printed.out == ""
    last = printed.err.splitlines()[-1]
    assert re.search(message, last), last
    assert files(data) == set()
