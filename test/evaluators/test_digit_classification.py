import json
import os
import shutil

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx
from safetensors.numpy import load_file, save_file

from meanflow_audio_codec.evaluators.classifiers.digit_classification import (
    MNIST_CLASSIFIER,
    class_accuracy,
    features,
    load_mnist_classifier,
    logits,
    read_classifier,
    write_classifier,
)
from meanflow_audio_codec.models.classifiers.digit_classifier import ClassifierConfig, DigitClassifier
from meanflow_audio_codec.tools.train_mnist_classifier import random_shift

IMAGES = np.random.default_rng(0).uniform(-1, 1, (7, 28, 28)).astype(np.float32)
TINY = ClassifierConfig(fine_width=3, coarse_width=5, num_blocks=1, squeezed_width=2, num_features=6)


@pytest.fixture(scope="module")
def tiny() -> DigitClassifier:
    # In one compilation rather than one per parameter.
    return jax.jit(lambda: DigitClassifier(TINY, rngs=nnx.Rngs(0)))()


def test_shipped_weights_load_and_are_small():
    classifier = load_mnist_classifier()
    assert (MNIST_CLASSIFIER / "weights.safetensors").stat().st_size < 1_500_000
    assert all(leaf.dtype == jnp.float32 for leaf in jax.tree.leaves(classifier))
    assert features(IMAGES).shape == (7, ClassifierConfig().num_features)
    assert np.isfinite(logits(IMAGES)).all()


def test_scores_do_not_depend_on_the_call():
    many = np.concatenate([IMAGES] * 80)  # more than one call of the network
    again = logits(many)
    np.testing.assert_array_equal(logits(IMAGES), logits(IMAGES))
    np.testing.assert_allclose(again[:7], logits(IMAGES), atol=1e-5)
    np.testing.assert_allclose(again[-7:], logits(IMAGES), atol=1e-5)


def test_logits_are_a_linear_function_of_the_features():
    classifier = load_mnist_classifier()
    expected = features(IMAGES) @ np.asarray(classifier.head.kernel[...]) + np.asarray(classifier.head.bias[...])
    np.testing.assert_allclose(logits(IMAGES), expected, atol=1e-4)


def test_accuracy_counts_agreement():
    answers = logits(IMAGES).argmax(axis=1)
    wrong = answers.copy()
    wrong[:3] = (wrong[:3] + 1) % 10
    assert class_accuracy(IMAGES, answers) == 1.0
    assert class_accuracy(IMAGES, wrong) == pytest.approx(4 / 7)


def test_a_drawn_one_is_recognised():
    image = np.full((28, 28), -1.0, np.float32)
    image[5:23, 13:15] = 1.0
    assert logits(image[None]).argmax() == 1


def test_every_leaf_is_a_parameter_with_a_gradient(tiny):
    assert all(type(variable) is nnx.Param for _, variable in nnx.to_flat_state(nnx.state(tiny)))
    gradient = jax.jit(jax.grad(lambda model: jnp.sum(model(jnp.asarray(IMAGES)) ** 2)))(tiny)
    assert all(np.any(leaf) for leaf in jax.tree.leaves(gradient))


def test_written_weights_come_back(tiny, tmp_path):
    write_classifier(tmp_path, TINY, tiny)
    back = read_classifier(tmp_path)
    assert jax.tree.structure(back) == jax.tree.structure(tiny)
    np.testing.assert_array_equal(features(IMAGES, back), features(IMAGES, tiny))
    assert sorted(path.name for path in tmp_path.iterdir()) == ["config.json", "weights.safetensors"]


def test_weights_of_another_configuration_are_refused(tmp_path):
    shutil.copytree(MNIST_CLASSIFIER, tmp_path, dirs_exist_ok=True)
    config = json.loads((tmp_path / "config.json").read_text())
    (tmp_path / "config.json").write_text(json.dumps(config | {"num_features": 64}))
    with pytest.raises(ValueError, match=r"config\.json"):
        read_classifier(tmp_path)
    (tmp_path / "config.json").write_text(json.dumps(config))
    weights = load_file(tmp_path / "weights.safetensors")
    weights.pop("head.bias")
    save_file(weights, tmp_path / "weights.safetensors")
    with pytest.raises(ValueError, match=r"config\.json"):
        read_classifier(tmp_path)


def test_no_images_are_an_error():
    with pytest.raises(ValueError, match="no images"):
        logits(IMAGES[:0])


def test_shifts_move_the_ink_by_up_to_two_pixels():
    images = jnp.full((500, 9, 9), -1.0).at[:, 4, 4].set(1.0)
    shifted = np.asarray(jax.jit(random_shift)(images, jax.random.key(0)))
    _, rows, columns = np.nonzero(shifted == 1.0)
    assert len(rows) == 500
    assert set(zip(rows.tolist(), columns.tolist(), strict=True)) == {(i, j) for i in range(2, 7) for j in range(2, 7)}


def test_accuracy_on_the_test_images():
    if not os.environ.get("MEANFLOW_DATA_DIR"):
        pytest.skip("MEANFLOW_DATA_DIR is not set: no MNIST to measure on")
    from meanflow_audio_codec.datasets.mnist import Mnist

    batches = list(Mnist(data_directory=None, batch_size=500, split="test").evaluation())
    accuracies = [class_accuracy(batch.signal, batch.label) for batch in batches]
    assert len(accuracies) == 20
    assert np.mean(accuracies) >= 0.99
