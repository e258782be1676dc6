import numpy as np
import pytest

from meanflow_audio_codec.evaluators.sets import kernel_distance as module
from meanflow_audio_codec.evaluators.sets.kernel_distance import kernel_distance, squared_mean_discrepancy


def gaussian(seed: int, num: int, size: int = 8, shift: float = 0.0) -> np.ndarray:
    return (np.random.default_rng(seed).standard_normal((num, size)) + shift).astype(np.float32)


def test_equals_the_sum_over_all_pairs():
    a, b = gaussian(0, 7, 3), gaussian(1, 9, 3, 0.5)

    def kernel(x, y):
        return (float(np.dot(x.astype(float), y)) / 3 + 1) ** 3

    within_a = sum(kernel(a[i], a[j]) for i in range(7) for j in range(7) if i != j) / (7 * 6)
    within_b = sum(kernel(b[i], b[j]) for i in range(9) for j in range(9) if i != j) / (9 * 8)
    between = sum(kernel(x, y) for x in a for y in b) / (7 * 9)
    assert squared_mean_discrepancy(a, b) == pytest.approx(within_a + within_b - 2 * between, rel=1e-6)


def test_unbiased_where_both_sets_come_from_one_distribution():
    values = np.array([squared_mean_discrepancy(gaussian(2 * i, 20), gaussian(2 * i + 1, 20)) for i in range(400)])
    assert (values < 0).mean() == pytest.approx(0.5, abs=0.15)
    assert abs(values.mean()) < 3 * values.std() / np.sqrt(len(values))


def test_a_shift_in_one_dimension_has_a_closed_form():
    # The kernel (x y + 1)^3 compares the first three moments, with weights 3, 3 and 1; the sets N(0, 1) and N(s, 1).
    s = 0.7
    expected = 3 * s**2 + 3 * s**4 + (s**3 + 3 * s) ** 2
    a, b = gaussian(0, 4_000, 1), gaussian(1, 4_000, 1, s)
    assert squared_mean_discrepancy(a, b) == pytest.approx(expected, rel=0.1)


def test_blocks_of_rows_do_not_change_the_sum(monkeypatch):
    a, b = gaussian(0, 30), gaussian(1, 25)
    whole = squared_mean_discrepancy(a, b)
    monkeypatch.setattr(module, "ROWS_PER_BLOCK", 7)
    assert squared_mean_discrepancy(a, b) == pytest.approx(whole, rel=1e-10)


def test_larger_shifts_are_farther_and_the_interval_shows_it():
    real = gaussian(0, 500)
    same, near, far = (kernel_distance(gaussian(1, 500, shift=shift), real, seed=0) for shift in (0.0, 0.3, 1.0))
    assert same.mean < 0.1 * near.mean
    assert 0 < near.low < near.mean < near.high < far.low


def test_interval_covers_zero_as_often_as_it_says():
    covered = 0
    for i in range(200):
        _, low, high = kernel_distance(gaussian(2 * i, 60, 4), gaussian(2 * i + 1, 80, 4), num_blocks=5, seed=i)
        covered += low <= 0 <= high
    assert covered / 200 > 0.9


def test_arguments_are_checked():
    with pytest.raises(ValueError, match="two vectors"):
        squared_mean_discrepancy(np.ones((1, 3)), np.ones((5, 3)))
    with pytest.raises(ValueError, match="blocks"):
        kernel_distance(np.ones((19, 3)), np.ones((50, 3)), seed=0)
    with pytest.raises(ValueError, match="finite"):
        squared_mean_discrepancy(np.full((5, 3), np.nan), np.ones((5, 3)))
