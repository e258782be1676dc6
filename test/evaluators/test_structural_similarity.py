import numpy as np
import pytest

from meanflow_audio_codec.evaluators import structural_similarity as module
from meanflow_audio_codec.evaluators.structural_similarity import structural_similarity

C1, C2 = 0.01**2, 0.03**2


def test_equal_images_are_at_one_and_order_does_not_matter():
    one, other = np.random.default_rng(0).uniform(-1, 1, (2, 5, 28, 28)).astype(np.float32)
    np.testing.assert_allclose(structural_similarity(one, one), np.ones(5))
    np.testing.assert_allclose(structural_similarity(one, other), structural_similarity(other, one))


@pytest.mark.parametrize(("p", "q"), [(-1.0, 1.0), (-1.0, -0.5), (0.2, 0.6)])
def test_constant_images_are_compared_by_brightness_alone(p, q):
    bright_p, bright_q = (1 + p) / 2, (1 + q) / 2
    expected = (2 * bright_p * bright_q + C1) / (bright_p**2 + bright_q**2 + C1)
    measured = structural_similarity(np.full((1, 12, 15), p), np.full((1, 12, 15), q))
    assert measured == pytest.approx(expected, abs=1e-9)


@pytest.mark.parametrize("gain", [1.0, 0.3, 0.0, -1.0])
def test_a_checkerboard_of_other_contrast(gain):
    # The window averages a checkerboard to its mean, so brightness agrees, and variances are squares of the contrasts.
    board = 1.0 - 2.0 * (np.indices((20, 20)).sum(axis=0) % 2)
    variance = 0.5**2
    expected = (2 * gain * variance + C2) / ((1 + gain**2) * variance + C2)
    assert structural_similarity(board[None], gain * board[None]) == pytest.approx(expected, abs=1e-3)


def test_more_noise_is_less_similar():
    generator = np.random.default_rng(0)
    image = np.sin(np.arange(28) / 3)[:, None] * np.cos(np.arange(28) / 4)
    noise = generator.standard_normal(image.shape)
    images = np.stack([image + level * noise for level in (0.02, 0.05, 0.1, 0.3)])
    scores = structural_similarity(np.stack([image] * 4), images)
    assert (np.diff(scores) < 0).all()


def test_agrees_with_an_independent_implementation():
    # Printed by scikit-image 0.26 with Gaussian weights, population covariance and range 1, for images in [0, 1].
    k = np.arange(2 * 17 * 23).reshape(2, 17, 23)
    one = (7919 * k * k) % 1000 / 500 - 1
    other = 0.7 * one + 0.3 * ((104729 * k * k + k) % 997 / 498.5 - 1)
    np.testing.assert_allclose(structural_similarity(one, other), [0.8752515721172908, 0.8783176043877181], rtol=1e-9)
    waves = np.sin(k / 5), np.sin(k / 5 + 0.3)
    np.testing.assert_allclose(structural_similarity(*waves), [0.9554652120383129, 0.95546465484065], rtol=1e-9)


def test_blocks_do_not_change_the_result(monkeypatch):
    one, other = np.random.default_rng(0).uniform(-1, 1, (2, 5, 12, 12))
    whole = structural_similarity(one, other)
    monkeypatch.setattr(module, "IMAGES_PER_BLOCK", 2)
    np.testing.assert_array_equal(structural_similarity(one, other), whole)
    assert structural_similarity(one[:0], other[:0]).shape == (0,)


def test_images_must_hold_a_window():
    with pytest.raises(ValueError, match="11 x 11"):
        structural_similarity(np.zeros((1, 28, 10)), np.zeros((1, 28, 10)))
