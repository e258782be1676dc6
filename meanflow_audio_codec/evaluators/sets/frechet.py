"""The Fréchet distance between two sets of feature vectors, each taken as a Gaussian (arXiv 1706.08500, equation 6)."""

import numpy as np
from jaxtyping import Float

from meanflow_audio_codec.evaluators.sets.feature_sets import finite_features


def gaussian_frechet_distance(
    mean_a: Float[np.ndarray, " d"],
    covariance_a: Float[np.ndarray, "d d"],
    mean_b: Float[np.ndarray, " d"],
    covariance_b: Float[np.ndarray, "d d"],
) -> float:
    """Squared 2-Wasserstein distance |m_a - m_b|^2 + tr(C_a + C_b - 2 (C_a C_b)^(1/2)) of two Gaussians, in float64.

    The trace of the root is the sum of the singular values of C_a^(1/2) C_b^(1/2), which holds for singular covariances
    too.
    """
    roots = [_symmetric_root(np.asarray(covariance, np.float64)) for covariance in (covariance_a, covariance_b)]
    trace_of_root = np.linalg.svd(roots[0] @ roots[1], compute_uv=False).sum()
    difference = np.asarray(mean_a, np.float64) - mean_b
    distance = difference @ difference + np.trace(covariance_a) + np.trace(covariance_b) - 2.0 * trace_of_root
    return float(max(distance, 0.0))


def frechet_distance(features_a: Float[np.ndarray, "n d"], features_b: Float[np.ndarray, "m d"]) -> float:
    """Fréchet distance between two samples of feature vectors; its bias depends on how many there are: state it.

    Raises:
        ValueError: one of the samples has fewer than two vectors, or a value is not finite.
    """
    if min(len(features_a), len(features_b)) < 2:
        raise ValueError(f"a covariance needs two vectors or more, not {len(features_a)} and {len(features_b)}")
    a, b = finite_features(features_a, features_b)
    return gaussian_frechet_distance(
        a.mean(axis=0), np.atleast_2d(np.cov(a, rowvar=False)), b.mean(axis=0), np.atleast_2d(np.cov(b, rowvar=False))
    )


def _symmetric_root(matrix: Float[np.ndarray, "d d"]) -> Float[np.ndarray, "d d"]:
    values, vectors = np.linalg.eigh(matrix)
    return (vectors * np.sqrt(np.maximum(values, 0.0))) @ vectors.T
