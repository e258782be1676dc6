"""Scores of several systems on the same clips, as means with intervals: on the terminal, in Markdown and in JSON."""

import math
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from meanflow_audio_codec.evaluators.clip_scores import METRICS, ClipScores
from meanflow_audio_codec.evaluators.metric_marks import MetricMarks, explain_marks
from meanflow_audio_codec.evaluators.metric_packages import how_to_install
from meanflow_audio_codec.evaluators.statistics.bootstrap import Interval, bootstrap_interval

if TYPE_CHECKING:
    from rich.table import Table

SEED = 0


@dataclass(frozen=True)
class SystemScores:
    """One codec at one setting: its name, its real rate in bit/s where there is one, and the scores of every clip.

    `marks` says which metrics took part in making it. Slow metrics may have been computed on every n-th clip only.
    """

    name: str
    bits_per_second: float | None
    clips: tuple[ClipScores, ...]
    marks: MetricMarks | None = None
    slow_every: int = 1

    @property
    def metrics(self) -> tuple[str, ...]:
        """Metrics that have a value or at least a reason for at least one clip."""
        return tuple(metric for metric in METRICS if any(metric in clip.scores for clip in self.clips))

    @property
    def missing(self) -> tuple[str, ...]:
        """Metrics that were asked for and whose package is not installed."""
        return tuple(metric for metric in METRICS if any(metric in clip.missing for clip in self.clips))

    def values(self, metric: str) -> list[float]:
        """The values of a metric over the clips for which it is defined."""
        found = (clip.scores.get(metric) for clip in self.clips)
        return [value for value in found if value is not None]

    def interval(self, metric: str) -> Interval | None:
        """Mean and 95 % interval of a metric; None where it is defined for no clip."""
        values = self.values(metric)
        return bootstrap_interval(np.array(values), seed=SEED) if values else None


def format_markdown(systems: list[SystemScores]) -> str:
    """A Markdown table with one row per system, and one line per metric that could not be computed."""
    headings, rows = _cells(systems)
    lines = [headings, ["---"] * len(headings), *rows]
    table = "\n".join("| " + " | ".join(line) + " |" for line in lines)
    return "\n\n".join([table, *_remarks(systems)]) + "\n"


def format_table(systems: list[SystemScores]) -> "Table":
    """The same table for a `rich` console; the remarks are its caption."""
    from rich.table import Table

    headings, rows = _cells(systems)
    table = Table(caption="\n".join(_remarks(systems)) or None, caption_justify="left")
    for i, heading in enumerate(headings):
        table.add_column(heading, justify="left" if i == 0 else "right")
    for row in rows:
        table.add_row(*row)
    return table


def to_json(systems: list[SystemScores]) -> list[dict[str, Any]]:
    """Everything: per system the means with intervals, the missing metrics, and every clip's scores and reasons."""
    return [
        {
            "system": system.name,
            "bits_per_second": system.bits_per_second,
            "mean": {metric: _interval_to_json(system, metric) for metric in system.metrics},
            "missing": list(system.missing),
            "slow_every": system.slow_every,
            "trained_on": sorted(system.marks.trained_on) if system.marks else [],
            "chosen_by": None if not system.marks or system.marks.chosen_by is None else sorted(system.marks.chosen_by),
            "clips": [asdict(clip) for clip in system.clips],
        }
        for system in systems
    ]


def _metrics(systems: list[SystemScores]) -> list[str]:
    return [metric for metric in METRICS if any(metric in system.metrics for system in systems)]


def _cells(systems: list[SystemScores]) -> tuple[list[str], list[list[str]]]:
    metrics = _metrics(systems)
    arrows = {True: "↑", False: "↓"}
    headings = ["system", "kbit/s", "clips"]
    headings += [f"{METRICS[metric].heading} {arrows[METRICS[metric].higher_is_better]}" for metric in metrics]
    rows = []
    for system in systems:
        rate = "" if system.bits_per_second is None else f"{system.bits_per_second / 1000:.2f}"
        row = [system.name, rate, str(len(system.clips))]
        rows.append(row + [_format_value(system, metric) for metric in metrics])
    return headings, rows


def _format_value(system: SystemScores, metric: str) -> str:
    interval = system.interval(metric)
    if interval is None:
        return ""
    mark = f" {system.marks.of(metric)}" if system.marks and system.marks.of(metric) else ""
    if math.isnan(interval.low):
        return f"{interval.mean:.3f}{mark}"
    return f"{interval.mean:.3f} [{interval.low:.3f}, {interval.high:.3f}]{mark}"


def _remarks(systems: list[SystemScores]) -> list[str]:
    metrics = _metrics(systems)
    remarks = explain_marks([system.marks for system in systems if system.marks], metrics)
    missing = [metric for metric in METRICS if any(metric in system.missing for system in systems)]
    remarks += [
        f"{METRICS[metric].heading}: not computed, its package is not installed ({how_to_install(metric)})."
        for metric in missing
    ]
    remarks += _which_clips(systems[0], [metric for metric in metrics if METRICS[metric].slow]) if systems else []
    for system in systems:
        for metric in system.metrics:
            left_out = sum(
                value is None for clip in system.clips for name, value in clip.scores.items() if name == metric
            )
            if left_out:
                reasons = sorted({clip.reasons[metric] for clip in system.clips if metric in clip.reasons})
                remarks.append(
                    f"{system.name}, {METRICS[metric].heading}: {left_out} of {len(system.clips)} clips left out"
                    f" ({'; '.join(reasons)})."
                )
    return remarks


def _which_clips(system: SystemScores, slow: list[str]) -> list[str]:
    """On which clips slow metrics were computed, and what the words of a clip were compared with."""
    remarks = []
    if system.slow_every > 1 and slow:
        names = ", ".join(METRICS[metric].heading for metric in slow)
        count = len(system.clips[:: system.slow_every])
        remarks.append(f"{names}: on {count} of {len(system.clips)} clips, one in {system.slow_every}.")
    if "word_error_rate" in slow:
        scored = system.clips[:: system.slow_every]
        transcribed = sum(clip.has_transcript for clip in scored)
        remarks.append(
            f"{METRICS['word_error_rate'].heading}: against the transcript of {transcribed} clips, against what is "
            f"recognised in the original of {len(scored) - transcribed}."
        )
    return remarks


def _interval_to_json(system: SystemScores, metric: str) -> dict[str, float | int | None]:
    interval = system.interval(metric)
    values: dict[str, float | int | None] = {"num_clips": len(system.values(metric))}
    for end in ("mean", "low", "high"):
        value = None if interval is None else getattr(interval, end)
        # JSON has no NaN.
        values[end] = None if value is None or math.isnan(value) else value
    return values
