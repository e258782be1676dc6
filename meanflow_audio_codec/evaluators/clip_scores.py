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
from meanflow_audio_codec.evaluators.metric_errors import MissingPackageError, NotMeasurableError
from meanflow_audio_codec.evaluators.panel import distillmos, dnsmos, plcmos, speaker_similarity, word_error_rate


class ClipPair(NamedTuple):
    """An original and what was decoded, equally long, mono, full scale 1; and what is said in it, if that is known."""

    name: str
    reference: Float[np.ndarray, " samples"]
    decoded: Float[np.ndarray, " samples"]
    sample_rate: int
    transcript: str = ""


class Metric(NamedTuple):
    """A function of a clip, its heading, and which direction is better.

    `of_original`: the original has a score of its own, which is no ceiling by definition. `slow`: takes about as long
    as the clip, or longer.
    """

    function: Callable[[ClipPair], float]
    heading: str
    higher_is_better: bool
    of_original: bool = False
    slow: bool = False


def _compare(function: Callable[[np.ndarray, np.ndarray, int], float]) -> Callable[[ClipPair], float]:
    """A metric of (reference, decoded, sample rate)."""
    return lambda pair: function(pair.reference, pair.decoded, pair.sample_rate)


def _listen(function: Callable[[np.ndarray, int], float]) -> Callable[[ClipPair], float]:
    """A blind metric, of (decoded, sample rate)."""
    return lambda pair: function(pair.decoded, pair.sample_rate)


METRICS: dict[str, Metric] = {
    "si_sdr": Metric(lambda pair: reconstruction.scale_invariant_sdr(*pair[1:3]), "SI-SDR (dB)", True),
    "snr": Metric(lambda pair: reconstruction.signal_to_noise_ratio(*pair[1:3]), "SNR (dB)", True),
    "lsd": Metric(_compare(reconstruction.log_spectral_distance), "LSD", False),
    "mel": Metric(_compare(reconstruction.mel_distance), "mel", False),
    "mrmel": Metric(_compare(mel_distances.multi_resolution_mel_distance), "multi-resolution mel", False),
    "mrstft": Metric(
        lambda pair: reconstruction.multi_resolution_stft_distance(*pair[1:3]), "multi-resolution STFT", False
    ),
    "estoi": Metric(_compare(perceptual.estoi), "ESTOI", True),
    "pesq": Metric(_compare(perceptual.pesq_wideband), "PESQ", True),
    "visqol": Metric(_compare(perceptual.visqol_speech), "ViSQOL", True, slow=True),
    "visqol_audio": Metric(_compare(perceptual.visqol_audio), "ViSQOL audio", True, slow=True),
    "dnsmos_ovrl": Metric(_listen(dnsmos.dnsmos_overall), "DNSMOS OVRL", True, of_original=True, slow=True),
    "dnsmos_p808": Metric(_listen(dnsmos.dnsmos_p808), "DNSMOS P.808", True, of_original=True),
    "distillmos": Metric(_listen(distillmos.distillmos), "DistillMOS", True, of_original=True, slow=True),
    "plcmos": Metric(_listen(plcmos.plcmos), "PLCMOS", True, of_original=True),
    "speaker_similarity": Metric(_compare(speaker_similarity.speaker_similarity), "speaker similarity", True),
    "word_error_rate": Metric(
        lambda pair: word_error_rate.word_error_rate(*pair[1:]), "word error rate", False, of_original=True, slow=True
    ),
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
    has_transcript: bool = False


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
    name, reference, decoded, sample_rate, transcript = pair
    if len(reference) != len(decoded):
        raise ValueError(f"{name}: {len(decoded)} decoded samples for {len(reference)}; cut or fill up before scoring")
    scores: dict[str, float | None] = {}
    reasons: dict[str, str] = {}
    missing: list[str] = []
    unusable = _unusable(reference, decoded)
    for metric in check_metrics(metrics):
        try:
            if unusable:
                raise NotMeasurableError(unusable)
            scores[metric] = METRICS[metric].function(pair)
        except MissingPackageError:
            missing.append(metric)
        except NotMeasurableError as error:
            scores[metric] = None
            reasons[metric] = str(error)
    return ClipScores(name, len(reference) / sample_rate, scores, reasons, tuple(missing), bool(transcript))


def score_clips(
    pairs: Iterable[ClipPair], metrics: tuple[str, ...] = DEFAULT_METRICS, *, jobs: int = 1, slow_every: int = 1
) -> list[ClipScores]:
    """Scores of every clip, in order, computed by `jobs` processes; slow metrics on every `slow_every`-th clip only.

    The first clip always has all of them, so the same clips are chosen for every system.
    """
    names = check_metrics(metrics)
    if jobs < 1:
        raise InputError(f"the number of jobs must be 1 or more, not {jobs}")
    if slow_every < 1:
        raise InputError(f"slow metrics are computed on every clip (1) or every N-th, not {slow_every}")
    quick = tuple(name for name in names if not METRICS[name].slow)
    asked = ((pair, quick if index % slow_every else names) for index, pair in enumerate(pairs))
    if jobs == 1:
        return [score_clip(*each) for each in asked]
    # Not forked: the parent may have JAX's threads running, and a forked child could wait for their locks for ever.
    with ProcessPoolExecutor(jobs, mp_context=get_context("spawn")) as pool:
        return list(pool.map(score_clip, *zip(*asked, strict=True)))


def _unusable(reference: np.ndarray, decoded: np.ndarray) -> str:
    if len(reference) == 0:
        return "the clip is empty"
    if not (np.isfinite(reference).all() and np.isfinite(decoded).all()):
        return "the clip holds values that are not finite"
    return "" if np.any(reference) else "the original is silent"
