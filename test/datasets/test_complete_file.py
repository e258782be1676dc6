"""Files that appear complete or not at all: their names, modes, links, and who writes at the same time."""

import os
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from meanflow_audio_codec.datasets.complete_file import complete_file, remove_temporary_files


def write(path: Path, content: bytes = b"new") -> None:
    with complete_file(path) as file:
        file.write(content)


def test_until_it_is_whole_the_old_one_stays(tmp_path):
    path = tmp_path / "file"
    path.write_bytes(b"old")
    with complete_file(path) as file:
        file.write(b"new")
        file.flush()
        assert path.read_bytes() == b"old"
        assert len(list(tmp_path.iterdir())) == 2
    assert path.read_bytes() == b"new"
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("error", [OSError("full"), KeyboardInterrupt()])
def test_after_an_error_nothing_is_left(tmp_path, error):
    path = tmp_path / "file"
    path.write_bytes(b"old")

    def fail() -> None:
        with complete_file(path) as file:
            file.write(b"new")
            raise error

    with pytest.raises(type(error)):
        fail()
    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("name", ["a" * 255, "日" * 85, "caf\udce9"])
def test_any_legal_name_will_do(tmp_path, name):
    write(tmp_path / name)
    assert (tmp_path / name).read_bytes() == b"new"


@pytest.mark.parametrize("mode", [0o600, 0o640, 0o755, 0o444])
def test_the_mode_is_that_of_the_old_file(tmp_path, mode):
    path = tmp_path / "file"
    path.write_bytes(b"old")
    path.chmod(mode)
    with complete_file(path) as file:
        assert os.fstat(file.fileno()).st_mode & 0o077 == 0  # private until it is known to be otherwise
    assert path.stat().st_mode & 0o7777 == mode


def test_the_mode_of_a_new_file_is_the_usual_one(tmp_path):
    (tmp_path / "usual").write_bytes(b"")
    write(tmp_path / "new")
    assert (tmp_path / "new").stat().st_mode == (tmp_path / "usual").stat().st_mode


def test_a_link_stays_and_what_it_leads_to_is_written(tmp_path):
    (tmp_path / "folder").mkdir()
    target, link, second = tmp_path / "folder" / "target", tmp_path / "link", tmp_path / "second"
    link.symlink_to("folder/target")
    second.symlink_to("link")
    write(second, b"first")  # the target is yet to be made
    assert (target.read_bytes(), link.is_symlink(), second.is_symlink()) == (b"first", True, True)
    target.chmod(0o600)
    write(second, b"again")
    assert (target.read_bytes(), link.is_symlink(), second.is_symlink()) == (b"again", True, True)
    assert target.stat().st_mode & 0o7777 == 0o600
    assert sorted(tmp_path.rglob("*")) == sorted([tmp_path / "folder", target, link, second])


def test_links_in_a_circle_are_an_error(tmp_path):
    (tmp_path / "a").symlink_to("b")
    (tmp_path / "b").symlink_to("a")
    with pytest.raises(OSError, match="levels of symbolic links"):
        write(tmp_path / "a")
    assert len(list(tmp_path.iterdir())) == 2


def test_of_several_writers_the_last_wins_and_none_fails(tmp_path):
    path, failures = tmp_path / "file", []

    def work(letter: bytes) -> None:
        try:
            for _ in range(20):
                write(path, letter * 10_000)
        except BaseException as error:
            failures.append(error)

    threads = [threading.Thread(target=work, args=(letter,)) for letter in (b"a", b"b", b"c")]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []
    assert path.read_bytes() in {letter * 10_000 for letter in (b"a", b"b", b"c")}
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("kind", ["pipe", "device", "folder"])
def test_what_is_no_file_is_not_replaced(tmp_path, kind):
    path = tmp_path / "it"
    match kind:
        case "pipe":
            os.mkfifo(path)
        case "device":
            path.symlink_to("/dev/null")
        case "folder":
            path.mkdir()
    before = path.stat().st_ino
    with pytest.raises(OSError, match="it is no regular file"):
        write(path)
    assert path.stat().st_ino == before


def test_what_a_killed_process_left_is_removed_and_no_others(tmp_path: Path) -> None:
    """Where the file really lies, if its name is a link."""
    folder = tmp_path / "elsewhere"
    folder.mkdir()
    (tmp_path / "link.wav").symlink_to(folder / "file.wav")
    program = (
        "import os, signal\nfrom pathlib import Path\n"
        "from meanflow_audio_codec.datasets.complete_file import complete_file\n"
        f"with complete_file(Path({str(tmp_path / 'link.wav')!r})) as file:\n"
        "    print(os.getpid(), flush=True)\n    os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    ended = [subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False) for _ in "ab"]
    assert len(list(folder.iterdir())) == 2
    remove_temporary_files(tmp_path / "link.wav", int(ended[0].stdout))
    assert len(list(folder.iterdir())) == 1
    remove_temporary_files(tmp_path / "link.wav", int(ended[1].stdout))
    assert list(folder.iterdir()) == []
