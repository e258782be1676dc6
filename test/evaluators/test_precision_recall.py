import tracemalloc

import numpy as np
import pytest

from meanflow_audio_codec.evaluators.sets import precision_recall as module
from meanflow_audio_codec.evaluators.sets.precision_recall import precision_and_recall


def gaussian(seed: int, num: int = 400, size: int = 4) -> np.ndarray:
    return np.random.default_rng(seed).standard_normal((num, size)).astype(np.float32)


def test_equal_sets_have_both_exactly_one():
    assert precision_and_recall(gaussian(0), gaussian(0)) == (1.0, 1.0)


def test_sets_of_one_distribution_have_both_high_and_change_places():
    real, generated = gaussian(0), gaussian(1)
    precision, recall = precision_and_recall(real, generated)
    assert min(precision, recall) > 0.75
    assert precision_and_recall(generated, real) == (recall, precision)


def test_collapse_onto_one_mode_keeps_precision_and_loses_recall():
    real = np.concatenate([gaussian(0, 200), gaussian(1, 200) + 20])
    generated = gaussian(2)
    precision, recall = precision_and_recall(real, generated)
    assert precision > 0.75
    assert 0.35 < recall <= 0.5


def test_stray_samples_lose_precision_and_keep_recall():
    generated = np.concatenate([gaussian(1, 400), gaussian(2, 400) + 20])
    precision, recall = precision_and_recall(gaussian(0), generated)
    assert 0.35 < precision <= 0.5
    assert recall > 0.75


def test_disjoint_sets_have_neither():
    assert precision_and_recall(gaussian(0), gaussian(1) + 1000) == (0.0, 0.0)


@pytest.mark.parametrize(("neighbours", "expected"), [(1, (0.25, 0.25)), (2, (0.5, 0.5)), (3, (0.75, 1.0))])
def test_points_on_a_line(neighbours, expected):
    # Radii of the real points for k = 1, 2, 3: 1 1 1 1; 2 1 1 2; 3 2 2 3. Those of the generated: 1 1 1 14; 2 1 2 15;
    # 16 15 14 16. A ball holds the points on its surface.
    real = np.array([[0.0], [1.0], [2.0], [3.0]])
    generated = np.array([[4.0], [5.0], [6.0], [20.0]])
    assert precision_and_recall(real, generated, neighbours=neighbours) == expected


def test_repeated_vectors_match_their_exact_copies_only():
    # Silent clips, say: equal vectors far from the origin, whose balls have radius zero.
    real = np.full((10, 6), 1e3 / 3)
    assert precision_and_recall(real, real.copy()) == (1.0, 1.0)
    assert precision_and_recall(real, real + 0.1) == (0.0, 0.0)


def test_blocks_do_not_change_the_result(monkeypatch):
    real, generated = gaussian(0, 50), gaussian(1, 70)
    whole = precision_and_recall(real, generated)
    monkeypatch.setattr(module, "ROWS_PER_BLOCK", 8)
    assert precision_and_recall(real, generated) == whole


def test_arguments_are_checked():
    with pytest.raises(ValueError, match="too small"):
        precision_and_recall(np.ones((3, 2)), np.ones((5, 2)))
    with pytest.raises(ValueError, match="neighbour number 0"):
        precision_and_recall(np.ones((3, 2)), np.ones((5, 2)), neighbours=0)
    with pytest.raises(ValueError, match="finite"):
        precision_and_recall(gaussian(0), np.full((5, 4), np.inf))


def test_memory_is_bounded_by_the_block(monkeypatch):
    monkeypatch.setattr(module, "ROWS_PER_BLOCK", 50)
    real, generated = gaussian(0, 2_000), gaussian(1, 2_000)
    tracemalloc.start()
    precision_and_recall(real, generated)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    # All distances at once are 32 MB, those of a block 0.8 MB.
    assert peak < 8e6
