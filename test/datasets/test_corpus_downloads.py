"""Downloads of public corpora: continued where they stopped, and nothing unpacked that is wrong, damaged or hostile."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from fixtures.archive_server import Served, serving
from fixtures.made_up_corpora import files, libritts_part, published, published_libritts, sound, tar_gz, zip_of

from meanflow_audio_codec.datasets.corpora import find_corpus
from meanflow_audio_codec.datasets.downloads.corpus import Corpus
from meanflow_audio_codec.datasets.downloads.corpus_folder import install
from meanflow_audio_codec.errors import InputError


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


# The download.


def test_a_cut_connection_is_continued_where_it_stopped(libritts: Corpus, served: Served, data: Path) -> None:
    served.bytes_per_connection = 3000
    install(libritts, data, ("dev-clean",))
    starts = [int(asked.removeprefix("bytes=").removesuffix("-")) for _, asked in served.requests]
    assert starts == list(range(0, len(served.files["/dev-clean.tar.gz"]), 3000))


def test_an_interrupted_download_is_kept_and_continued_by_the_next_run(
    libritts: Corpus, served: Served, data: Path
) -> None:
    served.bytes_per_connection, served.continues = 3000, False
    size = libritts.parts["dev-clean"].size
    with pytest.raises(InputError, match=rf"connections end early\): 3000 of {size} bytes are kept, run the command"):
        install(libritts, data, ("dev-clean",))
    assert files(data) == {"libritts/.archives/dev-clean.tar.gz.part"}
    served.bytes_per_connection, served.continues = None, True
    served.requests.clear()
    install(libritts, data, ("dev-clean",))
    assert served.requests == [("/dev-clean.tar.gz", "bytes=3000-")]
    assert "libritts/.archives/dev-clean.tar.gz" in files(data)


def test_other_mirrors_are_asked_and_a_page_is_not_taken_for_the_archive(
    libritts: Corpus, served: Served, data: Path
) -> None:
    archive = libritts.parts["dev-clean"]
    served.files["/sorry.html"] = b"<html>We have moved</html>"
    urls = (f"{served.address}/gone", f"{served.address}/sorry.html")
    only_bad = replace(libritts, parts={"dev-clean": replace(archive, urls=urls)})
    with pytest.raises(InputError, match=rf"404.*; .*holds 26 bytes, not {archive.size}\): 0 of"):
        install(only_bad, data, ("dev-clean",))
    install(replace(libritts, parts={"dev-clean": replace(archive, urls=(*urls, *archive.urls))}), data, ("dev-clean",))


def test_a_wrong_checksum_leaves_nothing(libritts: Corpus, served: Served, data: Path) -> None:
    content = served.files["/dev-clean.tar.gz"]
    served.files["/dev-clean.tar.gz"] = content[:-1] + bytes([content[-1] ^ 1])
    with pytest.raises(InputError, match=r"has sha256:\w+, not sha256:\w+: it was removed, download again"):
        install(libritts, data, ("dev-clean",))
    assert files(data) == set()


def test_a_disk_that_is_too_small_is_told_before_the_download(libritts: Corpus, served: Served, data: Path) -> None:
    huge = replace(libritts.parts["dev-clean"], size=2**60)
    with pytest.raises(InputError, match=r"needs 1152921504606846976 more bytes, but .* has \d+ free: make room"):
        install(replace(libritts, parts={"dev-clean": huge}), data, ("dev-clean",))
    assert served.requests == []


# What is there already.


def test_an_archive_put_there_by_hand_is_checked_and_never_overwritten(
    libritts: Corpus, served: Served, data: Path
) -> None:
    path = data / "libritts" / ".archives" / "dev-clean.tar.gz"
    path.parent.mkdir(parents=True)
    path.write_bytes(b"something else")
    with pytest.raises(InputError, match=r"has 14 bytes, not \d+: delete .*dev-clean\.tar\.gz and download again"):
        install(libritts, data, ("dev-clean",))
    assert path.read_bytes() == b"something else"
    path.write_bytes(served.files["/dev-clean.tar.gz"])
    assert len(install(libritts, data, ("dev-clean",))) == 2
    assert served.requests == []


def test_a_folder_that_is_there_is_taken_as_it_is(libritts: Corpus, served: Served, data: Path) -> None:
    utterance = data / "libritts" / "dev-clean" / "84" / "7" / "84_7_000001_000000.wav"
    utterance.parent.mkdir(parents=True)
    with pytest.raises(InputError, match=r"dev-clean holds no recordings of LibriTTS.*remove it and download again"):
        install(libritts, data, ("dev-clean",))
    utterance.write_bytes(sound("wav", 24_000))
    (source,) = install(libritts, data, ("dev-clean",))
    assert (source.path, source.split) == (utterance, "valid")
    assert served.requests == []


def test_what_a_killed_run_left_is_removed(libritts: Corpus, data: Path) -> None:
    half = data / "libritts" / ".dev-clean.tmp" / "84" / "half.wav"
    half.parent.mkdir(parents=True)
    half.write_bytes(b"half")
    install(libritts, data, ("dev-clean",))
    assert not any("half" in name for name in files(data))


# Archives that must not be unpacked.


UTTERANCE = "LibriTTS/dev-clean/84/7/84_7_000001_000000.wav"
HOSTILE = {
    "up": ({UTTERANCE: b"good", "../../evil.txt": b"evil"}, r"'\.\./\.\./evil\.txt' leads out of the folder"),
    "up from a chosen name": ({"LibriTTS/../../../dev-clean/84/7/x.wav": b"evil"}, "leads out of the folder"),
    "up below the part": ({"LibriTTS/dev-clean/../x/y.wav": b"evil"}, "leads out of the folder"),
    "up twice below the part": ({"a/b/dev-clean/../../y.wav": b"evil"}, "leads out of the folder"),
    "absolute": ({"/evil.txt": b"evil"}, r"'/evil\.txt' leads out of the folder"),
    "a link": ({UTTERANCE: None}, "is no regular file"),
    "nothing wanted": ({"LibriTTS/test-clean/84/7/x.wav": b"good"}, "holds no recordings of dev-clean"),
    "one name twice": ({f"a/{UTTERANCE}": b"good", f"b/{UTTERANCE}": b"evil"}, "cannot be unpacked.*exists"),
}


@pytest.mark.parametrize("case", HOSTILE)
def test_a_hostile_archive_writes_nothing(case: str, served: Served, data: Path) -> None:
    members, message = HOSTILE[case]
    corpus = published("libritts", served, {"dev-clean.tar.gz": tar_gz(members)})
    with pytest.raises(InputError, match=message) as caught:
        install(corpus, data, ("dev-clean",))
    assert "\n" not in str(caught.value)
    assert files(data.parent) == {"data/libritts/.archives/dev-clean.tar.gz"}
    assert not Path("/evil.txt").exists()


def test_a_hostile_zip_writes_nothing(served: Served, data: Path) -> None:
    members = {"train/Song/mixture.wav": b"good", "../../evil.wav": b"evil"}
    corpus = published("musdb18hq", served, {"musdb18hq.zip": zip_of(members)})
    with pytest.raises(InputError, match="leads out of the folder"):
        install(corpus, data, ("train",))
    assert files(data.parent) == {"data/musdb18hq/.archives/musdb18hq.zip"}


@pytest.mark.parametrize("name", ["libritts", "musdb18hq"])
def test_a_damaged_archive_writes_nothing(name: str, served: Served, data: Path) -> None:
    """Only whoever publishes can have cut it, since the checksum is right."""
    part = "dev-clean" if name == "libritts" else "train"
    file = find_corpus(name).parts[part].file_name
    whole = libritts_part("dev-clean", 84) if name == "libritts" else zip_of({"train/A/mixture.wav": b"good" * 99})
    corpus = published(name, served, {file: whole[: len(whole) // 2]})
    with pytest.raises(InputError, match=r"is damaged.*delete it and download again"):
        install(corpus, data, (part,))
    assert files(data) == {f"{name}/.archives/{file}"}
