import numpy as np
import pytest
from scipy.linalg import sqrtm

from meanflow_audio_codec.evaluators.frechet import frechet_distance, gaussian_frechet_distance

GENERATOR = np.random.default_rng(0)


def random_covariance(size: int) -> np.ndarray:
    factor = GENERATOR.standard_normal((size, size))
    return factor @ factor.T / size


def random_rotation(size: int) -> np.ndarray:
    return np.linalg.qr(GENERATOR.standard_normal((size, size)))[0]


def test_commuting_covariances_have_a_closed_form():
    rotation = random_rotation(5)
    one, other = np.array([1.0, 2.0, 0.5, 0.0, 3.0]), np.array([2.0, 2.0, 1.5, 1.0, 0.0])
    mean_one, mean_other = np.arange(5.0), np.ones(5)
    expected = np.sum((one - other) ** 2) + np.sum((mean_one - mean_other) ** 2)
    covariances = [rotation @ np.diag(scale**2) @ rotation.T for scale in (one, other)]
    measured = gaussian_frechet_distance(rotation @ mean_one, covariances[0], rotation @ mean_other, covariances[1])
    assert measured == pytest.approx(expected)


def test_general_covariances_agree_with_the_matrix_square_root():
    one, other = random_covariance(6), random_covariance(6)
    expected = np.trace(one + other - 2 * sqrtm(one @ other).real)
    assert gaussian_frechet_distance(np.zeros(6), one, np.zeros(6), other) == pytest.approx(expected)


def test_equal_gaussians_are_at_distance_zero():
    covariance = random_covariance(20)
    distance = gaussian_frechet_distance(np.ones(20), covariance, np.ones(20), covariance)
    assert distance == pytest.approx(0.0, abs=1e-6)


def test_samples_approach_the_distance_of_their_gaussians():
    samples = GENERATOR.standard_normal((2, 20_000, 3)).astype(np.float32)
    moved = 2.0 * samples[1] + np.array([1.0, 0.0, -1.0], np.float32)
    # |m|^2 = 2, and (2 - 1)^2 in each of three directions.
    assert frechet_distance(samples[0], moved) == pytest.approx(5.0, rel=0.03)
    assert frechet_distance(samples[0], moved) == pytest.approx(frechet_distance(moved, samples[0]))


def test_fewer_vectors_than_dimensions_are_no_error():
    a, b = GENERATOR.standard_normal((2, 10, 50))
    assert frechet_distance(a, a) == pytest.approx(0.0, abs=1e-6)
    rotation = random_rotation(50)
    assert frechet_distance(a @ rotation, b @ rotation) == pytest.approx(frechet_distance(a, b))


def test_one_vector_has_no_covariance():
    with pytest.raises(ValueError, match="two vectors"):
        frechet_distance(np.ones((1, 3)), np.ones((5, 3)))
