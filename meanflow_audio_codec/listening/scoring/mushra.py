"""Scores of a MUSHRA test: the mean of each condition with its interval over listeners."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from meanflow_audio_codec.errors import InputError
from meanflow_audio_codec.evaluators.statistics.bootstrap import Interval, student_quantile
from meanflow_audio_codec.listening.scoring.answers import MushraAnswers
from meanflow_audio_codec.listening.scoring.screening import Screening, screen

CONFIDENCE = 0.95


@dataclass(frozen=True)
class ConditionScore:
    """One condition: its mean rating with interval, of all recordings and of each; and each listener's mean."""

    condition: str
    mean: Interval
    by_recording: dict[str, Interval]
    by_listener: dict[str, float]


@dataclass(frozen=True)
class MushraScores:
    """Every condition, the best first, and who was left out."""

    conditions: tuple[ConditionScore, ...]
    listeners: tuple[str, ...]
    screening: Screening


def score_mushra(answers: list[MushraAnswers], *, screened: bool = True) -> MushraScores:
    """Means over the listeners who stay; of all, if not `screened`.

    Of all recordings: the mean of the listeners' own means, for ratings of one listener are not independent. Intervals
    are Student's, of 95 %; NaN with one listener.

    Raises:
        InputError: every listener is excluded.
    """
    screening = screen(answers) if screened else Screening({}, ())
    kept = [each for each in answers if each.listener not in screening.excluded]
    if not kept:
        name, reason = next(iter(screening.excluded.items()))
        raise InputError(f"every listener is excluded ({name}: {reason}); find others, or add --no-screening")
    recordings = sorted(trial.recording for trial in kept[0].trials)
    scores = []
    for condition in kept[0].conditions:
        ratings = np.array([_ratings(each, condition, recordings) for each in kept], np.float64)
        means = ratings.mean(axis=1)
        scores.append(
            ConditionScore(
                condition,
                student_interval(means),
                {name: student_interval(ratings[:, column]) for column, name in enumerate(recordings)},
                {each.listener: float(mean) for each, mean in zip(kept, means, strict=True)},
            )
        )
    scores.sort(key=lambda score: -score.mean.mean)
    return MushraScores(tuple(scores), tuple(each.listener for each in kept), screening)


def student_interval(values: Float[np.ndarray, " n"]) -> Interval:
    """The mean and its interval of 95 % by Student's t with n - 1 degrees of freedom; NaN ends for one value."""
    mean = float(values.mean())
    if len(values) == 1:
        return Interval(mean, np.nan, np.nan)
    half = student_quantile(CONFIDENCE, len(values) - 1.0) * float(values.std(ddof=1)) / np.sqrt(len(values))
    return Interval(mean, mean - half, mean + half)


def _ratings(answers: MushraAnswers, condition: str, recordings: list[str]) -> list[int]:
    by_recording = {trial.recording: trial.by_condition[condition] for trial in answers.trials}
    return [by_recording[name] for name in recordings]
