"""The figure of a blind test: means with intervals, and what each listener gave."""

from pathlib import Path

import numpy as np

from meanflow_audio_codec.evaluators.figures import new_figure, write_figure
from meanflow_audio_codec.listening.scoring.abx import PairScore
from meanflow_audio_codec.listening.scoring.mushra import MushraScores

WORDS = ("bad", "poor", "fair", "good", "excellent")
Row = tuple[str, float, float, float, list[float]]  # name, middle, low, high, one value per listener


def mushra_figure(scores: MushraScores, path: Path) -> None:
    """Mean rating of each condition, the best on top.

    Raises:
        InputError: it cannot be written.
    """
    rows: list[Row] = [
        (each.condition, each.mean.mean, each.mean.low, each.mean.high, list(each.by_listener.values()))
        for each in scores.conditions
    ]
    _figure(rows, "rating (mean, 95 % interval; a dot per listener)", 20.0, WORDS, path)


def abx_figure(scores: tuple[PairScore, ...], path: Path) -> None:
    """Share of right answers for each system, in percent; 50 is guessing.

    Raises:
        InputError: it cannot be written.
    """
    rows: list[Row] = []
    for each in scores:
        low, high = each.all.interval
        single = [100.0 * counts.share for counts in each.by_listener.values() if counts.answers]
        rows.append((each.system, 100.0 * each.all.share, 100.0 * low, 100.0 * high, single))
    _figure(rows, "right answers in % (95 % interval; a dot per listener; 50 is guessing)", 50.0, (), path)


def _figure(rows: list[Row], label: str, grid_step: float, words: tuple[str, ...], path: Path) -> None:
    figure, (axes,) = new_figure(1, width=8.0, row_height=1.3 + 0.42 * len(rows))
    for place, (_, middle, low, high, single) in enumerate(rows):
        axes.plot(single, np.full(len(single), place + 0.22), "o", color="tab:gray", alpha=0.5, markersize=4)
        if np.isfinite(low):
            axes.plot([low, high], [place, place], color="tab:blue", linewidth=2)
        axes.plot([middle], [place], "o", color="tab:blue", markersize=7)
    axes.set_yticks(range(len(rows)), [row[0] for row in rows])
    axes.set_ylim(len(rows) - 0.4, -0.6)
    axes.set_xlim(-2.0, 102.0)
    axes.set_xticks(np.arange(0.0, 101.0, grid_step))
    axes.grid(axis="x", alpha=0.4)
    axes.set_xlabel(label)
    for number, word in enumerate(words):
        axes.text(20.0 * number + 10.0, -0.75, word, ha="center", va="bottom", fontsize=8, color="tab:gray")
    write_figure(figure, path)
