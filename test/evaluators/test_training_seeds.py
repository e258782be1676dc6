import numpy as np
import pytest
from jaxtyping import TypeCheckError

from meanflow_audio_codec.evaluators.statistics.training_seeds import (
    effect,
    pooled_effect,
    seed_interval,
    seed_spread,
    stability,
)


def scores(seed: int, num_seeds: int, num_items: int, *, mean: float, seed_spread: float, item_spread: float = 0.5):
    """One method's scores, and how hard the items are, which all methods of one `seed` share."""
    difficulty = 3.0 * np.random.default_rng(seed).standard_normal(num_items)
    generator = np.random.default_rng([seed, int(1000 * mean)])
    seeds = seed_spread * generator.standard_normal((num_seeds, 1))
    return mean + difficulty + seeds + item_spread * generator.standard_normal((num_seeds, num_items))


@pytest.mark.parametrize(("num_seeds", "spread"), [(3, 1.0), (3, 0.05), (5, 0.2), (1, 0.0)])
def test_effect_covers_the_truth_about_as_often_as_it_says(num_seeds, spread):
    covered = 0
    for i in range(150):
        a = scores(i, num_seeds, 40, mean=1.3, seed_spread=spread)
        b = scores(i, num_seeds, 40, mean=1.0, seed_spread=spread)
        result = effect(a, b, num_resamples=300, seed=i)
        covered += result.low <= 0.3 <= result.high
    # Binomial standard deviation 1.8 %; resampling three seeds without widening covers about 80 %.
    assert covered / 150 >= 0.9


def test_pairing_takes_out_the_difficulty_of_the_items():
    a = scores(0, 3, 100, mean=1.3, seed_spread=0.01, item_spread=0.1)
    b = scores(0, 3, 100, mean=1.0, seed_spread=0.01, item_spread=0.1)
    paired, alone = effect(a, b, seed=0), seed_interval(a, seed=0)
    assert paired.mean == pytest.approx(a.mean() - b.mean())
    assert paired.high - paired.low < 0.2 * (alone.high - alone.low)


def test_the_same_items_out_of_order_are_no_pairs():
    a = scores(0, 3, 100, mean=1.3, seed_spread=0.01, item_spread=0.1)
    b = scores(0, 3, 100, mean=1.0, seed_spread=0.01, item_spread=0.1)
    in_order, shuffled = effect(a, b, seed=0), effect(a, b[:, ::-1], seed=0)
    assert shuffled.mean == pytest.approx(in_order.mean)
    assert shuffled.high - shuffled.low > 3 * (in_order.high - in_order.low)


def test_two_settings_of_the_same_networks_share_their_seeds():
    a = scores(0, 3, 50, mean=1.3, seed_spread=1.0, item_spread=0.1)
    b = a - 0.2 + 0.01 * np.random.default_rng(0).standard_normal(a.shape)
    same, apart = effect(a, b, same_runs=True, seed=0), effect(a, b, seed=0)
    assert same.mean == pytest.approx(apart.mean)
    assert 0 < same.low < 0.2 < same.high < 0.25
    assert apart.low < 0 < apart.high


def test_one_seed_leaves_the_spread_of_the_items_and_says_so():
    a, b = (scores(0, 1, 60, mean=mean, seed_spread=1.0) for mean in (1.3, 1.0))
    result = effect(a, b, seed=0)
    assert not result.covers_seeds
    # With one seed of each, seeds go as items do: the normal interval of the mean difference.
    expected = 1.96 * (a - b).std() / np.sqrt(60)
    assert result.high - result.mean == pytest.approx(expected, rel=0.1)
    assert not effect(np.repeat(a, 3, axis=0), b, seed=0).covers_seeds
    assert effect(np.repeat(a, 3, axis=0), np.repeat(b, 2, axis=0), seed=0).covers_seeds


def test_one_figure_per_seed_has_students_interval():
    # As the Fréchet distance of every seed: no items to resample.
    values = np.random.default_rng(0).standard_normal((30, 1))
    mean, low, high, covers_seeds = seed_interval(values, seed=0)
    assert covers_seeds
    expected = 2.045 * values.std(ddof=1) / np.sqrt(30)
    assert high - mean == pytest.approx(expected, rel=0.1)
    assert mean - low == pytest.approx(expected, rel=0.1)


def test_one_seed_and_one_item_have_no_interval():
    result = seed_interval(np.array([[2.5]]), seed=0)
    assert result.mean == 2.5
    assert np.isnan([result.low, result.high]).all()


def test_same_seed_same_interval_and_exchange_changes_the_sign_of_the_mean():
    a, b = (scores(0, 3, 20, mean=mean, seed_spread=0.1) for mean in (1.3, 1.0))
    assert effect(a, b, seed=1) == effect(a, b, seed=1)
    assert effect(a, b, seed=1).mean == pytest.approx(-effect(b, a, seed=1).mean)
    assert effect(a, a, same_runs=True, seed=1)[:3] == (0.0, 0.0, 0.0)


def test_one_pair_pooled_is_its_effect_and_two_are_their_average():
    a, b, c, d = (scores(0, 3, 30, mean=mean, seed_spread=0.1) for mean in (1.3, 1.0, 2.0, 0.5))
    assert pooled_effect([a], [b], seed=1) == effect(a, b, seed=1)
    both = pooled_effect([a, c], [b, d], seed=1)
    assert both.mean == pytest.approx((effect(a, b, seed=1).mean + effect(c, d, seed=1).mean) / 2)
    with pytest.raises(ValueError, match="pairs"):
        pooled_effect([a, c], [b], seed=1)


def test_values_must_fit_and_be_finite():
    with pytest.raises((ValueError, TypeCheckError), match="items"):
        effect(np.ones((3, 4)), np.ones((3, 5)), seed=0)
    with pytest.raises(ValueError, match="same items and seeds"):
        effect(np.ones((3, 4)), np.ones((2, 4)), same_runs=True, seed=0)
    with pytest.raises(ValueError, match="finite"):
        seed_interval(np.array([[1.0, np.nan]]), seed=0)
    with pytest.raises(ValueError, match="confidence"):
        seed_interval(np.ones((2, 2)), confidence=95.0, seed=0)


def test_spread_over_seeds():
    assert seed_spread(np.array([1.0, 2.0, 6.0])) == pytest.approx((3.0, 7**0.5, 1.0, 6.0))
    alone = seed_spread(np.array([2.0]))
    assert np.isnan(alone.standard_deviation)
    assert (alone.mean, alone.minimum, alone.maximum) == (2.0, 2.0, 2.0)


def test_stability_of_known_figures():
    result = stability(np.array([1.0, 3.0, np.nan, 2.0]), np.array([False, False, True, False]))
    # Mean 2 and deviation 1 of the three seeds that converged.
    assert result == pytest.approx((0.25, 0.5))


def test_stability_with_nothing_to_tell():
    one = stability(np.array([1.0]), np.array([False]))
    assert one.diverged_share == 0.0
    assert np.isnan(one.coefficient_of_variation)
    none = stability(np.array([np.nan]), np.array([True]))
    assert none.diverged_share == 1.0
    assert np.isnan(none.coefficient_of_variation)
    with pytest.raises(ValueError, match="positive"):
        stability(np.array([-3.0, 1.0]), np.array([False, False]))
