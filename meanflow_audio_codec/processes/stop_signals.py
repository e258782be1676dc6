"""Interrupt, termination and hang-up: one exception for all, which is not lost and does not disturb clearing up."""

import atexit
import gc
import signal
import sys
import threading
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from types import CodeType, FrameType

STOP_SIGNALS = tuple(
    getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name)
)  # Windows has no SIGHUP
# How soon it is looked whether the exception arrived.
_AGAIN_SECONDS = 0.1
# A program that has not ended by then may be ended by a second signal, at the cost of what it was clearing up.
_PATIENCE_SECONDS = 5.0


class StoppedError(KeyboardInterrupt):
    """A signal told the program to stop; what it was writing is removed on the way out."""

    def __init__(self, number: int):
        super().__init__(f"stopped by signal {number}")
        self.number = number

    @property
    def exit_code(self) -> int:
        """128 and the signal's number, as shells have it: 130 after Ctrl-C, 143 after SIGTERM."""
        return 128 + self.number


def raise_stopped(number: int) -> None:
    """Raise what a signal would raise.

    Raises:
        StoppedError: always.
    """
    raise StoppedError(number)


@contextmanager
def stop_by_exception(numbers: Iterable[int] = STOP_SIGNALS) -> Iterator[None]:
    """Within the block each of these signals raises `StoppedError` in the main thread, unless the caller ignores it.

    An exception that a signal raises inside a callback of the garbage collector, of a C library, or inside `__del__` is
    dropped there. So it is not raised in those, and raised again wherever it was dropped all the same. In another
    thread than the main one nothing changes: only the main thread may set what signals do.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    with _Delivery(numbers):
        yield


def end_quietly() -> None:
    """To be called when all is done: an interrupt while the interpreter ends ends it, without a traceback."""
    if threading.current_thread() is threading.main_thread():
        atexit.unregister(_interrupt_as_the_system_does)
        atexit.register(_interrupt_as_the_system_does)


def _interrupt_as_the_system_does() -> None:
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        signal.signal(signal.SIGINT, signal.SIG_DFL)


class _Delivery:
    """Raises the exception until it has left the block."""

    def __init__(self, numbers: Iterable[int]):
        # nohup, or a shell that starts in the background, has some ignored; that stays so.
        self._numbers = [number for number in numbers if signal.getsignal(number) is not signal.SIG_IGN]
        self._number: int | None = None
        self._since = 0.0

    def __enter__(self) -> None:
        self._repeats = hasattr(signal, "setitimer")
        self._previous = {number: signal.signal(number, self._request) for number in self._numbers}
        if self._repeats:
            self._previous[signal.SIGALRM] = signal.signal(signal.SIGALRM, self._deliver)
        self._previous_hook, sys.unraisablehook = sys.unraisablehook, self._quiet_hook

    def __exit__(self, *_: object) -> None:
        if self._repeats:
            signal.setitimer(signal.ITIMER_REAL, 0.0)
        for number, handler in self._previous.items():
            signal.signal(number, handler)
        sys.unraisablehook = self._previous_hook

    def _request(self, number: int, frame: FrameType | None) -> None:
        if self._number is None:
            self._number, self._since = number, time.monotonic()
            self._deliver(number, frame)
        elif time.monotonic() - self._since > _PATIENCE_SECONDS:
            signal.signal(number, signal.SIG_DFL)
            signal.raise_signal(number)

    def _deliver(self, _: int, frame: FrameType | None) -> None:
        if self._number is None:
            return
        if self._repeats:
            signal.setitimer(signal.ITIMER_REAL, _AGAIN_SECONDS)
            if _is_on_its_way() or _is_in_callback(frame):
                return
        raise StoppedError(self._number)

    def _quiet_hook(self, unraisable: "sys.UnraisableHookArgs") -> None:
        if not isinstance(unraisable.exc_value, StoppedError):  # which is raised again, and no fault to be told of
            self._previous_hook(unraisable)


def _is_on_its_way() -> bool:
    """Whether the interrupted code is a `finally` or the end of a `with` that the exception is passing through.

    A generator that it leaves behind clears up under an exception of its own.
    """
    error, seen = sys.exception(), set()
    while error is not None and id(error) not in seen:
        if isinstance(error, StoppedError | GeneratorExit):
            return True
        seen.add(id(error))
        error = error.__context__
    return False


def _is_in_callback(frame: FrameType | None) -> bool:
    """Whether the interrupted code was called from where exceptions are dropped."""
    collector = {_code_of(callback) for callback in gc.callbacks}
    while frame is not None:
        code = frame.f_code
        # soundfile reads and writes Python's files by functions of these names, called from C.
        is_audio_callback = code.co_name.startswith("vio_") and frame.f_globals.get("__name__") == "soundfile"
        if code.co_name == "__del__" or code in collector or is_audio_callback:
            return True
        frame = frame.f_back
    return False


def _code_of(callback: object) -> CodeType | None:
    return getattr(callback, "__code__", None) or getattr(type(callback).__call__, "__code__", None)
