"""What training seeds do to a figure: effects that hold over seeds and items, the spread over seeds, and stability."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float

from meanflow_audio_codec.evaluators.statistics.bootstrap import INDICES_PER_BLOCK, student_quantile


class SeedInterval(NamedTuple):
    """A mean over seeds and items and the ends of its confidence interval.

    `covers_seeds` is false where a method has one seed: the interval then tells how the items spread, and how far
    another seed would differ is unknown. The ends are NaN where there is one item as well.
    """

    mean: float
    low: float
    high: float
    covers_seeds: bool


class SeedSpread(NamedTuple):
    """Mean over seeds, standard deviation (of n - 1; NaN for one seed), smallest and largest value."""

    mean: float
    standard_deviation: float
    minimum: float
    maximum: float


class Stability(NamedTuple):
    """How reliably a method trains; NaN where too few seeds converged to tell.

    `coefficient_of_variation` is standard deviation over mean of the seeds that converged.
    """

    diverged_share: float
    coefficient_of_variation: float


def seed_interval(
    values: Float[np.ndarray, "seeds items"], *, confidence: float = 0.95, num_resamples: int = 10_000, seed: int
) -> SeedInterval:
    """The mean of one method over training seeds and items; every seed was scored on the same items.

    Seeds and items are resampled independently of each other (Owen 2007, "The pigeonhole bootstrap"), since an item is
    as hard for every seed. A handful of seeds gives intervals that are too narrow, so their deviations are widened to
    the length of Student's interval (Hesterberg 2015, "What teachers should know about the bootstrap").

    Raises:
        ValueError: there are no values, some are not finite, or `confidence` is not between 0 and 1.
    """
    return _interval([values], confidence, num_resamples, seed)


def effect(
    values_a: Float[np.ndarray, "seeds_a items"],
    values_b: Float[np.ndarray, "seeds_b items"],
    *,
    same_runs: bool = False,
    confidence: float = 0.95,
    num_resamples: int = 10_000,
    seed: int,
) -> SeedInterval:
    """The mean of a - b over training seeds and items, resampled as in `seed_interval`.

    All seeds of both methods were scored on the same items, so that how hard an item is cancels. Seeds of two methods
    are independent, and there need not be as many of each. `same_runs`: row by row both come from one trained network,
    decoded in two ways, so that how good the seed is cancels too.

    Raises:
        ValueError: the items differ in number, there are none, or values are not finite; the seeds differ in number
            with `same_runs`.
    """
    if values_a.shape[1:] != values_b.shape[1:] or (same_runs and values_a.shape != values_b.shape):
        raise ValueError(f"the same items{' and seeds' * same_runs} are needed, not {values_a.shape}, {values_b.shape}")
    if same_runs:
        return _interval([np.asarray(values_a, np.float64) - values_b], confidence, num_resamples, seed)
    return _interval([values_a, -values_b], confidence, num_resamples, seed)


def pooled_effect(
    values_a: Sequence[Float[np.ndarray, "_ items"]],
    values_b: Sequence[Float[np.ndarray, "_ items"]],
    *,
    confidence: float = 0.95,
    num_resamples: int = 10_000,
    seed: int,
) -> SeedInterval:
    """The mean of a - b over several pairs of methods, each pair counting once, with the interval of `effect`.

    All were scored on the same items; the seeds of every entry are independent of those of the others.

    Raises:
        ValueError: there are no pairs, an entry of one list lacks its partner, or as in `effect`.
    """
    values = [*values_a, *values_b]
    if not values or len(values_a) != len(values_b) or len({array.shape[1] for array in values}) != 1:
        raise ValueError(f"pairs scored on the same items are needed, not {[array.shape for array in values]}")
    shares = [1.0 / len(values_a)] * len(values_a) + [-1.0 / len(values_b)] * len(values_b)
    terms = [share * np.asarray(array, np.float64) for share, array in zip(shares, values, strict=True)]
    return _interval(terms, confidence, num_resamples, seed)


def seed_spread(values: Float[np.ndarray, " seeds"]) -> SeedSpread:
    """Mean, standard deviation, smallest and largest of a figure over training seeds.

    Raises:
        ValueError: there are no values, or some are not finite; diverged runs are counted by `stability`.
    """
    values = _finite(values)
    deviation = float(values.std(ddof=1)) if len(values) > 1 else np.nan
    return SeedSpread(float(values.mean()), deviation, float(values.min()), float(values.max()))


def stability(finals: Float[np.ndarray, " seeds"], diverged: Bool[np.ndarray, " seeds"]) -> Stability:
    """How reliably a method trains, from final figures that are positive (a loss, a distance) of every seed.

    The figures of diverged seeds count nowhere and may be NaN.

    Raises:
        ValueError: there are no seeds, or a seed that converged has a figure that is not positive and finite.
    """
    converged = _converged(finals, diverged)
    variation = seed_spread(converged).standard_deviation / converged.mean() if len(converged) else np.nan
    return Stability(float(np.mean(diverged)), float(variation))


def _converged(finals: np.ndarray, diverged: np.ndarray) -> Float[np.ndarray, " converged"]:
    if len(finals) == 0 or len(finals) != len(diverged):
        raise ValueError(f"one figure per seed is needed, not {len(finals)} figures of {len(diverged)} seeds")
    values = np.asarray(finals, np.float64)[~diverged]
    if not (np.isfinite(values) & (values > 0)).all():
        raise ValueError(f"figures of converged seeds must be positive and finite, not {values.tolist()[:5]}")
    return values


def _finite(values: np.ndarray) -> np.ndarray:
    values = np.asarray(values, np.float64)
    if values.size == 0 or not np.isfinite(values).all():
        raise ValueError(f"finite values are needed, at least one, not {values.ravel().tolist()[:5]}")
    return values


def _interval(terms: list[np.ndarray], confidence: float, num_resamples: int, seed: int) -> SeedInterval:
    """The interval of the sum of the means of all terms, which share their items and not their seeds."""
    terms = [_finite(term) for term in terms]
    num_items = terms[0].shape[1]
    mean = float(sum(term.mean() for term in terms))
    covers_seeds = all(len(term) > 1 for term in terms)
    stretch = student_quantile(confidence, _degrees_of_freedom(terms)) / student_quantile(confidence, np.inf)
    if num_items == 1 and not any(len(term) > 1 for term in terms):
        return SeedInterval(mean, np.nan, np.nan, covers_seeds)
    generator = np.random.default_rng(seed)
    rows = max(1, INDICES_PER_BLOCK // num_items)
    sums = []
    for first in range(0, num_resamples, rows):
        num_rows = min(rows, num_resamples - first)
        # The counts of a multinomial draw; drawing the items themselves is many times faster.
        draws = generator.integers(0, num_items, (num_rows, num_items))
        item_weights = np.stack([np.bincount(draw, minlength=num_items) for draw in draws]) / num_items
        sums.append(sum(_resampled_means(term, item_weights, stretch, generator) for term in terms))
    low, high = np.quantile(np.concatenate(sums), [(1.0 - confidence) / 2.0, (1.0 + confidence) / 2.0])
    return SeedInterval(mean, float(low), float(high), covers_seeds)


def _resampled_means(
    values: Float[np.ndarray, "seeds items"],
    item_weights: Float[np.ndarray, "resamples items"],
    stretch: float,
    generator: np.random.Generator,
) -> Float[np.ndarray, " resamples"]:
    by_seed = item_weights @ values.T
    centre = by_seed.mean(axis=1)
    num_seeds = len(values)
    if num_seeds == 1:
        return centre
    seed_weights = generator.multinomial(num_seeds, np.full(num_seeds, 1.0 / num_seeds), len(by_seed)) / num_seeds
    # A resample of n seeds varies (n - 1) / n times as much as it should.
    widening = stretch * np.sqrt(num_seeds / (num_seeds - 1.0))
    return centre + widening * ((seed_weights * by_seed).sum(axis=1) - centre)


def _degrees_of_freedom(terms: list[np.ndarray]) -> float:
    """Satterthwaite's degrees of freedom of the sum of all means: few where seeds dominate, many where items do."""
    over_items = sum(term.mean(axis=0) for term in terms)
    parts = [term.mean(axis=1) for term in terms] + [np.asarray(over_items)]
    parts = [part for part in parts if len(part) > 1]
    variances = np.array([part.var(ddof=1) / len(part) for part in parts])
    if variances.sum() == 0.0:
        return np.inf
    return float(variances.sum() ** 2 / (variances**2 / [len(part) - 1.0 for part in parts]).sum())
