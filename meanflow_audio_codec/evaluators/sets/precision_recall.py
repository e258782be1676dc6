"""Improved precision and recall of a set of samples (Kynkäänniemi et al. 2019, arXiv 1904.06991, equations 1 and 2)."""

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float

from meanflow_audio_codec.evaluators.sets.feature_sets import finite_features

# Rows of the distance matrix held at once: 40 MB against 10,000 vectors, and as much again while they are computed.
ROWS_PER_BLOCK = 512
# Squared distances are differences of squared norms; below this share of them nothing but rounding is left.
ROUNDING = 1e-12


class PrecisionRecall(NamedTuple):
    """Share of samples that look real, and share of the real vectors that the samples come near; both 0 to 1."""

    precision: float
    recall: float


def precision_and_recall(
    real: Float[np.ndarray, "n d"], generated: Float[np.ndarray, "m d"], *, neighbours: int = 3
) -> PrecisionRecall:
    """Shares of each set inside the other's manifold: the balls around its vectors that reach the k-th neighbour.

    Both depend on the numbers of vectors: compare at equal numbers.

    Raises:
        ValueError: a set has no more than `neighbours` vectors, `neighbours` is below 1, or a value is not
            finite.
    """
    if neighbours < 1 or min(len(real), len(generated)) <= neighbours:
        raise ValueError(
            f"sets of {len(real)} and {len(generated)} vectors are too small for neighbour number {neighbours}"
        )
    # Distances do not change, and their rounding errors shrink.
    real, generated = (features - np.mean(real, axis=0) for features in finite_features(real, generated))
    radii_real, radii_generated = (_squared_radii(features, neighbours) for features in (real, generated))
    generated_inside: Bool[np.ndarray, " m"] = np.zeros(len(generated), bool)
    num_real_inside = 0
    for rows, squared in _squared_distances(real, generated):
        generated_inside |= (squared <= radii_real[rows, None]).any(axis=0)
        num_real_inside += int((squared <= radii_generated).any(axis=1).sum())
    return PrecisionRecall(float(generated_inside.mean()), num_real_inside / len(real))


def _squared_radii(features: Float[np.ndarray, "n d"], neighbours: int) -> Float[np.ndarray, " n"]:
    radii = np.empty(len(features))
    for rows, squared in _squared_distances(features, features):
        # Each vector is its own nearest one, so that index `neighbours` is the k-th of the others.
        radii[rows] = np.partition(squared, neighbours, axis=1)[:, neighbours]
    return radii


def _squared_distances(
    a: Float[np.ndarray, "n d"], b: Float[np.ndarray, "m d"]
) -> Iterator[tuple[slice, Float[np.ndarray, "rows m"]]]:
    norms_a, norms_b = ((features * features).sum(axis=1) for features in (a, b))
    for first in range(0, len(a), ROWS_PER_BLOCK):
        rows = slice(first, first + ROWS_PER_BLOCK)
        norms = norms_a[rows, None] + norms_b
        squared = norms - 2.0 * (a[rows] @ b.T)
        squared[squared < ROUNDING * norms] = 0.0
        yield rows, squared
