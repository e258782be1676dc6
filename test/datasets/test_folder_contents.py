"""Files below a folder and behind links: each once, none in silence, no loop."""

import os
from pathlib import Path

import pytest

from meanflow_audio_codec.datasets.folder_contents import folder_contents


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name in ("in/b.wav", "in/deep/a.WAV", "in/deep/notes.txt", "in/.hidden/h.wav", "in/._b.wav", "other/x/o.wav"):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    return tmp_path / "in"


def names(folder: Path) -> list[str]:
    return [path.relative_to(folder).as_posix() for path in folder_contents(folder, (".wav",)).files]


def test_links_to_folders_are_followed_below_their_own_name(folder: Path) -> None:
    assert names(folder) == ["b.wav", "deep/a.WAV"]
    (folder / "sub").symlink_to("../other")
    assert names(folder) == ["b.wav", "deep/a.WAV", "sub/x/o.wav"]
    linked = folder.parent / "linked"
    linked.symlink_to(folder)
    assert names(linked) == ["b.wav", "deep/a.WAV", "sub/x/o.wav"]


def test_loops_and_second_ways_are_left_out_and_told(folder: Path) -> None:
    (folder / "again").symlink_to("deep")
    (folder / "deep" / "self").symlink_to(".")
    (folder / "deep" / "up").symlink_to("../..")
    (folder / "one").symlink_to("../other")
    (folder / "two").symlink_to("../other/x")
    (folder.parent / "other" / "back").symlink_to("../in")
    contents = folder_contents(folder, (".wav",))
    assert [path.relative_to(folder).as_posix() for path in contents.files] == ["b.wav", "deep/a.WAV", "one/x/o.wav"]
    assert {path.name for path, _ in contents.left_out} == {"again", "self", "up", "two", "back"}
    assert contents.unreadable == []
    assert all("left out, a link to" in remark for remark in contents.remarks)


def test_many_links_crosswise_are_no_explosion(tmp_path: Path) -> None:
    for number in range(30):
        (tmp_path / "in" / str(number)).mkdir(parents=True)
        (tmp_path / "in" / str(number) / "a.wav").touch()
        for other in range(30):
            (tmp_path / "in" / str(number) / f"to-{other}").symlink_to(f"../{other}")
    assert len(names(tmp_path / "in")) == 30


def test_what_is_no_file_is_told(folder: Path) -> None:
    (folder / "gone.wav").symlink_to("nowhere.wav")
    os.mkfifo(folder / "pipe.wav")
    (folder / "gone.txt").symlink_to("nowhere.txt")  # of no interest
    contents = folder_contents(folder, (".wav",))
    assert {(path.name, reason) for path, reason in contents.unreadable} == {
        ("gone.wav", "a link to nothing"),
        ("pipe.wav", "no regular file"),
    }
