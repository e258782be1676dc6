"""What the shipped digit classifier says of images: features, class scores, and the accuracy of requested classes."""

import json
import os
from dataclasses import asdict
from functools import lru_cache
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx
from jaxtyping import Float, Int

from meanflow_audio_codec.models.classifier import ClassifierConfig, DigitClassifier

MNIST_CLASSIFIER = Path(__file__).resolve().parent.parent / "weights" / "mnist-classifier"
# Images per call of the network; the last call is filled up, so that one compilation serves every number of images.
BATCH_SIZE = 500


def write_classifier(folder: Path, config: ClassifierConfig, classifier: DigitClassifier) -> None:
    """Write `weights.safetensors` and `config.json` into an existing folder, each complete or not at all."""
    from safetensors.numpy import save

    weights = {name: np.asarray(value) for name, value in _named_parameters(classifier).items()}
    # Not `save_file`, whose files only their owner may read.
    (folder / ".weights.tmp").write_bytes(save(weights))
    os.replace(folder / ".weights.tmp", folder / "weights.safetensors")
    (folder / ".config.tmp").write_text(json.dumps(asdict(config), indent=2) + "\n", encoding="utf-8")
    os.replace(folder / ".config.tmp", folder / "config.json")


def read_classifier(folder: Path) -> DigitClassifier:
    """The classifier in a folder that `write_classifier` wrote.

    Raises:
        ValueError: names or shapes of the weights differ from those of the configuration.
    """
    from safetensors.numpy import load_file

    config = ClassifierConfig(**json.loads((folder / "config.json").read_text(encoding="utf-8")))
    weights = load_file(folder / "weights.safetensors")
    classifier = nnx.eval_shape(lambda: DigitClassifier(config, rngs=nnx.Rngs(0)))
    expected = {name: value.shape for name, value in _named_parameters(classifier).items()}
    if expected != {name: value.shape for name, value in weights.items()}:
        raise ValueError(f"the weights in {folder} do not belong to its config.json: train the classifier again")
    state = [(path, variable.replace(jnp.asarray(weights[_name(path)]))) for path, variable in _flat_state(classifier)]
    nnx.update(classifier, nnx.from_flat_state(state))
    return classifier


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


def _flat_state(classifier: DigitClassifier) -> list[tuple[tuple, nnx.Variable]]:
    return list(nnx.to_flat_state(nnx.state(classifier)))


def _name(path: tuple) -> str:
    return ".".join(str(part) for part in path)


def _named_parameters(classifier: DigitClassifier) -> dict:
    return {_name(path): variable.get_value() for path, variable in _flat_state(classifier)}
