"""Scores of an ABX test: right answers, their share with its interval, and how likely guessing does as well."""

from dataclasses import dataclass
from math import comb
from typing import NamedTuple

from meanflow_audio_codec.listening.blind_tests.stimuli import REFERENCE
from meanflow_audio_codec.listening.scoring.answers import AbxAnswers

CONFIDENCE = 0.95


class RightAnswers(NamedTuple):
    """How many of how many answers were right."""

    correct: int
    answers: int

    @property
    def share(self) -> float:
        """Of the right ones."""
        return self.correct / self.answers

    @property
    def guessing_probability(self) -> float:
        """That guessing gives at least as many right answers: the binomial test, one-sided, exact."""
        ways = sum(comb(self.answers, right) for right in range(self.correct, self.answers + 1))
        return ways / 2**self.answers

    @property
    def interval(self) -> tuple[float, float]:
        """Of the share, 95 %, exact (Clopper and Pearson 1934): it covers at least that often."""
        from scipy.special import betaincinv

        tail = (1.0 - CONFIDENCE) / 2.0
        right, wrong = self.correct, self.answers - self.correct
        low = 0.0 if right == 0 else float(betaincinv(right, wrong + 1, tail))
        high = 1.0 if wrong == 0 else float(betaincinv(right + 1, wrong, 1.0 - tail))
        return low, high


@dataclass(frozen=True)
class PairScore:
    """One system against the reference: the answers of all listeners, and of each."""

    system: str
    all: RightAnswers
    by_listener: dict[str, RightAnswers]


def score_abx(answers: list[AbxAnswers]) -> tuple[PairScore, ...]:
    """Every system against the reference; the one most often told apart first."""
    scores = []
    for system in (name for name in answers[0].conditions if name != REFERENCE):
        by_listener = {each.listener: _count(each, system) for each in answers}
        total = RightAnswers(*(sum(counts) for counts in zip(*by_listener.values(), strict=True)))
        if total.answers:
            scores.append(PairScore(system, total, by_listener))
    return tuple(sorted(scores, key=lambda score: -score.all.share))


def _count(answers: AbxAnswers, system: str) -> RightAnswers:
    right = [trial.correct for trial in answers.trials if system in (trial.a, trial.b)]
    return RightAnswers(sum(right), len(right))
