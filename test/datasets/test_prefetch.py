"""Prefetching: the same batches in the same order, errors at their step, and no thread left behind."""

import threading
import time

import numpy as np
import pytest

from meanflow_audio_codec.datasets.base import Batch
from meanflow_audio_codec.datasets.prefetch import prefetch
from meanflow_audio_codec.datasets.synthetic import GaussianDataset


class FailingDataset(GaussianDataset):
    """Fails at one step."""

    def batch(self, step: int) -> Batch:
        if step == 12:
            raise OSError("disk on fire")
        return super().batch(step)


def prefetch_threads() -> int:
    return sum(thread.name == "prefetch" for thread in threading.enumerate())


@pytest.mark.parametrize("depth", [1, 3])
def test_gives_the_batches_of_the_dataset_from_the_first_step_on(depth: int) -> None:
    data = GaussianDataset(scale=1.0, shape=(3,), batch_size=2)
    with prefetch(data, 7, depth) as batches:
        for expected_step, (step, batch) in zip(range(7, 20), batches, strict=False):
            assert step == expected_step
            np.testing.assert_array_equal(batch.signal, data.batch(step).signal)
    assert prefetch_threads() == 0


def test_an_error_comes_at_its_step_and_stays() -> None:
    with prefetch(FailingDataset(scale=1.0, shape=(3,), batch_size=2), 10) as batches:
        assert [next(batches)[0], next(batches)[0]] == [10, 11]
        for _ in range(2):
            with pytest.raises(OSError, match="disk on fire"):
                next(batches)
    assert prefetch_threads() == 0


class Counting(GaussianDataset):
    """Notes which batches were made."""

    def __init__(self) -> None:
        super().__init__(scale=1.0, shape=(1,), batch_size=1)
        self.made: list[int] = []

    def batch(self, step: int) -> Batch:
        self.made.append(step)
        return super().batch(step)

    def wait_for(self, count: int) -> None:
        while len(self.made) < count:
            time.sleep(0.001)


def test_no_more_than_depth_batches_are_made_ahead() -> None:
    data = Counting()
    with prefetch(data, 0, depth=2) as batches:
        next(batches)
        # One taken, two waiting, one in the hands of the thread; no other follows.
        data.wait_for(4)
        time.sleep(0.05)
        assert data.made == [0, 1, 2, 3]


def test_closing_ends_a_waiting_thread_and_the_iteration() -> None:
    data = Counting()
    batches = prefetch(data, 0, depth=2)
    next(batches)
    data.wait_for(4)
    batches.close()
    # The thread waited to hand over the last one: no other was made.
    assert data.made == [0, 1, 2, 3]
    assert prefetch_threads() == 0
    assert list(batches) == []
    batches.close()


def test_an_exception_in_the_body_closes_too() -> None:
    with (
        pytest.raises(KeyError),
        prefetch(GaussianDataset(scale=1.0, shape=(3,), batch_size=2), 0),
    ):
        raise KeyError("stop")
    assert prefetch_threads() == 0


def test_depth_must_be_positive() -> None:
    with pytest.raises(ValueError, match="depth"):
        prefetch(GaussianDataset(scale=1.0, shape=(3,), batch_size=2), 0, depth=0)
