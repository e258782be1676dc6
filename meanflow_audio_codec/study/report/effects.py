"""Differences between cells that are alike but for one choice, with 95 % intervals."""

import math
from dataclasses import dataclass, field
from typing import Literal, NamedTuple

import numpy as np
from jaxtyping import Float

from meanflow_audio_codec.errors import InputError
from meanflow_audio_codec.evaluators.statistics.training_seeds import effect, pooled_effect
from meanflow_audio_codec.study.cells import METHODS as CROSSED_METHODS
from meanflow_audio_codec.study.report.methods import look, title
from meanflow_audio_codec.study.report.metrics import ITEM_ARRAYS, METRICS, Metric
from meanflow_audio_codec.study.report.numbers import MINUS
from meanflow_audio_codec.study.report.records import Cell, Results

# Enough for two digits of an interval, and a second each for 10,000 items.
NUM_RESAMPLES = 2_000
SEED = 0
FEWEST_GROUPS = 3  # from which their spread makes an interval

Pairs = tuple[tuple[Cell, Cell], ...]
Verdict = Literal["better", "worse", "unclear"]
# What the interval covers.
Basis = Literal["items and seeds", "items", "seeds", "groups", "nothing"]
MARKS: dict[Basis, str] = {"items and seeds": "", "items": "†", "seeds": "", "groups": "‡", "nothing": "°"}
LEGEND = (
    "First minus second: mean difference [95 % interval]. Items and training seeds are resampled together where every "
    "cell has several seeds; † items only, since some cell has one seed; ‡ of a figure of a whole set of items: "
    "over the pairs; ° no interval: one seed. Bold: the interval leaves out zero (no correction for "
    "the number of comparisons)."
)


class Comparison(NamedTuple):
    """Two levels of one factor: cells that differ in nothing else are compared."""

    factor: Literal["method", "architecture", "tokenization"]
    first: str
    second: str

    @property
    def title(self) -> str:
        """First minus second."""
        return f"{title(self.first)} {MINUS} {title(self.second)}"

    @property
    def short(self) -> str:
        """The same, with the methods' initials."""
        first, second = (
            look(level).short if self.factor == "method" else title(level) for level in (self.first, self.second)
        )
        return f"{first} {MINUS} {second}"


METHOD_COMPARISONS = tuple(
    Comparison("method", first, second)
    for first, second in (
        ("flow-matching", "autoencoder"),
        ("mean-flow", "autoencoder"),
        ("improved-mean-flow", "autoencoder"),
        ("adversarial", "autoencoder"),
        ("improved-mean-flow", "flow-matching"),
        ("improved-mean-flow", "mean-flow"),
        ("improved-mean-flow", "adversarial"),
    )
)
ARCHITECTURE_COMPARISONS = (
    Comparison("architecture", "convnet", "mlp"),
    Comparison("architecture", "convnet", "mixer"),
    Comparison("architecture", "mixer", "mlp"),
)
TOKENIZATION_COMPARISONS = (Comparison("tokenization", "mdct", "reshape"),)
COMPARISONS = METHOD_COMPARISONS + ARCHITECTURE_COMPARISONS + TOKENIZATION_COMPARISONS


@dataclass(frozen=True)
class Effect:
    """A difference of means, first minus second, in the metric's own unit; NaN ends where there is no interval."""

    metric: Metric
    mean: float
    low: float
    high: float
    basis: Basis
    pairs: Pairs

    @property
    def away_from_zero(self) -> bool:
        """Whether the interval leaves out zero."""
        return self.low > 0.0 or self.high < 0.0

    @property
    def verdict(self) -> Verdict:
        """Whether the first is better than the second, so far as the interval tells."""
        if not self.away_from_zero:
            return "unclear"
        return "better" if self.metric.better(self.mean, 0.0) else "worse"


@dataclass
class Effects:
    """The effects of a study, each computed once."""

    results: Results
    _known: dict[tuple, Effect | None] = field(default_factory=dict)

    def of(
        self,
        comparison: Comparison,
        dataset: str,
        metric: str,
        *,
        group: tuple[str, str] | None = None,
        task: str = "codec",
    ) -> Effect | None:
        """The effect over all matched cells, or those of one architecture and tokenization; None if not run."""
        key = (comparison, dataset, metric, group, task)
        if key not in self._known:
            pairs = matched_pairs(self.results, comparison, dataset, task)
            kept = tuple(pair for pair in pairs if group is None or pair[0].group == group)
            self._known[key] = measure(self.results, kept, METRICS[metric])
        return self._known[key]

    def between(self, first: Cell, second: Cell, metric: str) -> Effect | None:
        """The difference of two cells."""
        key = (first, second, metric)
        if key not in self._known:
            run = self.results.finished(first) and self.results.finished(second)
            self._known[key] = measure(self.results, ((first, second),), METRICS[metric]) if run else None
        return self._known[key]


