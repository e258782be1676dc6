"""Train the digit classifier that measures generated images, and write its weights and model card.

`python -m meanflow_audio_codec.tools.train_mnist_classifier --data-dir DATA` takes about four minutes on two CPU cores.
"""

import argparse
import os
from collections.abc import Callable
from pathlib import Path
from typing import cast

import jax
import jax.numpy as jnp
import numpy as np
import optax
from flax import nnx
from jaxtyping import Array, Float, PRNGKeyArray

from meanflow_audio_codec.datasets.mnist import Mnist
from meanflow_audio_codec.evaluators.classifiers.digit_classification import MNIST_CLASSIFIER, logits, write_classifier
from meanflow_audio_codec.models.classifiers.digit_classifier import ClassifierConfig, DigitClassifier

BATCH_SIZE = 256
LARGEST_SHIFT = 2
PEAK_LEARNING_RATE = 3e-3
WEIGHT_DECAY = 0.02
LABEL_SMOOTHING = 0.05
AVERAGING_DECAY = 0.995
STEPS_PER_EPOCH = 60_000 // BATCH_SIZE

MODEL_CARD = """\
# MNIST classifier

A convolutional network of {parameters:,} parameters (`DigitClassifier`) that tells the ten digits of MNIST apart. It
measures generated images: whether they show the digit they were asked for, and the Fréchet distance between its
{features} features of generated and real images. It is not meant for any other use.

- Input: images (28, 28), background -1, ink up to 1.
- Training: {epochs} passes over the 60,000 training images, each shifted at random by up to {shift} pixels in each
  direction; AdamW, label smoothing {smoothing}, exponentially averaged weights; seed {seed}. About four
  minutes on two CPU cores. The test images served only to measure the result.
- Result on the 10,000 test images: {accuracy:.2f} % correct ({errors} errors).
- Made by `python -m meanflow_audio_codec.tools.train_mnist_classifier`. Figures measured with it are comparable only
  among themselves: another classifier has other features.

Data: Y. LeCun, C. Cortes, C. J. C. Burges, "The MNIST database of handwritten digits". The licence of the weights is
that of the package.
"""


def random_shift(images: Float[Array, "b rows columns"], key: PRNGKeyArray) -> Float[Array, "b rows columns"]:
    """Each image moved by up to `LARGEST_SHIFT` pixels in each direction; what moves in is background, -1."""
    margin = LARGEST_SHIFT
    padded = jnp.pad(images, ((0, 0), (margin, margin), (margin, margin)), constant_values=-1.0)
    offsets = jax.random.randint(key, (len(images), 2), 0, 2 * margin + 1)
    return jax.vmap(lambda image, offset: jax.lax.dynamic_slice(image, offset, images.shape[1:]))(padded, offsets)


def make_step(optimizer: optax.GradientTransformation) -> Callable:
    """A jitted update of (model, averaged model, optimizer state) on one batch."""

    @jax.jit
    def step(model, averaged, state, images, labels, key):
        shifted = random_shift(images, key)
        targets = optax.smooth_labels(jax.nn.one_hot(labels, 10), LABEL_SMOOTHING)

        def loss_of(model):
            return optax.softmax_cross_entropy(model(shifted), targets).mean()

        loss, gradient = jax.value_and_grad(loss_of)(model)
        updates, state = optimizer.update(gradient, state, model)
        model = optax.apply_updates(model, updates)
        averaged = optax.incremental_update(model, averaged, 1.0 - AVERAGING_DECAY)
        return model, averaged, state, loss

    return step


def train(dataset: Mnist, config: ClassifierConfig, *, num_epochs: int, seed: int) -> DigitClassifier:
    """The classifier with exponentially averaged weights after `num_epochs` passes over the training images."""
    num_steps = num_epochs * STEPS_PER_EPOCH
    schedule = optax.cosine_onecycle_schedule(num_steps, peak_value=PEAK_LEARNING_RATE, pct_start=0.2)
    optimizer = optax.adamw(schedule, weight_decay=WEIGHT_DECAY)
    model = averaged = DigitClassifier(config, rngs=nnx.Rngs(seed))
    state = optimizer.init(cast(optax.Params, model))
    step = make_step(optimizer)
    key = jax.random.key(seed)
    losses = []
    for i in range(num_steps):
        batch = dataset.batch(i)
        step_key = jax.random.fold_in(key, i)
        model, averaged, state, loss = step(model, averaged, state, batch.signal, batch.label, step_key)
        losses.append(loss)
        if len(losses) == STEPS_PER_EPOCH:
            print(f"step {i + 1} of {num_steps}: loss {np.mean(losses):.4f}", flush=True)
            losses = []
    return averaged


def count_errors(dataset: Mnist, classifier: DigitClassifier) -> tuple[int, int]:
    """Wrong answers on the evaluation images, and how many images there are."""
    errors = total = 0
    for batch in dataset.evaluation():
        wrong = logits(batch.signal, classifier).argmax(axis=1) != batch.label
        errors += int(np.sum(wrong & batch.mask))
        total += int(np.sum(batch.mask))
    return errors, total


def main(arguments: list[str] | None = None) -> None:
    """Train, measure, write."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data-dir", type=Path, default=None, help="folder with mnist/ in it (or MEANFLOW_DATA_DIR)")
    parser.add_argument("--out", type=Path, default=MNIST_CLASSIFIER, help="folder for weights and model card")
    parser.add_argument("--epochs", type=int, default=6)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args(arguments)

    config = ClassifierConfig()
    dataset = Mnist(
        data_directory=options.data_dir, batch_size=BATCH_SIZE, split="train", seed=options.seed, validation_size=0
    )
    test_set = Mnist(data_directory=options.data_dir, batch_size=500, split="test")
    classifier = train(dataset, config, num_epochs=options.epochs, seed=options.seed)
    errors, total = count_errors(test_set, classifier)
    options.out.mkdir(parents=True, exist_ok=True)
    write_classifier(options.out, config, classifier)
    card = MODEL_CARD.format(
        parameters=sum(leaf.size for leaf in jax.tree.leaves(classifier)),
        features=config.num_features,
        epochs=options.epochs,
        shift=LARGEST_SHIFT,
        smoothing=LABEL_SMOOTHING,
        seed=options.seed,
        accuracy=100 * (1 - errors / total),
        errors=errors,
    )
    (options.out / ".card.tmp").write_text(card, encoding="utf-8")
    os.replace(options.out / ".card.tmp", options.out / "README.md")
    print(f"{errors} errors in {total}; written to {options.out}")


if __name__ == "__main__":
    main()
