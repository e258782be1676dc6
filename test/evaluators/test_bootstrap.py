import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from meanflow_audio_codec.evaluators.sets.frechet import frechet_distance
from meanflow_audio_codec.evaluators.statistics.bootstrap import (
    bootstrap_interval,
    bootstrap_set_metric,
    paired_difference,
)
from meanflow_audio_codec.tools.benchmarks.coding.code_usage import bits_per_second, code_usage


def test_interval_covers_the_true_mean_as_often_as_it_says():
    generator = np.random.default_rng(0)
    covered = 0
    for i in range(400):
        _, low, high = bootstrap_interval(generator.normal(3.0, 2.0, 60), num_resamples=400, seed=i)
        covered += low <= 3.0 <= high
    # Binomial standard deviation 1.1 %; the percentile interval is a little narrow at 60 values.
    assert 0.91 <= covered / 400 <= 0.98


@pytest.mark.parametrize(("confidence", "quantile"), [(0.95, 1.95996), (0.68, 0.99446)])
def test_interval_of_many_values_is_the_normal_one(confidence, quantile):
    values = np.random.default_rng(0).exponential(size=2_000)
    mean, low, high = bootstrap_interval(values, confidence=confidence, num_resamples=4_000, seed=0)
    expected = quantile * values.std() / np.sqrt(len(values))
    assert mean == pytest.approx(values.mean())
    assert high - mean == pytest.approx(expected, rel=0.08)
    assert mean - low == pytest.approx(expected, rel=0.08)


@settings(max_examples=20, deadline=None)
@given(gain=st.floats(0.1, 10), offset=st.floats(-10, 10))
def test_interval_moves_and_scales_with_the_values(gain, offset):
    values = np.random.default_rng(0).standard_normal(30)
    once = bootstrap_interval(values, num_resamples=200, seed=1)
    moved = bootstrap_interval(gain * values + offset, num_resamples=200, seed=1)
    np.testing.assert_allclose(moved, gain * np.array(once) + offset, atol=1e-9)


def test_same_seed_same_interval():
    values = np.random.default_rng(0).standard_normal(30)
    assert bootstrap_interval(values, seed=1) == bootstrap_interval(values, seed=1)
    assert bootstrap_interval(values, seed=1) != bootstrap_interval(values, seed=2)


def test_one_value_has_no_interval():
    mean, low, high = bootstrap_interval(np.array([2.5]), seed=0)
    assert mean == 2.5
    assert np.isnan([low, high]).all()


def test_pairing_takes_out_the_difficulty_of_the_clips():
    generator = np.random.default_rng(0)
    difficulty = 5.0 * generator.standard_normal(40)
    first, second = difficulty + 0.3 + 0.1 * generator.standard_normal(40), difficulty
    mean, low, high = paired_difference(first, second, num_resamples=1_000, seed=0)
    assert low < 0.3 < high
    assert high - low < 0.1
    assert mean == pytest.approx(np.mean(first) - np.mean(second))


@pytest.mark.parametrize("values", [[], [1.0, np.nan], [np.inf]])
def test_values_must_be_finite_and_there(values):
    with pytest.raises(ValueError, match="finite"):
        bootstrap_interval(np.array(values, float), seed=0)


def test_other_arguments_are_checked():
    with pytest.raises(ValueError, match="confidence"):
        bootstrap_interval(np.ones(3), confidence=95.0, seed=0)
    with pytest.raises(ValueError, match="equally many"):
        paired_difference(np.ones(3), np.ones(2), seed=0)


def mean_square(items: np.ndarray, reference: np.ndarray) -> float:
    return float(np.mean((items - reference.mean()) ** 2))


def test_interval_of_a_set_metric_agrees_with_the_normal_one():
    items = np.random.default_rng(0).standard_normal(2_000)
    mean, low, high = bootstrap_set_metric(mean_square, items, np.zeros(3), num_resamples=400, seed=0)
    # The variance of a squared standard normal value is 2; Student's quantile of 399 is 1.966.
    assert mean == pytest.approx(np.mean(items**2))
    assert high - mean == pytest.approx(1.966 * np.sqrt(2 / 2_000), rel=0.1)
    assert mean - low == pytest.approx(high - mean)


def test_interval_of_the_frechet_distance_is_as_wide_as_it_varies_and_holds_it():
    generator = np.random.default_rng(0)
    reference = generator.standard_normal((1_000, 4))
    draws = [generator.standard_normal((200, 4)) + 0.4 for _ in range(60)]
    spread = np.std([frechet_distance(draw, reference) for draw in draws], ddof=1)
    intervals = [bootstrap_set_metric(frechet_distance, draw, reference, seed=i) for i, draw in enumerate(draws[:10])]
    assert all(interval.low < interval.mean < interval.high for interval in intervals)
    half_width = np.mean([interval.high - interval.mean for interval in intervals])
    assert half_width == pytest.approx(2.01 * spread, rel=0.3)


def test_a_set_metric_must_be_finite_and_have_items():
    with pytest.raises(ValueError, match="finite"):
        bootstrap_set_metric(lambda items, reference: np.inf, np.ones((5, 2)), np.ones((5, 2)), seed=0)
    with pytest.raises(ValueError, match="two items"):
        bootstrap_set_metric(mean_square, np.ones(1), np.ones(5), seed=0)


def test_code_usage_of_known_frequencies():
    # One code uniform over its 4 values, one with probabilities 1/2, 1/4, 1/4 of 5, one constant.
    codes = np.array([[0, 0, 2], [1, 0, 2], [2, 1, 2], [3, 4, 2]])
    usage = code_usage(codes, (4, 5, 3))
    np.testing.assert_allclose(usage.used_share, [1.0, 3 / 5, 1 / 3])
    np.testing.assert_allclose(usage.entropy_bits, [2.0, 1.5, 0.0])
    np.testing.assert_allclose(usage.perplexity, [4.0, 2**1.5, 1.0])


@settings(max_examples=30, deadline=None)
@given(st.lists(st.integers(0, 6), min_size=1, max_size=50))
def test_entropy_is_at_most_that_of_the_values_used(codes):
    usage = code_usage(np.array(codes)[:, None], (7,))
    used = len(set(codes))
    assert usage.used_share[0] == pytest.approx(used / 7)
    assert -1e-9 <= usage.entropy_bits[0] <= np.log2(used) + 1e-9


@pytest.mark.parametrize(("codes", "levels"), [([[5]], (5,)), ([[-1]], (5,)), ([[0, 0]], (5,))])
def test_codes_must_fit_their_alphabets(codes, levels):
    with pytest.raises(ValueError, match="alphabet"):
        code_usage(np.array(codes), levels)


def test_rate_of_real_bytes():
    assert bits_per_second(750, 2.0) == 3_000.0
    with pytest.raises(ValueError, match="duration"):
        bits_per_second(750, 0.0)
