"""Train the word classifier that measures coded and generated speech, and write its weights and model card.

`python -m meanflow_audio_codec.tools.train_word_classifier --data-dir DATA` takes about eight minutes on one CPU core.
"""

import argparse
import os
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple, cast

import jax
import jax.numpy as jnp
import numpy as np
import optax
from flax import nnx
from jaxtyping import Float, Int

from meanflow_audio_codec.datasets.audio.audio_folder import AudioFolder
from meanflow_audio_codec.datasets.data_directory import find_data_directory
from meanflow_audio_codec.evaluators.classifiers.classifier_weights import write_weights
from meanflow_audio_codec.evaluators.classifiers.word_classification import (
    CLASS_NAMES,
    SAMPLE_RATE,
    WORD_CLASSIFIER,
    mel_power,
    read_word_classifier,
    word_logits,
)
from meanflow_audio_codec.models.classifiers.word_classifier import WordClassifier, WordClassifierConfig
from meanflow_audio_codec.preprocessing.resampling import resample
from meanflow_audio_codec.tools.spectrogram_augmentation import augment

BATCH_SIZE = 32
PEAK_LEARNING_RATE = 3e-3
WEIGHT_DECAY = 0.05
LABEL_SMOOTHING = 0.1
AVERAGING_DECAY = 0.995
# Versions of each training clip at other speeds, which move pitch and formants together, spread over +-0.36 octaves.
NUM_VERSIONS = 8
LARGEST_SPEED_CHANGE = 0.36
SOURCE_FRAMES = 200
NUM_STEPS = 3000
FOLDERS = ("digits", "keywords")
LABEL_COLUMNS = ("digit", "keyword")
NUM_DIGITS = 10

MODEL_CARD = """\
---
license: cc-by-sa-4.0
library_name: meanflow_audio_codec
tags: [audio-classification, spoken-digits, keyword-spotting]
---

# Word classifier

Judges coded and generated speech: accuracy on spoken digits and keywords, and the features of the Fréchet and
kernel distances.
It is a measuring instrument of this package and not meant for recognising speech.

- **Input**: a clip of any length, resampled to 16 kHz, level removed, log mel spectrogram; **output**: {features}
  features, 15 classes (digits
  0 to 9, computer, jarvis, smart_mirror, snowboy, view_glass).
- **Network**: a small ConvNet, {parameters:,} parameters, stored in half precision.

## Data, licences, attribution

- Digits: Zohar Jackson and others, Free Spoken Digit Dataset, CC BY-SA 4.0. Training: speakers jackson, lucas,
  theo; validation: nicolas;
  test: yweweler. These weights are an adaptation of it, hence their licence.
- Keywords: Picovoice, wake-word-benchmark, Apache License 2.0. Speakers are not published and may occur in several
  splits.

## Recipe

`python -m meanflow_audio_codec.tools.train_word_classifier --data-dir DATA --seed {seed}`: {steps} steps of {batch}
clips, AdamW, label smoothing {smoothing}, averaged
weights; training clips at several speeds, with warped frequencies, filters, noise, gains, shifts and masks.
Everything was chosen on the
validation split.

## Figures

| split | digits (one unheard speaker) | keywords | commonest errors |
| --- | --- | --- | --- |
| validation | {valid_digits:.1f} % | {valid_keywords:.1f} % | {valid_confusions} |
| test | {test_digits:.1f} % | {test_keywords:.1f} % | {test_confusions} |

## Limits

Three training speakers of digits, all men, recorded at 8 kHz: an unheard voice is often misheard, so compare
accuracies on the same
clips only, beside that of the originals. Not for wide-band quality.
"""


class WordSpectra(NamedTuple):
    """Mel power of every version of every training clip, filled up with silence; frames that count, and classes."""

    power: Float[np.ndarray, "clips versions frames bands"]
    lengths: Int[np.ndarray, "clips versions"]
    labels: Int[np.ndarray, " clips"]


