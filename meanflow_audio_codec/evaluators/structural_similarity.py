"""Structural similarity of images (Wang, Bovik, Sheikh and Simoncelli 2004, doi 10.1109/TIP.2003.819861)."""

import numpy as np
from jaxtyping import Float

# Section III.C of the paper: a circular Gaussian window of 11 x 11 pixels, and the two constants at range 1.
RADIUS = 5
DEVIATION = 1.5
LUMINANCE_CONSTANT = 0.01**2
CONTRAST_CONSTANT = 0.03**2
IMAGES_PER_BLOCK = 512


def structural_similarity(
    reference: Float[np.ndarray, "b rows columns"], estimate: Float[np.ndarray, "b rows columns"]
) -> Float[np.ndarray, " b"]:
    """Mean structural similarity (equations 13 and 17) of each image in [-1, 1]; 1 for equal images.

    The images are mapped to [0, 1] first, since equation 6 is about brightness, which is not negative. Only windows
    that lie inside the image count.

    Raises:
        ValueError: an image has fewer than 11 rows or columns, or the shapes differ.
    """
    if reference.shape != estimate.shape:
        raise ValueError(f"images of one shape are needed, not {reference.shape} and {estimate.shape}")
    if min(reference.shape[1:]) <= 2 * RADIUS:
        raise ValueError(f"a window of 11 x 11 pixels does not fit into images of {reference.shape[1:]}")
    blocks = [
        _similarity(
            *(0.5 + 0.5 * np.asarray(x[first : first + IMAGES_PER_BLOCK], np.float64) for x in (reference, estimate))
        )
        for first in range(0, len(reference), IMAGES_PER_BLOCK)
    ]
    return np.concatenate([np.zeros(0), *blocks])


def _similarity(x: Float[np.ndarray, "b rows columns"], y: Float[np.ndarray, "b rows columns"]) -> np.ndarray:
    mean_x, mean_y = _local_mean(x), _local_mean(y)
    variances = _local_mean(x * x) - mean_x**2 + _local_mean(y * y) - mean_y**2
    covariance = _local_mean(x * y) - mean_x * mean_y
    luminance = (2.0 * mean_x * mean_y + LUMINANCE_CONSTANT) / (mean_x**2 + mean_y**2 + LUMINANCE_CONSTANT)
    structure = (2.0 * covariance + CONTRAST_CONSTANT) / (variances + CONTRAST_CONSTANT)
    return (luminance * structure).mean(axis=(1, 2))


def _local_mean(images: Float[np.ndarray, "b rows columns"]) -> Float[np.ndarray, "b inner_rows inner_columns"]:
    from scipy.ndimage import correlate1d

    weights = np.exp(-0.5 * (np.arange(-RADIUS, RADIUS + 1) / DEVIATION) ** 2)
    weights /= weights.sum()
    for axis in (1, 2):
        images = correlate1d(images, weights, axis=axis)
    return images[:, RADIUS:-RADIUS, RADIUS:-RADIUS]
