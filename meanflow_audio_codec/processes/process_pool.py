"""Items worked on by several processes, which end with this one and of which none takes the others with it."""

import os
import signal
import time
from collections.abc import Callable, Generator, Iterable, Iterator
from contextlib import contextmanager, suppress
from multiprocessing import get_context, resource_tracker
from multiprocessing.connection import Connection, wait
from typing import Generic, TypeVar

from meanflow_audio_codec.processes.parent_watch import GRACE_SECONDS, end_with_parent
from meanflow_audio_codec.processes.stop_signals import STOP_SIGNALS, StoppedError, stop_by_exception

Item = TypeVar("Item")
Answer = TypeVar("Answer")
Work = Callable[[Item], Answer]
# Told of the item and of the process that ended while it worked on it.
TidyUp = Callable[[Item, int], None]


class ProcessEndedError(RuntimeError):
    """A process ended before it had an answer: it was killed, or crashed."""


def nothing_to_tidy(item: object, process: int) -> None:
    """For work that leaves no files."""


def in_processes(
    start: "Callable[[], Work[Item, Answer]]",
    items: Iterable[Item],
    jobs: int,
    *,
    tidy_up: "TidyUp[Item]" = nothing_to_tidy,
) -> "Generator[tuple[int, Item, Answer | ProcessEndedError], None, None]":
    """Number, item and answer, in the order in which the answers come, from `jobs` processes.

    `start` is called once in each process and gives what works there; both must be importable from a module. An item is
    asked for when a process is free. The processes end when the iteration does, when a signal stops this process, and
    within some seconds when this process is killed; what each leaves unfinished goes to `tidy_up`.

    Raises:
        Exception: what the work raised for an item, which ends the iteration.
    """
    waiting = enumerate(items)
    workers: list[_Worker[Item, Answer]] = []
    is_more = True
    try:
        while True:
            while is_more and len([worker for worker in workers if worker.is_busy]) < jobs:
                number, item = next(waiting, (-1, None))
                if number < 0 or item is None:
                    is_more = False
                    break
                free = next((worker for worker in workers if not worker.is_busy), None)
                if free is None:
                    free = _Worker(start, tidy_up)
                    workers.append(free)
                free.give(number, item)
            busy = {worker.connection: worker for worker in workers if worker.is_busy}
            if not busy:
                return
            for connection in wait(list(busy)):
                worker = busy[connection]  # type: ignore[index]  # wait gives back what it was given
                number, item, answer = worker.take()
                if isinstance(answer, ProcessEndedError):
                    workers.remove(worker)
                yield number, item, answer
    finally:
        _end(workers)


class _Worker(Generic[Item, Answer]):
    """One process and what it is working on."""

    def __init__(self, start: "Callable[[], Work[Item, Answer]]", tidy_up: "TidyUp[Item]"):
        # Spawned, not forked: JAX has threads, which a fork would lose.
        context = get_context("spawn")
        self.connection, far_end = context.Pipe()
        self._tidy_up = tidy_up
        self._item: tuple[int, Item] | None = None
        self.process = context.Process(target=_work, args=(far_end, start, tidy_up, os.getpid()), daemon=True)
        with _held_signals():
            self.process.start()
        far_end.close()

    @property
    def is_busy(self) -> bool:
        return self._item is not None

    def give(self, number: int, item: Item) -> None:
        self._item = (number, item)
        with suppress(OSError):  # of a process that has ended; then there is an end of file to take
            self.connection.send(item)

    def take(self) -> "tuple[int, Item, Answer | ProcessEndedError]":
        assert self._item is not None
        number, item = self._item
        try:
            answer, error = self.connection.recv()
        except (EOFError, OSError):
            self.process.join()
            self.tidy_up()
            return number, item, ProcessEndedError(f"the process ended with code {self.process.exitcode}")
        self._item = None
        if error is not None:
            raise error
        return number, item, answer

    def tidy_up(self) -> None:
        """What a process left unfinished that is not there any more."""
        if self._item is not None and self.process.pid is not None:
            self._tidy_up(self._item[1], self.process.pid)
        self._item = None


def _end(workers: "list[_Worker]") -> None:
    """End all at once: idle ones by the closed connection, the others by a signal, and by force if they do not."""
    for worker in workers:
        worker.connection.close()
        if worker.is_busy:
            worker.process.terminate()
    deadline = time.monotonic() + GRACE_SECONDS
    for worker in workers:
        worker.process.join(max(0.0, deadline - time.monotonic()))
        if worker.process.is_alive():
            worker.process.kill()
            worker.process.join()
        worker.tidy_up()


@contextmanager
def _held_signals() -> Iterator[None]:
    """Signals wait until the block has ended; a process started in it has them wait until it is ready for them."""
    resource_tracker.ensure_running()  # which would let the signals through when it starts
    previous = signal.pthread_sigmask(signal.SIG_BLOCK, STOP_SIGNALS)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, previous)


def _work(
    connection: Connection, start: "Callable[[], Work[Item, Answer]]", tidy_up: "TidyUp[Item]", parent: int
) -> None:
    """What a process of the pool does until the connection ends or it is told to stop."""
    current: list[Item] = []
    # These reach all processes of a terminal at once; the parent, which they reach too, ends the others.
    for number in set(STOP_SIGNALS) - {signal.SIGTERM}:
        signal.signal(number, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)

    def last_resort() -> None:
        for item in current:
            tidy_up(item, os.getpid())

    end_with_parent(parent, last_resort)
    try:
        with stop_by_exception((signal.SIGTERM,)):
            signal.pthread_sigmask(signal.SIG_UNBLOCK, STOP_SIGNALS)
            work = start()
            while True:
                current[:] = [connection.recv()]
                try:
                    answer = (work(current[0]), None)
                except Exception as error:  # to be raised in the process that asked
                    answer = (None, error)
                connection.send(answer)
                current.clear()
    except EOFError:
        return
    except (StoppedError, OSError):
        # At once: leaving the interpreter in good order takes seconds with JAX loaded, and nothing is left to do.
        os._exit(128 + signal.SIGTERM)