def matched_pairs(results: Results, comparison: Comparison, dataset: str, task: str = "codec") -> Pairs:
    """Finished cells of both levels that agree in all else; other factors than the method leave the adversary out."""
    found = []
    for cell in results.cells(task, dataset):
        twin = cell._replace(**{comparison.factor: comparison.second})
        crossed = comparison.factor == "method" or cell.method in CROSSED_METHODS
        is_first = getattr(cell, comparison.factor) == comparison.first
        if is_first and crossed and results.finished(cell) and results.finished(twin):
            found.append((cell, twin))
    return tuple(found)


def measure(results: Results, pairs: Pairs, metric: Metric) -> Effect | None:
    """The difference averaged over all pairs of cells, each counting once; None where a cell lacks the metric.

    Raises:
        InputError: cells of one dataset were scored on different numbers of items.
    """
    if not pairs:
        return None
    firsts, seconds = ([_item_scores(results, pair[side], metric) for pair in pairs] for side in (0, 1))
    if all(scores is not None for scores in (*firsts, *seconds)):
        return _item_effect(pairs, metric, firsts, seconds)  # pyright: ignore[reportArgumentType]
    firsts, seconds = ([np.array(results.values(pair[side], metric.name)) for pair in pairs] for side in (0, 1))
    if any(len(values) == 0 for values in (*firsts, *seconds)):
        return None
    return _set_effect(pairs, metric, firsts, seconds)


def _item_scores(results: Results, cell: Cell, metric: Metric) -> Float[np.ndarray, "seeds items"] | None:
    """Scores of every item under every finished seed; None unless all seeds have them."""
    rows = []
    for run in results.finished(cell):
        arrays = results.items(run)
        name = next((name for name in ITEM_ARRAYS.get(metric.name, ()) if name in arrays), None)
        if name is None:
            return None
        rows.append(np.asarray(arrays[name], np.float64))
    if len({row.shape for row in rows}) != 1 or rows[0].ndim != 1:
        raise InputError(f"{cell.method} {cell.dataset}: seeds were scored on different items: evaluate them again")
    return np.stack(rows)


def _item_effect(pairs: Pairs, metric: Metric, firsts: list[np.ndarray], seconds: list[np.ndarray]) -> Effect | None:
    every = [*firsts, *seconds]
    if len({scores.shape[1] for scores in every}) != 1:
        raise InputError(f"{pairs[0][0].dataset}: cells were scored on different numbers of items: evaluate them again")
    # PESQ of a clip in which it finds no speech, for example.
    usable = np.all([np.isfinite(scores).all(axis=0) for scores in every], axis=0)
    if not usable.any():
        return None
    mean, low, high, covers_seeds = pooled_effect(
        [scores[:, usable] for scores in firsts],
        [scores[:, usable] for scores in seconds],
        num_resamples=NUM_RESAMPLES,
        seed=SEED,
    )
    basis: Basis = "items and seeds" if covers_seeds else "items"
    return Effect(metric, mean, low, high, "nothing" if math.isnan(low) else basis, pairs)


def _set_effect(pairs: Pairs, metric: Metric, firsts: list[np.ndarray], seconds: list[np.ndarray]) -> Effect:
    """Of one figure per cell and seed: over seeds, or else over the pairs of cells."""
    if all(len(values) > 1 for values in (*firsts, *seconds)):
        columns = [[values[:, None] for values in side] for side in (firsts, seconds)]
        mean, low, high, _ = pooled_effect(*columns, num_resamples=NUM_RESAMPLES, seed=SEED)
        return Effect(metric, mean, low, high, "seeds", pairs)
    means = [np.array([[values.mean()] for values in side]) for side in (firsts, seconds)]
    if len(pairs) < FEWEST_GROUPS:
        return Effect(metric, float((means[0] - means[1]).mean()), math.nan, math.nan, "nothing", pairs)
    mean, low, high, _ = effect(*means, same_runs=True, num_resamples=NUM_RESAMPLES, seed=SEED)
    return Effect(metric, mean, low, high, "groups", pairs)
