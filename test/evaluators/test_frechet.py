import numpy as np
import pytest
from scipy.linalg import sqrtm

from meanflow_audio_codec.evaluators.sets.frechet import frechet_distance, gaussian_frechet_distance

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


@pytest.mark.parametrize("size", [1, 2, 300])
def test_two_vectors_in_any_dimension_have_a_closed_form(size):
    u, v, shift = GENERATOR.standard_normal((3, size)).astype(np.float32)
    # Covariances 2 u u^T and 2 v v^T; the trace of the root of their product is 2 |u.v|.
    expected = shift @ shift + 2 * (u @ u) + 2 * (v @ v) - 4 * abs(u @ v)
    measured = frechet_distance(np.stack([u, -u]), np.stack([shift + v, shift - v]))
    assert isinstance(measured, float)
    assert measured == pytest.approx(expected, rel=1e-5, abs=1e-6)


@pytest.mark.parametrize("num", [63, 64, 65, 66])
def test_about_as_many_vectors_as_dimensions(num):
    # An invertible map to 64 dimensions of nearly dependent features, as of a network whose units rarely fire.
    mixing = random_rotation(64) * np.logspace(0, -9, 64)
    a, b = (GENERATOR.standard_normal((num, 64)) @ mixing for _ in range(2))
    distance = frechet_distance(a, b)
    assert np.isfinite(distance)
    assert distance > 0
    assert distance == pytest.approx(frechet_distance(b, a), rel=1e-6)
    assert frechet_distance(a, a) == pytest.approx(0.0, abs=1e-9)


def test_features_of_a_diverged_model_are_refused():
    with pytest.raises(ValueError, match="finite"):
        frechet_distance(np.full((5, 3), np.nan), np.ones((5, 3)))


def test_one_vector_has_no_covariance():
    with pytest.raises(ValueError, match="two vectors"):
        frechet_distance(np.ones((1, 3)), np.ones((5, 3)))
