"""What all distances between sets of feature vectors ask of their input."""

import numpy as np
from jaxtyping import Float


def finite_features(*sets: Float[np.ndarray, "_ d"]) -> tuple[Float[np.ndarray, "_ d"], ...]:
    """The sets in float64.

    Raises:
        ValueError: a value is not finite, as from a model that diverged.
    """
    if not all(np.isfinite(features).all() for features in sets):
        raise ValueError("feature vectors must be finite: leave the samples of a diverged model out")
    return tuple(np.asarray(features, np.float64) for features in sets)
