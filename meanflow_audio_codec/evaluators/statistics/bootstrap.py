"""Uncertainty by the bootstrap: of a mean over clips, and of a figure of a whole set."""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Shaped

# Drawn indices held at once: 32 MB.
INDICES_PER_BLOCK = 4_000_000


class Interval(NamedTuple):
    """A mean and the ends of its confidence interval; the ends are NaN where a single value was given."""

    mean: float
    low: float
    high: float


def bootstrap_interval(
    values: Float[np.ndarray, " n"], *, confidence: float = 0.95, num_resamples: int = 10_000, seed: int
) -> Interval:
    """The mean and its percentile bootstrap interval (Efron and Tibshirani 1993, section 13.3).

    Raises:
        ValueError: there are no values, some are not finite, or `confidence` is not between 0 and 1.
    """
    values = np.asarray(values, np.float64)
    if len(values) == 0 or not np.isfinite(values).all():
        raise ValueError(f"the bootstrap needs finite values, at least one, not {values.tolist()[:5]}")
    if not 0.0 < confidence < 1.0:
        raise ValueError(f"confidence must lie between 0 and 1, not {confidence}")
    mean = float(values.mean())
    if len(values) == 1:
        return Interval(mean, np.nan, np.nan)
    generator = np.random.default_rng(seed)
    rows = max(1, INDICES_PER_BLOCK // len(values))
    means = np.concatenate(
        [
            values[generator.integers(0, len(values), (min(rows, num_resamples - first), len(values)))].mean(axis=1)
            for first in range(0, num_resamples, rows)
        ]
    )
    low, high = np.quantile(means, [(1.0 - confidence) / 2.0, (1.0 + confidence) / 2.0])
    return Interval(mean, float(low), float(high))


def paired_difference(
    first: Float[np.ndarray, " n"],
    second: Float[np.ndarray, " m"],
    *,
    confidence: float = 0.95,
    num_resamples: int = 10_000,
    seed: int,
) -> Interval:
    """The mean of first - second over the same clips, with its bootstrap interval.

    Pairing takes out how easy or hard each clip is, so the interval is narrower than that of either mean.
    """
    if len(first) != len(second):
        raise ValueError(f"paired values must be equally many, not {len(first)} and {len(second)}")
    return bootstrap_interval(
        np.asarray(first, np.float64) - second, confidence=confidence, num_resamples=num_resamples, seed=seed
    )


def bootstrap_set_metric(
    metric: Callable[[np.ndarray, np.ndarray], float],
    items: Shaped[np.ndarray, "n ..."],
    reference: Shaped[np.ndarray, "m ..."],
    *,
    confidence: float = 0.95,
    num_resamples: int = 50,
    seed: int,
) -> Interval:
    """A figure of a set of items against a reference set, such as the Fréchet distance, with a normal interval.

    Items are drawn anew, the reference stays. Only the spread of the resampled figures is used (Efron and Tibshirani
    1993, section 6.4: 50 suffice for it), around the figure of the items themselves: resampled sets repeat items, so
    their figures are biased, and their quantiles may leave the figure itself outside. The interval tells how far
    another draw of as many items would differ; it does not cover the figure's own bias at this number.

    Raises:
        ValueError: there are fewer than two items or resamples, or a figure is not finite.
    """
    if min(len(items), num_resamples) < 2:
        raise ValueError(f"two items and two resamples are the fewest, not {len(items)} and {num_resamples}")
    figure = float(metric(items, reference))
    generator = np.random.default_rng(seed)
    draws = (generator.integers(0, len(items), len(items)) for _ in range(num_resamples))
    figures = np.array([metric(items[draw], reference) for draw in draws], np.float64)
    if not np.isfinite([figure, *figures]).all():
        raise ValueError("the metric is not finite for the items or for a resample of them")
    half_width = student_quantile(confidence, num_resamples - 1.0) * float(figures.std(ddof=1))
    return Interval(figure, figure - half_width, figure + half_width)


def student_quantile(confidence: float, degrees_of_freedom: float) -> float:
    """How many standard errors a two-sided interval of Student's t reaches to either side; infinity: the normal one."""
    from scipy.special import ndtri, stdtrit

    if not 0.0 < confidence < 1.0:
        raise ValueError(f"confidence must lie between 0 and 1, not {confidence}")
    level = 0.5 + confidence / 2.0
    return float(ndtri(level) if np.isinf(degrees_of_freedom) else stdtrit(degrees_of_freedom, level))
