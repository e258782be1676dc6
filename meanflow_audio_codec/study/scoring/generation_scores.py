"""Scores of a generation cell: sample every label in turn, compare with real examples."""

import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from meanflow_audio_codec.evaluators.sets.frechet import frechet_distance
from meanflow_audio_codec.evaluators.sets.kernel_distance import kernel_distance
from meanflow_audio_codec.evaluators.sets.precision_recall import precision_and_recall
from meanflow_audio_codec.evaluators.statistics.bootstrap import bootstrap_set_metric
from meanflow_audio_codec.inference.generation import BATCH_SIZE, generate
from meanflow_audio_codec.inference.pretrained import PretrainedModel
from meanflow_audio_codec.study.cells import StudyCell
from meanflow_audio_codec.study.scoring.scores import Scores, Setting, setting_figures
from meanflow_audio_codec.study.scoring.test_items import real_examples

NUM_SHOWN_ROUNDS = {"mnist": 10, "words": 1}  # times every label


def generation_scores(
    cell: StudyCell, pretrained: PretrainedModel, data_directory: Path | None, settings: list[Setting]
) -> Iterator[Scores]:
    """Scores of `num_items` samples under each setting.

    Raises:
        InputError: the data cannot be found.
    """
    real = real_examples(cell, data_directory)
    num_classes = pretrained.config.decoder.num_classes
    labels = np.arange(cell.scale.num_items, dtype=np.int32) % num_classes
    real_features, _ = _judge(cell, real.signals, real.sample_rate)
    for index, setting in enumerate(settings):

        def draw(labels: np.ndarray, setting: Setting = setting) -> np.ndarray:
            return generate(
                pretrained,
                labels,
                seed=0,
                num_steps=setting.num_steps,
                temperature=setting.temperature,
                guidance_scale=setting.guidance_scale,
            )

        signals = draw(labels)
        start = time.perf_counter()
        draw(labels[:BATCH_SIZE])
        milliseconds = (time.perf_counter() - start) * 1000.0 / min(len(labels), BATCH_SIZE)
        features, scores = _judge(cell, signals, real.sample_rate)
        figures = setting_figures(cell, setting) | {
            "num_items": len(signals),
            "milliseconds_per_item": milliseconds,
            "frechet_distance": frechet_distance(features, real_features),
            "kernel_distance": kernel_distance(features, real_features, seed=0).mean,
        }
        if index == 0:
            # Of the row of the cell alone: fifty further distances, and the only spread there is with one seed.
            interval = bootstrap_set_metric(frechet_distance, features, real_features, seed=0)
            figures["frechet_half_width"] = interval.high - interval.mean
        figures |= precision_and_recall(real_features, features)._asdict()
        per_item = {}
        # The stand-in sounds of the smoke preset are no words.
        if cell.dataset == "mnist" or cell.preset != "smoke":
            per_item["correct"] = (scores.argmax(axis=1) == labels).astype(np.float32)
            figures["accuracy"] = float(per_item["correct"].mean())
        shown = NUM_SHOWN_ROUNDS[cell.dataset] * num_classes
        yield Scores(figures, per_item, signals[:shown], labels[:shown], real.sample_rate)


def _judge(cell: StudyCell, signals: np.ndarray, sample_rate: int | None) -> tuple[np.ndarray, np.ndarray]:
    """Features and class scores, by the classifier of the dataset."""
    if cell.dataset == "mnist":
        from meanflow_audio_codec.evaluators.classifiers.digit_classification import features, logits

        images = np.clip(signals, -1.0, 1.0)
        return features(images), logits(images)
    from meanflow_audio_codec.evaluators.classifiers.word_classification import word_features, word_logits

    if sample_rate is None:
        raise ValueError("spoken words need a sample rate")
    return word_features(list(signals), sample_rate), word_logits(list(signals), sample_rate)
