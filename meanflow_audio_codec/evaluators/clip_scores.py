"""The metrics of decoded clips: which there are, one clip, and many clips on several processes."""

from collections.abc import Callable, Generator, Iterable
from contextlib import closing
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np
from jaxtyping import Float

from meanflow_audio_codec.errors import InputError
from meanflow_audio_codec.evaluators.audio import mel_distances, perceptual, reconstruction
from meanflow_audio_codec.evaluators.metric_errors import MissingPackageError, NotMeasurableError
from meanflow_audio_codec.evaluators.panel import distillmos, dnsmos, plcmos, speaker_similarity, word_error_rate
from meanflow_audio_codec.processes.process_pool import ProcessEndedError, in_processes


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
    value and is named in `missing`. `payload_bits` is what a codec coded the clip in, where one did.
    """

    name: str
    seconds: float
    scores: dict[str, float | None]
    reasons: dict[str, str] = field(default_factory=dict)
    missing: tuple[str, ...] = ()
    has_transcript: bool = False
    payload_bits: int | None = None


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
    """Scores of one decoded clip; a metric that fails on it has no value, and what went wrong as its reason.

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
        except Exception as error:  # a fault in one metric on one clip must not cost all other results
            scores[metric] = None
            reasons[metric] = reason_of(error)
    return ClipScores(name, len(reference) / sample_rate, scores, reasons, tuple(missing), bool(transcript))


def without_scores(name: str, reason: str, metrics: tuple[str, ...], *, seconds: float) -> ClipScores:
    """A clip that could not be decoded, or not be read: no metric has a value, for this reason."""
    return ClipScores(name, seconds, dict.fromkeys(metrics), dict.fromkeys(metrics, reason))


def reason_of(error: Exception) -> str:
    """What went wrong, on one line; the kind of error where it is not one that was foreseen."""
    text = " ".join(str(error).split())[:200]
    return text if isinstance(error, InputError) else f"unexpected {type(error).__name__}: {text}"


def check_scoring(jobs: int, slow_every: int) -> None:
    """Refuse numbers that make no sense.

    Raises:
        InputError: one is below 1.
    """
    if jobs < 1:
        raise InputError(f"the number of jobs must be 1 or more, not {jobs}")
    if slow_every < 1:
        raise InputError(f"slow metrics are computed on every clip (1) or every N-th, not {slow_every}")


def metrics_of_clip(index: int, metrics: tuple[str, ...], slow_every: int) -> tuple[str, ...]:
    """The metrics of the clip with this number: all of the first, so the same clips are chosen for every system."""
    return tuple(name for name in metrics if not METRICS[name].slow) if index % slow_every else metrics


def score_clips(
    pairs: Iterable[ClipPair], metrics: tuple[str, ...] = DEFAULT_METRICS, *, jobs: int = 1, slow_every: int = 1
) -> list[ClipScores]:
    """Scores of every clip, in order, computed by `jobs` processes; slow metrics on every `slow_every`-th clip only."""
    found = scores_as_they_come(enumerate(pairs), metrics, jobs=jobs, slow_every=slow_every)
    return [scores for _, scores in sorted(found, key=lambda each: each[0])]


def scores_as_they_come(
    pairs: Iterable[tuple[int, ClipPair]],
    metrics: tuple[str, ...] = DEFAULT_METRICS,
    *,
    jobs: int = 1,
    slow_every: int = 1,
) -> Generator[tuple[int, ClipScores], None, None]:
    """The number and the scores of each clip, as soon as they are known.

    A clip on which a process ends, killed or by a fault in compiled code, has that as its reason; the others go on.
    """
    names = check_metrics(metrics)
    check_scoring(jobs, slow_every)
    asked = ((pair, metrics_of_clip(index, names, slow_every), index) for index, pair in pairs)
    if jobs == 1:
        for pair, chosen, index in asked:
            yield index, score_clip(pair, chosen)
        return
    with closing(in_processes(_scorer, asked, jobs)) as answers:
        for _, (pair, chosen, index), answer in answers:
            if isinstance(answer, ProcessEndedError):
                seconds = len(pair.reference) / pair.sample_rate
                reason = f"{answer} while it computed the metrics"
                yield index, without_scores(pair.name, reason, chosen, seconds=seconds)
            else:
                yield index, answer


Asked = tuple[ClipPair, tuple[str, ...], int]


def _scorer() -> Callable[[Asked], ClipScores]:
    return _score


def _score(asked: Asked) -> ClipScores:
    return score_clip(*asked[:2])


def _unusable(reference: np.ndarray, decoded: np.ndarray) -> str:
    if len(reference) == 0:
        return "the clip is empty"
    if not (np.isfinite(reference).all() and np.isfinite(decoded).all()):
        return "the clip holds values that are not finite"
    return "" if np.any(reference) else "the original is silent"
