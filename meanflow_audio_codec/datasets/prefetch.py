"""Batches made ahead of their use by one background thread."""

from __future__ import annotations

import queue
import threading
from collections.abc import Iterator
from types import TracebackType

from meanflow_audio_codec.datasets.base import Batch, Dataset


class Prefetch(Iterator[tuple[int, Batch]]):
    """Endless iterator over (step, batch) and context manager; leaving it, or `close`, ends its thread.

    An exception in the thread is raised again at the step it belongs to.
    """

    def __init__(self, dataset: Dataset, first_step: int, depth: int = 2):
        if depth < 1:
            raise ValueError(f"depth must be at least 1, not {depth}")
        self._dataset = dataset
        self._queue: queue.Queue[tuple[int, Batch] | BaseException] = queue.Queue(depth)
        self._stop = threading.Event()
        self._failure: BaseException | None = None
        self._thread = threading.Thread(target=self._produce, args=(first_step,), name="prefetch", daemon=True)
        self._thread.start()

    def _produce(self, step: int) -> None:
        while not self._stop.is_set():
            try:
                self._queue.put((step, self._dataset.batch(step)))
            except BaseException as error:  # handed to the consumer, which raises it
                self._queue.put(error)
                return
            step += 1

    def __next__(self) -> tuple[int, Batch]:
        """The next step and its batch, waiting for it if need be."""
        if self._failure is not None:
            raise self._failure
        if self._stop.is_set():
            raise StopIteration
        item = self._queue.get()
        if isinstance(item, BaseException):
            self._failure = item
            raise item
        return item

    def close(self) -> None:
        """End the thread; returns after at most the batch that is being made."""
        self._stop.set()
        # A thread that waits in put finds room once the queue is drained, and then sees the stop.
        while not self._queue.empty():
            self._queue.get_nowait()
        self._thread.join()

    def __enter__(self) -> Prefetch:
        """Itself."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """Close."""
        self.close()


def prefetch(dataset: Dataset, first_step: int, depth: int = 2) -> Prefetch:
    """Training batches from `first_step` on, up to `depth` of them made ahead; to be used in a `with` statement."""
    return Prefetch(dataset, first_step, depth)
