"""What the shipped digit classifier says of images: features, class scores, and the accuracy of requested classes."""

from functools import lru_cache
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx
from jaxtyping import Float, Int

from meanflow_audio_codec.evaluators.classifiers.classifier_weights import read_weights, write_weights
from meanflow_audio_codec.models.classifiers.digit_classifier import ClassifierConfig, DigitClassifier

MNIST_CLASSIFIER = Path(__file__).resolve().parents[2] / "weights" / "mnist-classifier"
# Images per call of the network; the last call is filled up, so that one compilation serves every number of images.
BATCH_SIZE = 500


def write_classifier(folder: Path, config: ClassifierConfig, classifier: DigitClassifier) -> None:
    """Write `weights.safetensors` and `config.json` into an existing folder, each complete or not at all."""
    write_weights(folder, config, classifier)


def read_classifier(folder: Path) -> DigitClassifier:
    """The classifier in a folder that `write_classifier` wrote.

    Raises:
        ValueError: names or shapes of the weights differ from those of the configuration.
    """
    return read_weights(folder, lambda values: DigitClassifier(ClassifierConfig(**values), rngs=nnx.Rngs(0)))


@lru_cache(maxsize=1)
def load_mnist_classifier() -> DigitClassifier:
    """The MNIST classifier that comes with the package; its model card lies beside the weights."""
    return read_classifier(MNIST_CLASSIFIER)


def features(
    images: Float[np.ndarray, "b 28 28"], classifier: DigitClassifier | None = None
) -> Float[np.ndarray, "b d"]:
    """Feature vectors of images in [-1, 1], of the shipped classifier if none is given."""
    return _in_batches(classifier or load_mnist_classifier(), images)[0]


def logits(
    images: Float[np.ndarray, "b 28 28"], classifier: DigitClassifier | None = None
) -> Float[np.ndarray, "b classes"]:
    """Unnormalised log-probabilities of the ten digits for images in [-1, 1]."""
    return _in_batches(classifier or load_mnist_classifier(), images)[1]


def class_accuracy(
    images: Float[np.ndarray, "b 28 28"], labels: Int[np.ndarray, " b"], classifier: DigitClassifier | None = None
) -> float:
    """Share of images that the classifier takes for the digit they are meant to be."""
    return float(np.mean(logits(images, classifier).argmax(axis=1) == labels))


@jax.jit
def _features_and_logits(classifier: DigitClassifier, images: jax.Array) -> tuple[jax.Array, jax.Array]:
    vectors = classifier.features(images)
    return vectors, classifier.logits(vectors)


def _in_batches(classifier: DigitClassifier, images: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    if len(images) == 0:
        raise ValueError("there are no images to classify")
    missing = -len(images) % BATCH_SIZE
    padded = np.pad(np.asarray(images, np.float32), ((0, missing), (0, 0), (0, 0)))
    results = [
        _features_and_logits(classifier, jnp.asarray(padded[first : first + BATCH_SIZE]))
        for first in range(0, len(padded), BATCH_SIZE)
    ]
    vectors, scores = (np.concatenate(parts)[: len(images)] for parts in zip(*results, strict=True))
    return vectors, scores
