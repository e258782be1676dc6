"""The kernel distance between two sets of feature vectors (Binkowski et al. 2018, arXiv 1801.01401, section 4)."""

import numpy as np
from jaxtyping import Float

from meanflow_audio_codec.evaluators.sets.feature_sets import finite_features
from meanflow_audio_codec.evaluators.statistics.bootstrap import Interval, student_quantile

# Rows of the kernel matrix held at once: 80 MB against 10,000 vectors.
ROWS_PER_BLOCK = 1024


def squared_mean_discrepancy(features_a: Float[np.ndarray, "n d"], features_b: Float[np.ndarray, "m d"]) -> float:
    """Unbiased squared maximum mean discrepancy under the kernel (x.y / d + 1)^3, in float64.

    Zero on average where both sets come from one distribution, hence negative about half the time there.

    Raises:
        ValueError: one of the sets has fewer than two vectors, or a value is not finite.
    """
    if min(len(features_a), len(features_b)) < 2:
        raise ValueError(f"each set needs two vectors or more, not {len(features_a)} and {len(features_b)}")
    a, b = finite_features(features_a, features_b)
    within = [_mean_of_pairs(features) for features in (a, b)]
    return within[0] + within[1] - 2.0 * _kernel_sum(a, b) / (len(a) * len(b))


def kernel_distance(
    features_a: Float[np.ndarray, "n d"],
    features_b: Float[np.ndarray, "m d"],
    *,
    num_blocks: int = 10,
    confidence: float = 0.95,
    seed: int,
) -> Interval:
    """Mean of the unbiased discrepancy over disjoint random blocks of both sets, with Student's interval of that mean.

    The blocks share no vectors, so their values are independent. Unlike the Fréchet distance the mean does not depend
    on how many vectors there are.

    Raises:
        ValueError: there are fewer than two blocks, or not two vectors of either set for each; a value is not finite.
    """
    smaller = min(len(features_a), len(features_b))
    if num_blocks < 2 or smaller < 2 * num_blocks:
        raise ValueError(f"{num_blocks} blocks of two vectors or more cannot be cut from {smaller}; two is the fewest")
    generator = np.random.default_rng(seed)
    blocks = [np.array_split(generator.permutation(len(features)), num_blocks) for features in (features_a, features_b)]
    values = np.array([squared_mean_discrepancy(features_a[i], features_b[j]) for i, j in zip(*blocks, strict=True)])
    mean = float(values.mean())
    half_width = student_quantile(confidence, num_blocks - 1.0) * float(values.std(ddof=1)) / np.sqrt(num_blocks)
    return Interval(mean, mean - float(half_width), mean + float(half_width))


def _mean_of_pairs(features: Float[np.ndarray, "n d"]) -> float:
    """Mean of the kernel over all pairs of different vectors."""
    num = len(features)
    diagonal = _kernel((features * features).sum(axis=1), features.shape[1])
    return (_kernel_sum(features, features) - float(diagonal.sum())) / (num * (num - 1))


def _kernel_sum(a: Float[np.ndarray, "n d"], b: Float[np.ndarray, "m d"]) -> float:
    blocks = (a[first : first + ROWS_PER_BLOCK] @ b.T for first in range(0, len(a), ROWS_PER_BLOCK))
    return float(sum(_kernel(products, a.shape[1]).sum() for products in blocks))


def _kernel(products: np.ndarray, size: int) -> np.ndarray:
    value = products / size + 1.0
    return value * value * value  # a power takes 20 times as long
