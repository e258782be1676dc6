"""What the shipped word classifier says of short clips: features, class scores, and the accuracy of requested words."""

from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx
from jaxtyping import Float, Int

from meanflow_audio_codec.evaluators.classifiers.classifier_weights import read_weights
from meanflow_audio_codec.models.classifiers.word_classifier import WordClassifier, WordClassifierConfig
from meanflow_audio_codec.preprocessing.mel import mel_filters
from meanflow_audio_codec.preprocessing.resampling import resample

WORD_CLASSIFIER = Path(__file__).resolve().parents[2] / "weights" / "word-classifier"
CLASS_NAMES = (*map(str, range(10)), "computer", "jarvis", "smart_mirror", "snowboy", "view_glass")
SAMPLE_RATE = 16_000
WINDOW = 400  # samples, 25 ms
HOP = 160  # samples, 10 ms
FFT_LENGTH = 512
# Clips per call of the network; the last call is filled up, so that one compilation serves every number of clips.
BATCH_SIZE = 100


def mel_power(clip: Float[np.ndarray, " samples"], num_bands: int) -> Float[np.ndarray, "frames bands"]:
    """Power in mel bands of 16 kHz audio, one frame every 10 ms, the first centred on the first sample.

    The level of the whole clip is brought to 1 first; silence stays 0.
    """
    clip = np.asarray(clip, np.float64)
    level = float(np.sqrt(np.mean(clip**2))) if len(clip) else 0.0
    padded = np.pad(clip / level if level > 0.0 else clip, WINDOW // 2)
    window = 0.5 - 0.5 * np.cos(2.0 * np.pi * np.arange(WINDOW) / WINDOW)
    frames = np.lib.stride_tricks.sliding_window_view(padded, WINDOW)[::HOP]
    power = np.abs(np.fft.rfft(frames * window, FFT_LENGTH, axis=1)) ** 2
    return (power @ mel_filters(SAMPLE_RATE, FFT_LENGTH, num_bands)).astype(np.float32)


def centred(power: Float[np.ndarray, "frames bands"], num_frames: int) -> Float[np.ndarray, "{num_frames} bands"]:
    """So many frames: silence added at both ends of a shorter clip, the part of most energy of a longer one."""
    missing = num_frames - len(power)
    if missing >= 0:
        return np.pad(power, ((missing // 2, missing - missing // 2), (0, 0)))
    total = np.concatenate([[0.0], np.cumsum(power.sum(axis=1, dtype=np.float64))])
    first = int(np.argmax(total[num_frames:] - total[:-num_frames]))
    return power[first : first + num_frames]


def read_word_classifier(folder: Path) -> WordClassifier:
    """The classifier in a folder that the tool `train_word_classifier` wrote.

    Raises:
        ValueError: names or shapes of the weights differ from those of the configuration.
    """
    return read_weights(folder, lambda values: WordClassifier(WordClassifierConfig(**values), rngs=nnx.Rngs(0)))


@lru_cache(maxsize=1)
def load_word_classifier() -> WordClassifier:
    """The word classifier that comes with the package; its model card lies beside the weights."""
    return read_word_classifier(WORD_CLASSIFIER)


def word_features(
    clips: Sequence[Float[np.ndarray, " _"]], sample_rate: int, classifier: WordClassifier | None = None
) -> Float[np.ndarray, "b d"]:
    """Feature vectors of mono clips of any lengths and levels, of the shipped classifier if none is given."""
    return _in_batches(classifier or load_word_classifier(), clips, sample_rate)[0]


def word_logits(
    clips: Sequence[Float[np.ndarray, " _"]], sample_rate: int, classifier: WordClassifier | None = None
) -> Float[np.ndarray, "b classes"]:
    """Unnormalised log-probabilities of `CLASS_NAMES` for mono clips of any lengths and levels."""
    return _in_batches(classifier or load_word_classifier(), clips, sample_rate)[1]


def word_accuracy(
    clips: Sequence[Float[np.ndarray, " _"]],
    labels: Int[np.ndarray, " b"],
    sample_rate: int,
    classifier: WordClassifier | None = None,
) -> float:
    """Share of clips that the classifier takes for the word they are meant to be, an index into `CLASS_NAMES`."""
    return float(np.mean(word_logits(clips, sample_rate, classifier).argmax(axis=1) == labels))


@jax.jit
def _features_and_logits(classifier: WordClassifier, power: jax.Array) -> tuple[jax.Array, jax.Array]:
    vectors = classifier.features(power)
    return vectors, classifier.logits(vectors)


def _in_batches(
    classifier: WordClassifier, clips: Sequence[np.ndarray], sample_rate: int
) -> tuple[np.ndarray, np.ndarray]:
    if len(clips) == 0:
        raise ValueError("there are no clips to classify")
    results = []
    for first in range(0, len(clips), BATCH_SIZE):
        power = np.zeros((BATCH_SIZE, classifier.num_frames, classifier.num_bands), np.float32)
        for row, clip in zip(power, clips[first : first + BATCH_SIZE], strict=False):
            row[:] = centred(
                mel_power(resample(clip, sample_rate, SAMPLE_RATE), classifier.num_bands), classifier.num_frames
            )
        results.append(_features_and_logits(classifier, jnp.asarray(power)))
    vectors, scores = (np.concatenate(parts)[: len(clips)] for parts in zip(*results, strict=True))
    return vectors, scores
