"""Scores of a codec cell: encode the test items, decode the bytes, compare."""

import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from jaxtyping import Float, Int

from meanflow_audio_codec.evaluators.audio.reconstruction import mean_squared_error, peak_signal_to_noise_ratio
from meanflow_audio_codec.evaluators.clip_scores import ClipPair, score_clips
from meanflow_audio_codec.evaluators.sets.frechet import frechet_distance
from meanflow_audio_codec.evaluators.sets.kernel_distance import kernel_distance
from meanflow_audio_codec.evaluators.sets.precision_recall import precision_and_recall
from meanflow_audio_codec.evaluators.structural_similarity import structural_similarity
from meanflow_audio_codec.inference.pretrained import PretrainedModel
from meanflow_audio_codec.study.cells import StudyCell
from meanflow_audio_codec.study.scoring.panel_scores import panel_scores
from meanflow_audio_codec.study.scoring.scores import Scores, Setting, setting_figures
from meanflow_audio_codec.study.scoring.segment_codec import EncodedSignals, SegmentCodec, fit_side_coder
from meanflow_audio_codec.study.scoring.test_items import Items, coded_words, side_clips, test_signals

CLIP_METRICS = ("si_sdr", "lsd", "mel", "mrmel", "pesq", "estoi")
NUM_SHOWN = {"mnist": 16, "audio": 4}


def codec_scores(
    cell: StudyCell, pretrained: PretrainedModel, data_directory: Path | None, settings: list[Setting]
) -> Iterator[Scores]:
    """Scores under each setting; what is encoded is encoded once.

    Raises:
        InputError: the data cannot be found.
    """
    items = test_signals(cell, data_directory)
    side_coder = fit_side_coder(pretrained, side_clips(cell, data_directory).signals)
    codec = SegmentCodec(pretrained, side_coder)
    encoded = codec.encode(items.signals)
    payloads = codec.to_bytes(encoded)
    num_tokens = encoded.codes.shape[1]
    decoded_bytes = codec.from_bytes(payloads, num_tokens)
    rate = _rate(codec, encoded, payloads, items)
    words = coded_words(cell, data_directory)
    encoded_words = None if words is None else codec.encode(words.signals)
    for number, setting in enumerate(settings):
        decoded = _decode(codec, decoded_bytes, items, setting)
        start = time.perf_counter()
        _decode(codec, decoded_bytes, items, setting)  # again, now compiled: the time that counts
        milliseconds = (time.perf_counter() - start) * 1000.0 / len(items.signals)
        figures = setting_figures(cell, setting) | rate | {"milliseconds_per_item": milliseconds}
        if cell.dataset == "mnist":
            per_item, more = _image_scores(items, decoded)
        else:
            per_item, more = _clip_scores(items, decoded)
            # The first setting is the one that the cell's row stands for.
            of_panel, panel_figures = panel_scores(items, decoded, with_slow=number == 0)
            per_item, more = per_item | of_panel, more | panel_figures
            if words is not None and encoded_words is not None:
                per_item, more = _add_word_scores(per_item, more, words, _decode(codec, encoded_words, words, setting))
        yield Scores(
            figures | more,
            per_item,
            decoded[: NUM_SHOWN[cell.dataset]],
            None if items.labels is None else items.labels[: NUM_SHOWN[cell.dataset]],
            items.sample_rate,
        )


def _decode(codec: SegmentCodec, encoded: EncodedSignals, items: Items, setting: Setting) -> np.ndarray:
    return codec.decode(
        encoded, items.signals.shape[1:], seed=0, num_steps=setting.num_steps, temperature=setting.temperature
    )


def _rate(
    codec: SegmentCodec, encoded: EncodedSignals, payloads: list[bytes], items: Items
) -> dict[str, float | int | str]:
    bits = float(np.mean([8 * len(payload) for payload in payloads]))
    code_bits = codec.code_bits_per_token * encoded.codes.shape[1]
    figures: dict[str, float | int | str] = {
        "num_items": len(payloads),
        "bits_per_item": bits,
        "code_bits_per_item": code_bits,
        "side_bits_per_item": bits - code_bits if encoded.side.shape[2] else 0.0,
        "codebook_use": _code_entropy(encoded.codes) / codec.code_bits_per_token,
    }
    if items.sample_rate is not None:
        figures["kilobits_per_second"] = bits / 1000.0 / (items.signals.shape[1] / items.sample_rate)
    return figures


def _code_entropy(codes: Int[np.ndarray, "b n q"]) -> float:
    """Bits per token of the codes' histograms, each column on its own."""
    total = 0.0
    for column in codes.reshape(-1, codes.shape[-1]).T:
        share = np.bincount(column) / len(column)
        total -= float(np.sum(share * np.log2(np.maximum(share, 1e-12))))
    return total


def _image_scores(
    items: Items, decoded: Float[np.ndarray, "b 28 28"]
) -> tuple[dict[str, np.ndarray], dict[str, float]]:
    from meanflow_audio_codec.evaluators.classifiers.digit_classification import features, load_mnist_classifier, logits

    clipped = np.clip(decoded, -1.0, 1.0)
    per_item = {
        "mse": mean_squared_error(items.signals, clipped),
        "psnr": peak_signal_to_noise_ratio(items.signals, clipped),
        "ssim": structural_similarity(items.signals, clipped),
    }
    classifier = load_mnist_classifier()
    if items.labels is not None:
        per_item["correct"] = logits(clipped, classifier).argmax(axis=1) == items.labels
    figures = {name: float(np.mean(values)) for name, values in per_item.items()}
    if "correct" in figures:
        figures["accuracy"] = figures.pop("correct")
    real, coded = features(items.signals, classifier), features(clipped, classifier)
    figures["frechet_distance"] = frechet_distance(coded, real)
    figures["kernel_distance"] = kernel_distance(coded, real, seed=0).mean
    figures |= precision_and_recall(real, coded)._asdict()
    return {name: values.astype(np.float32) for name, values in per_item.items()}, figures


def _clip_scores(
    items: Items, decoded: Float[np.ndarray, "b samples"]
) -> tuple[dict[str, np.ndarray], dict[str, float]]:
    rate = items.sample_rate or 0
    pairs = [
        ClipPair(str(index), one, other, rate)
        for index, (one, other) in enumerate(zip(items.signals, decoded, strict=True))
    ]
    scores = score_clips(pairs, CLIP_METRICS)
    per_item = {}
    for metric in CLIP_METRICS:
        values = [clip.scores.get(metric) for clip in scores]
        numbers = np.array([np.nan if value is None else value for value in values], np.float32)
        if np.isfinite(numbers).any():  # a metric whose package is missing has no column
            per_item[metric] = numbers
    return per_item, {name: float(np.nanmean(values)) for name, values in per_item.items()}


def _add_word_scores(
    per_item: dict[str, np.ndarray], figures: dict[str, float | str], words: Items, decoded: np.ndarray
) -> tuple[dict[str, np.ndarray], dict[str, float | str]]:
    from meanflow_audio_codec.evaluators.classifiers.word_classification import word_features, word_logits

    if words.labels is None or words.sample_rate is None:
        raise ValueError("spoken words need labels and a sample rate")
    correct = word_logits(list(decoded), words.sample_rate).argmax(axis=1) == words.labels
    real, coded = (word_features(list(clips), words.sample_rate) for clips in (words.signals, decoded))
    figures |= {"accuracy": float(correct.mean()), "frechet_distance": frechet_distance(coded, real)}
    return per_item | {"correct_words": correct.astype(np.float32)}, figures
