"""The metrics of decoded clips: which there are, one clip, and many clips on several processes."""

from collections.abc import Callable, Iterable
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field
from multiprocessing import get_context
from typing import NamedTuple

import numpy as np
from jaxtyping import Float

from meanflow_audio_codec.errors import InputError
from meanflow_audio_codec.evaluators.audio import mel_distances, perceptual, reconstruction


class Metric(NamedTuple):
    """A function of (reference, decoded, sample rate), its heading, and which direction is better."""

    function: Callable[[np.ndarray, np.ndarray, int], float]
    heading: str
    higher_is_better: bool


METRICS: dict[str, Metric] = {
    "si_sdr": Metric(lambda x, y, rate: reconstruction.scale_invariant_sdr(x, y), "SI-SDR (dB)", True),
    "snr": Metric(lambda x, y, rate: reconstruction.signal_to_noise_ratio(x, y), "SNR (dB)", True),
    "lsd": Metric(reconstruction.log_spectral_distance, "LSD", False),
    "mel": Metric(reconstruction.mel_distance, "mel", False),
    "mrmel": Metric(mel_distances.multi_resolution_mel_distance, "multi-resolution mel", False),
    "mrstft": Metric(
        lambda x, y, rate: reconstruction.multi_resolution_stft_distance(x, y), "multi-resolution STFT", False
    ),
    "estoi": Metric(perceptual.estoi, "ESTOI", True),
    "pesq": Metric(perceptual.pesq_wideband, "PESQ", True),
    "visqol": Metric(perceptual.visqol_speech, "ViSQOL", True),
}
DEFAULT_METRICS = ("si_sdr", "lsd", "mel", "estoi", "pesq")


@dataclass(frozen=True)
class ClipScores:
    """Scores of one clip.

    A metric that is not defined for the clip has the value None and a reason; one whose package is not installed has no
    value and is named in `missing`.
    """

    name: str
    seconds: float
    scores: dict[str, float | None]
    reasons: dict[str, str] = field(default_factory=dict)
    missing: tuple[str, ...] = ()


class ClipPair(NamedTuple):
    """An original and what was decoded, equally long, mono, full scale 1."""

    name: str
    reference: Float[np.ndarray, " samples"]
    decoded: Float[np.ndarray, " samples"]
    sample_rate: int


def check_metrics(metrics: Iterable[str]) -> tuple[str, ...]:
    """The names, if all are known.

    Raises:
        InputError: a metric is unknown.
    """
    names = tuple(metrics)
    unknown = [name for name in names if name not in METRICS]
    if unknown:
        raise InputError(f"unknown metric {', '.join(unknown)}: choose from {', '.join(METRICS)}")
    return names


def score_clip(pair: ClipPair, metrics: tuple[str, ...] = DEFAULT_METRICS) -> ClipScores:
    """Scores of one decoded clip.

    Raises:
        InputError: a metric is unknown.
        ValueError: original and decoded clip differ in length.
    """
    name, reference, decoded, sample_rate = pair
    if len(reference) != len(decoded):
        raise ValueError(f"{name}: {len(decoded)} decoded samples for {len(reference)}; cut or fill up before scoring")
    scores: dict[str, float | None] = {}
    reasons: dict[str, str] = {}
    missing: list[str] = []
    unusable = _unusable(reference, decoded)
    for metric in check_metrics(metrics):
        try:
            if unusable:
                raise perceptual.NotMeasurableError(unusable)
            scores[metric] = METRICS[metric].function(reference, decoded, sample_rate)
        except perceptual.MissingPackageError:
            missing.append(metric)
        except perceptual.NotMeasurableError as error:
            scores[metric] = None
            reasons[metric] = str(error)
    return ClipScores(name, len(reference) / sample_rate, scores, reasons, tuple(missing))


def score_clips(
    pairs: Iterable[ClipPair], metrics: tuple[str, ...] = DEFAULT_METRICS, *, jobs: int = 1
) -> list[ClipScores]:
    """Scores of every clip, in order, computed by `jobs` processes."""
    names = check_metrics(metrics)
    if jobs < 1:
        raise InputError(f"the number of jobs must be 1 or more, not {jobs}")
    if jobs == 1:
        return [score_clip(pair, names) for pair in pairs]
    pairs = list(pairs)
    # Not forked: the parent may have JAX's threads running, and a forked child could wait for their locks for ever.
    with ProcessPoolExecutor(jobs, mp_context=get_context("spawn")) as pool:
        return list(pool.map(score_clip, pairs, [names] * len(pairs)))


def _unusable(reference: np.ndarray, decoded: np.ndarray) -> str:
    if len(reference) == 0:
        return "the clip is empty"
    if not (np.isfinite(reference).all() and np.isfinite(decoded).all()):
        return "the clip holds values that are not finite"
    return "" if np.any(reference) else "the original is silent"
