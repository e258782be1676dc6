"""Work on several processes: answers, failures, processes that end, and what becomes of them when this one does."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from functools import partial
from pathlib import Path

import pytest

from meanflow_audio_codec.processes.process_pool import ProcessEndedError, in_processes


def squares() -> Callable[[int], tuple[int, int]]:
    return square


def square(number: int) -> tuple[int, int]:
    if number < 0:
        raise ValueError(f"{number} is negative")
    if number == 99:
        os.kill(os.getpid(), signal.SIGKILL)
    return number * number, os.getpid()


def tidy_to(folder: str, item: int, process: int) -> None:
    Path(folder, f"tidied-{item}").write_text(str(process))


def test_every_item_has_its_answer() -> None:
    answers = list(in_processes(squares, iter(range(20)), 2))
    assert sorted(number for number, _, _ in answers) == list(range(20))
    assert all(number == item for number, item, _ in answers)
    results = [answer for _, _, answer in answers if not isinstance(answer, ProcessEndedError)]
    assert sorted(square for square, _ in results) == [number**2 for number in range(20)]
    assert len({process for _, process in results}) <= 2
    assert list(in_processes(squares, [], 2)) == []


def test_a_killed_process_costs_its_item_alone(tmp_path: Path) -> None:
    answers = {
        item: answer
        for _, item, answer in in_processes(squares, [1, 99, 2, 3, 4], 2, tidy_up=partial(tidy_to, str(tmp_path)))
    }
    ended = answers.pop(99)
    assert isinstance(ended, ProcessEndedError)
    assert "-9" in str(ended)
    assert {item: answer[0] for item, answer in answers.items() if not isinstance(answer, ProcessEndedError)} == {
        item: item**2 for item in (1, 2, 3, 4)
    }
    assert [path.name for path in tmp_path.iterdir()] == ["tidied-99"]


def test_an_error_of_the_work_is_raised_here() -> None:
    with pytest.raises(ValueError, match="-1 is negative"):
        list(in_processes(squares, [-1], 1))


def sleepers(folder: str) -> Callable[[int], None]:
    return partial(sleep_over, folder)


def sleep_over(folder: str, item: int) -> None:
    """Work with a file that is removed however it ends, but by SIGKILL."""
    path = Path(folder, f"working-{item}")
    try:
        path.write_text(str(os.getpid()))
        time.sleep(600)
    finally:
        path.unlink()


def compute_for_ever(folder: str) -> Callable[[int], None]:
    """Work that no signal gets at: SIGTERM is dropped."""
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    return partial(sleep_over, folder)


def is_running(process: int) -> bool:
    try:
        return Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0] not in "ZX"
    except OSError:
        return False


def wait_until(condition: Callable[[], bool], seconds: float = 60.0) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.02)


@pytest.fixture
def interrupts_not_ignored() -> Iterator[None]:
    """A shell sets them to be ignored for what runs in the background, and processes inherit that."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


def working(folder: Path) -> list[int]:
    return [int(path.read_text() or 0) for path in folder.glob("working-*") if path.exists()]


PARENT = """
import sys
from functools import partial
sys.path.insert(0, {tests!r})
from processes import test_process_pool as tests
from meanflow_audio_codec.processes.process_pool import in_processes
from meanflow_audio_codec.processes.stop_signals import StoppedError, stop_by_exception

if __name__ == "__main__":
    try:
        with stop_by_exception():
            start = partial(tests.{start}, {folder!r})
            for _ in in_processes(start, range(9), 2, tidy_up=partial(tests.tidy_to, {folder!r})):
                pass
    except StoppedError as error:
        sys.exit(error.exit_code)
"""


@pytest.mark.usefixtures("interrupts_not_ignored")
@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="looks for processes below /proc")
@pytest.mark.parametrize(
    ("number", "code", "start"),
    [
        (signal.SIGTERM, 143, "sleepers"),
        (signal.SIGINT, 130, "sleepers"),
        (signal.SIGKILL, -9, "sleepers"),
        (signal.SIGKILL, -9, "compute_for_ever"),
    ],
)
def test_processes_end_with_the_one_that_started_them(tmp_path: Path, number: int, code: int, start: str) -> None:
    """Within 5 s, without taking another item; a hard end passes what is left to the function for it."""
    folder, script = tmp_path / "work", tmp_path / "parent.py"
    folder.mkdir()
    script.write_text(PARENT.format(tests=str(Path(__file__).parents[1]), folder=str(folder), start=start))
    process = subprocess.Popen([sys.executable, str(script)], stderr=subprocess.PIPE)
    wait_until(lambda: len(working(folder)) == 2 and all(working(folder)))
    children = working(folder)
    process.send_signal(number)
    _, errors = process.communicate(timeout=30)
    assert (process.returncode, errors) == (code, b"")
    wait_until(lambda: not any(map(is_running, children)), 5.0)
    if start == "sleepers":
        assert working(folder) == []
        assert not list(folder.glob("working-*"))
    else:
        assert {path.name for path in folder.glob("tidied-*")} == {"tidied-0", "tidied-1"}


def test_leaving_early_ends_the_processes(tmp_path: Path) -> None:
    with closing(in_processes(partial(first_then_sleep, str(tmp_path)), range(4), 2)) as answers:
        assert next(answers)[1] == 0
    assert working(tmp_path) == []


def first_then_sleep(folder: str) -> Callable[[int], None]:
    return lambda item: None if item == 0 else sleep_over(folder, item)
