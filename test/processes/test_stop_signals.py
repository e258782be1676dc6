"""Signals that stop the program: where they arrive, what clears up, and that none is lost."""

import gc
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator

import pytest

from meanflow_audio_codec.processes.stop_signals import StoppedError, stop_by_exception


@pytest.fixture(autouse=True)
def no_other_handlers() -> Iterator[None]:
    """What pytest and this process have set is back afterwards."""
    numbers = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGALRM)
    before = {number: signal.signal(number, signal.SIG_DFL) for number in numbers}
    yield
    assert [signal.getsignal(number) for number in numbers] == [signal.SIG_DFL] * len(numbers)
    assert signal.getitimer(signal.ITIMER_REAL) == (0.0, 0.0)
    for number, handler in before.items():
        signal.signal(number, handler)


def work(seconds: float = 20.0) -> None:
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        time.sleep(0.001)


@pytest.mark.parametrize(
    ("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143), (signal.SIGHUP, 129)], ids=["int", "term", "hup"]
)
def test_each_signal_is_an_exception_with_its_exit_code(number: int, code: int) -> None:
    with pytest.raises(StoppedError) as raised, stop_by_exception():
        os.kill(os.getpid(), number)
        work()
    assert raised.value.exit_code == code
    assert isinstance(raised.value, KeyboardInterrupt)  # so that `except Exception` lets it pass


def test_a_signal_in_a_callback_of_the_garbage_collector_is_not_lost(capsys: pytest.CaptureFixture[str]) -> None:
    def callback(phase: str, info: dict) -> None:
        if phase == "start":
            os.kill(os.getpid(), signal.SIGTERM)
            time.sleep(0.01)
            finished.append(phase)

    finished: list[str] = []
    gc.callbacks.append(callback)
    try:
        with pytest.raises(StoppedError), stop_by_exception():
            gc.collect()
            gc.callbacks.remove(callback)
            work()
    finally:
        if callback in gc.callbacks:
            gc.callbacks.remove(callback)
    assert finished == ["start"]
    assert capsys.readouterr().err == ""


class Dropping:
    """Something that drops what is raised in it, as callbacks from C do."""

    def __init__(self) -> None:
        self.dropped = 0

    def __call__(self) -> None:
        try:
            os.kill(os.getpid(), signal.SIGTERM)
            work(0.05)
        except StoppedError:
            self.dropped += 1


def test_what_was_dropped_is_raised_again() -> None:
    callback = Dropping()
    with pytest.raises(StoppedError), stop_by_exception():
        callback()
        work()
    assert callback.dropped == 1


def test_a_finalizer_runs_to_its_end(capsys: pytest.CaptureFixture[str]) -> None:
    ends: list[str] = []

    class Finalized:
        def __del__(self) -> None:
            os.kill(os.getpid(), signal.SIGTERM)
            work(0.3)
            ends.append("end")

    with pytest.raises(StoppedError), stop_by_exception():
        Finalized()
        work()
    assert ends == ["end"]
    assert capsys.readouterr().err == ""


def slow_generator(ends: list[str]) -> Iterator[int]:
    try:
        yield from range(1000)
    finally:
        work(0.3)
        ends.append("generator")


def test_clearing_up_is_not_disturbed() -> None:
    """Neither by looking whether the exception arrived nor by further signals; a generator left behind counts too."""
    ends: list[str] = []
    with pytest.raises(StoppedError) as raised, stop_by_exception():
        try:
            for number in slow_generator(ends):
                if number == 3:
                    os.kill(os.getpid(), signal.SIGTERM)
                work(0.01)
        finally:
            os.kill(os.getpid(), signal.SIGINT)
            work(0.5)
            ends.append("block")
    assert raised.value.number == signal.SIGTERM
    assert set(ends) == {"generator", "block"}


def test_an_ignored_signal_stays_ignored() -> None:
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    with stop_by_exception():
        os.kill(os.getpid(), signal.SIGHUP)
        work(0.02)
    assert signal.signal(signal.SIGHUP, signal.SIG_DFL) is signal.SIG_IGN


AUDIO_CALLBACK = """
import io, os, signal, sys, time
import numpy, soundfile
from meanflow_audio_codec.processes.stop_signals import StoppedError, stop_by_exception

class Slow(io.BytesIO):
    def write(self, data):
        os.kill(os.getpid(), signal.SIGTERM)
        time.sleep(0.02)
        return super().write(data)

try:
    with stop_by_exception():
        with soundfile.SoundFile(Slow(), "w", 16000, 1, format="WAV") as file:
            for _ in range(10_000):
                file.write(numpy.zeros(1000))
                time.sleep(0.001)
except StoppedError as error:
    sys.exit(error.exit_code)
"""


def test_a_signal_in_a_callback_of_the_audio_library_is_not_lost() -> None:
    process = subprocess.run([sys.executable, "-c", AUDIO_CALLBACK], capture_output=True, text=True, timeout=60)
    assert (process.returncode, process.stderr) == (143, "")
