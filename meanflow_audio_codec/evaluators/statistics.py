"""Uncertainty of a mean over clips, by the bootstrap."""

from typing import NamedTuple

import numpy as np
from jaxtyping import Float

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