def clips_and_labels(data_directory: Path, split: str) -> tuple[list[np.ndarray], Int[np.ndarray, " clips"]]:
    """Whole clips of a split at 16 kHz, and their classes."""
    folder = AudioFolder(
        folders=tuple(data_directory / name for name in FOLDERS),
        sample_rate=SAMPLE_RATE,
        crop_samples=1,
        batch_size=1,
        split=split,
        label_columns=LABEL_COLUMNS,
    )
    clips, labels = [], []
    for _, samples, row in folder.clips():
        clips.append(samples)
        labels.append(CLASS_NAMES.index(next(row[column] for column in LABEL_COLUMNS if row.get(column))))
    return clips, np.array(labels, np.int32)


def training_spectra(
    clips: list[np.ndarray], labels: Int[np.ndarray, " clips"], num_bands: int, seed: int
) -> WordSpectra:
    """Spectra of every clip at `NUM_VERSIONS` random speeds, cut to `SOURCE_FRAMES`."""
    random = np.random.Generator(np.random.Philox(key=np.array([seed, 0], np.uint64)))
    power = np.zeros((len(clips), NUM_VERSIONS, SOURCE_FRAMES, num_bands), np.float32)
    lengths = np.zeros((len(clips), NUM_VERSIONS), np.int32)
    edges = np.linspace(-LARGEST_SPEED_CHANGE, LARGEST_SPEED_CHANGE, NUM_VERSIONS + 1)
    for number, clip in enumerate(clips):
        for version in range(NUM_VERSIONS):
            speed = 2.0 ** random.uniform(edges[version], edges[version + 1])
            frames = mel_power(resample(clip, round(SAMPLE_RATE * speed), SAMPLE_RATE), num_bands)[:SOURCE_FRAMES]
            power[number, version, : len(frames)] = frames
            lengths[number, version] = len(frames)
    return WordSpectra(power, lengths, labels)


def make_step(optimizer: optax.GradientTransformation, num_frames: int) -> Callable:
    """A jitted update of (model, averaged model, optimizer state) on one random batch."""

    @jax.jit
    def step(model, averaged, state, spectra, key):
        clip_key, version_key, augmentation_key = jax.random.split(key, 3)
        clip = jax.random.randint(clip_key, (BATCH_SIZE,), 0, len(spectra.labels))
        version = jax.random.randint(version_key, (BATCH_SIZE,), 0, NUM_VERSIONS)
        power = augment(spectra.power[clip, version], spectra.lengths[clip, version], num_frames, augmentation_key)
        targets = optax.smooth_labels(jax.nn.one_hot(spectra.labels[clip], len(CLASS_NAMES)), LABEL_SMOOTHING)

        def loss_of(model):
            return optax.softmax_cross_entropy(model(power), targets).mean()

        loss, gradient = jax.value_and_grad(loss_of)(model)
        updates, state = optimizer.update(gradient, state, model)
        model = optax.apply_updates(model, updates)
        averaged = optax.incremental_update(model, averaged, 1.0 - AVERAGING_DECAY)
        return model, averaged, state, loss

    return step


def train(
    spectra: WordSpectra,
    config: WordClassifierConfig,
    *,
    num_steps: int,
    seed: int,
    report: Callable[[int, float, WordClassifier], None],
) -> WordClassifier:
    """The classifier with exponentially averaged weights after `num_steps` batches."""
    schedule = optax.cosine_onecycle_schedule(num_steps, peak_value=PEAK_LEARNING_RATE, pct_start=0.2)
    optimizer = optax.chain(
        optax.clip_by_global_norm(1.0),
        optax.adamw(
            schedule,
            weight_decay=WEIGHT_DECAY,
            mask=lambda parameters: jax.tree.map(lambda leaf: leaf.ndim > 1, parameters),
        ),
    )
    model = averaged = jax.jit(lambda: WordClassifier(config, rngs=nnx.Rngs(seed)))()
    state = optimizer.init(cast(optax.Params, model))
    step = make_step(optimizer, config.num_frames)
    spectra = jax.tree.map(jnp.asarray, spectra)
    key = jax.random.key(seed)
    losses = []
    for i in range(num_steps):
        model, averaged, state, loss = step(model, averaged, state, spectra, jax.random.fold_in(key, i))
        losses.append(loss)
        if len(losses) == 200 or i + 1 == num_steps:
            report(i + 1, float(np.mean(losses)), averaged)
            losses = []
    return averaged


