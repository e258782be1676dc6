"""Scores of blind tests as tables for people (Markdown) and as JSON."""

from math import isfinite
from typing import Any

from meanflow_audio_codec.evaluators.statistics.bootstrap import Interval
from meanflow_audio_codec.listening.scoring.abx import PairScore, RightAnswers
from meanflow_audio_codec.listening.scoring.mushra import MushraScores


def mushra_table(scores: MushraScores) -> str:
    """One row per condition, and below it who was left out and why."""
    rows = [("condition", "mean", "95 % interval")]
    rows += [(each.condition, f"{each.mean.mean:.1f}", _interval(each.mean)) for each in scores.conditions]
    lines = [*_markdown(rows), "", f"{len(scores.listeners)} listener(s). Intervals are over listeners."]
    lines += [f"Excluded: {name} ({reason})." for name, reason in scores.screening.excluded.items()]
    if scores.screening.spared:
        names = ", ".join(scores.screening.spared)
        lines.append(f"Not used to exclude anyone by the 7 kHz anchor, which many rate above 90 there: {names}.")
    return "\n".join(lines)


def abx_table(scores: tuple[PairScore, ...]) -> str:
    """One row per system, all listeners together, then one for each listener."""
    rows: list[tuple[str, ...]] = [("reference against", "listener", "right", "share", "95 % interval", "p (guessing)")]
    for score in scores:
        rows.append(_abx_row(score.system, "all", score.all))
        if len(score.by_listener) > 1:
            rows += [_abx_row("", name, counts) for name, counts in score.by_listener.items() if counts.answers]
    return "\n".join(_markdown(rows))


def mushra_json(scores: MushraScores) -> dict[str, Any]:
    """Everything, with null where there is no interval."""
    return {
        "kind": "mushra",
        "listeners": list(scores.listeners),
        "excluded": scores.screening.excluded,
        "spared_recordings": list(scores.screening.spared),
        "conditions": [
            {
                "condition": each.condition,
                **_bounds(each.mean),
                "recordings": {name: _bounds(interval) for name, interval in each.by_recording.items()},
                "listeners": each.by_listener,
            }
            for each in scores.conditions
        ],
    }


def abx_json(scores: tuple[PairScore, ...]) -> dict[str, Any]:
    """Everything."""
    return {
        "kind": "abx",
        "systems": [
            {
                "system": each.system,
                **_counts(each.all),
                "listeners": {name: _counts(counts) for name, counts in each.by_listener.items() if counts.answers},
            }
            for each in scores
        ],
    }


def _markdown(rows: list[tuple[str, ...]]) -> list[str]:
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    lines = [
        "| " + " | ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)) + " |" for row in rows
    ]
    return [lines[0], "|" + "|".join("-" * (width + 2) for width in widths) + "|", *lines[1:]]


def _abx_row(system: str, listener: str, counts: RightAnswers) -> tuple[str, ...]:
    low, high = counts.interval
    return (
        system,
        listener,
        f"{counts.correct} of {counts.answers}",
        f"{100 * counts.share:.0f} %",
        f"{100 * low:.0f} to {100 * high:.0f} %",
        f"{counts.guessing_probability:.2g}",
    )


def _interval(interval: Interval) -> str:
    return f"{interval.low:.1f} to {interval.high:.1f}" if isfinite(interval.low) else "one listener"


def _bounds(interval: Interval) -> dict[str, float | None]:
    return {name: value if isfinite(value) else None for name, value in interval._asdict().items()}


def _counts(counts: RightAnswers) -> dict[str, Any]:
    low, high = counts.interval
    return {
        **counts._asdict(),
        "share": counts.share,
        "low": low,
        "high": high,
        "guessing_probability": counts.guessing_probability,
    }
