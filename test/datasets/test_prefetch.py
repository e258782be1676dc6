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


def test_no_more_than_depth_batches_are_made_ahead() -> None:
    made = []

    class Counting(GaussianDataset):
        def batch(self, step: int) -> Batch:
            made.append(step)
            return super().batch(step)

    with prefetch(Counting(scale=1.0, shape=(1,), batch_size=1), 0, depth=2) as batches:
        next(batches)
        time.sleep(0.1)
        # One taken, two waiting, one in the hands of the thread.
        assert len(made) == 4


def test_closing_ends_a_waiting_thread_and_the_iteration() -> None:
    batches = prefetch(GaussianDataset(scale=1.0, shape=(3,), batch_size=2), 0)
    next(batches)
    time.sleep(0.05)
    start = time.perf_counter()
    batches.close()
    assert time.perf_counter() - start < 1.0
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