def confusion(classifier: WordClassifier, clips: list[np.ndarray], labels: Int[np.ndarray, " clips"]) -> np.ndarray:
    """How many clips of each class (rows) are taken for each class (columns)."""
    counts = np.zeros((len(CLASS_NAMES), len(CLASS_NAMES)), int)
    np.add.at(counts, (labels, word_logits(clips, SAMPLE_RATE, classifier).argmax(axis=1)), 1)
    return counts


def share_correct(counts: np.ndarray, *, keywords: bool) -> float:
    """Share of right answers among the clips of digits, or of keywords, whatever they were taken for."""
    rows = slice(NUM_DIGITS, None) if keywords else slice(NUM_DIGITS)
    return float(np.trace(counts[rows, rows]) / counts[rows].sum())


def confusions(counts: np.ndarray, most: int) -> str:
    """The commonest wrong answers in words."""
    wrong = counts - np.diag(np.diag(counts))
    order = np.argsort(-wrong, axis=None, kind="stable")[:most]
    pairs = [np.unravel_index(index, wrong.shape) for index in order if wrong.flat[index]]
    return ", ".join(f"{CLASS_NAMES[i]} as {CLASS_NAMES[j]} ({wrong[i, j]} of {counts[i].sum()})" for i, j in pairs)


def main(arguments: list[str] | None = None) -> None:
    """Train, write, measure what was written."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data-dir", type=Path, default=None, help="folder with digits/ and keywords/ in it")
    parser.add_argument("--out", type=Path, default=WORD_CLASSIFIER, help="folder for weights and model card")
    parser.add_argument("--steps", type=int, default=NUM_STEPS)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--validation-only", action="store_true", help="leave the test clips unused, and write no card")
    options = parser.parse_args(arguments)
    data_directory = find_data_directory(options.data_dir)

    config = WordClassifierConfig()
    clips, labels = clips_and_labels(data_directory, "train")
    spectra = training_spectra(clips, labels, config.num_bands, options.seed)
    valid_clips, valid_labels = clips_and_labels(data_directory, "valid")

    def report(step: int, loss: float, classifier: WordClassifier) -> None:
        counts = confusion(classifier, valid_clips, valid_labels)
        print(f"step {step} of {options.steps}: loss {loss:.3f}, validation: {percentages(counts)}", flush=True)

    classifier = train(spectra, config, num_steps=options.steps, seed=options.seed, report=report)
    options.out.mkdir(parents=True, exist_ok=True)
    write_weights(options.out, config, classifier, dtype=np.float16)
    # What is measured is what was written, rounded to half precision.
    written = read_word_classifier(options.out)
    splits = ("valid",) if options.validation_only else ("valid", "test")
    counts = {split: confusion(written, *clips_and_labels(data_directory, split)) for split in splits}
    for split in splits:
        print(f"{split}: {percentages(counts[split])}; {confusions(counts[split], 8)}")
    if options.validation_only:
        return
    card = MODEL_CARD.format(
        parameters=sum(leaf.size for leaf in jax.tree.leaves(classifier)),
        features=config.num_features,
        steps=options.steps,
        batch=BATCH_SIZE,
        smoothing=LABEL_SMOOTHING,
        seed=options.seed,
        **{
            f"{split}_{name}": 100.0 * share_correct(counts[split], keywords=name == "keywords")
            for split in splits
            for name in ("digits", "keywords")
        },
        **{f"{split}_confusions": confusions(counts[split], 8) for split in splits},
    )
    (options.out / ".card.tmp").write_text(card, encoding="utf-8")
    os.replace(options.out / ".card.tmp", options.out / "README.md")
    print(f"written to {options.out}")


def percentages(counts: np.ndarray) -> str:
    """Right answers among digits and among keywords."""
    digits, keywords = (100.0 * share_correct(counts, keywords=keywords) for keywords in (False, True))
    return f"{digits:.1f} % of the digits, {keywords:.1f} % of the keywords"


if __name__ == "__main__":
    main()
