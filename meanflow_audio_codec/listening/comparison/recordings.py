"""A recording and what codecs made of it: sounds, bit rates and scores."""

from dataclasses import dataclass, field

import numpy as np
from jaxtyping import Float

from meanflow_audio_codec.evaluators.clip_scores import METRICS, ClipPair, score_clip
from meanflow_audio_codec.evaluators.metric_marks import MetricMarks


@dataclass(frozen=True)
class Version:
    """What one codec made of a recording, or the original itself.

    `bits_per_second` are of the payload, None where nobody knows them; `stated` if they were given and not counted.
    """

    title: str
    detail: str
    audio: Float[np.ndarray, "channels samples"]
    bits_per_second: float | None
    stated: bool = False
    marks: MetricMarks | None = None


@dataclass(frozen=True)
class Scored:
    """A version with its scores; metrics that are not defined for it are None, those without a package are missing."""

    version: Version
    scores: dict[str, float | None] = field(default_factory=dict)
    missing: tuple[str, ...] = ()


@dataclass(frozen=True)
class Recording:
    """A recording in several versions, all of one shape: the original first."""

    name: str
    sample_rate: int
    versions: tuple[Scored, ...]

    @property
    def seconds(self) -> float:
        """How long it is."""
        return self.versions[0].version.audio.shape[1] / self.sample_rate


def scored_recording(name: str, sample_rate: int, versions: list[Version], metrics: tuple[str, ...]) -> Recording:
    """The versions with their scores against the first; of the first, in the metrics that score it by itself.

    Scores are those of the sounds before their levels are matched, of the mean of their channels.
    """
    original = versions[0].audio.mean(axis=0)
    scored = []
    for number, version in enumerate(versions):
        chosen = metrics if number else tuple(metric for metric in metrics if METRICS[metric].of_original)
        pair = ClipPair(name, original, version.audio.mean(axis=0), sample_rate)
        scores = score_clip(pair, chosen)
        scored.append(Scored(version, scores.scores, scores.missing))
    return Recording(name, sample_rate, tuple(scored))
