"""What metrics made from listeners' votes say of a cell: intervals over clips, and the originals' own scores."""

import math

import numpy as np

from meanflow_audio_codec.evaluators.statistics.bootstrap import bootstrap_interval
from meanflow_audio_codec.study.report.metrics import METRICS, PANEL, Metric
from meanflow_audio_codec.study.report.numbers import NOTHING, number
from meanflow_audio_codec.study.report.records import Cell, Results

NUM_RESAMPLES, SEED = 2_000, 0


def scored(results: Results, cells: list[Cell]) -> list[str]:
    """The metrics of the panel that some of these cells have."""
    return [name for name in PANEL if any(results.values(cell, name) for cell in cells)]


def panel_text(results: Results, cell: Cell, metric: Metric) -> str:
    """The mean over seeds and clips, and its 95 % bootstrap interval over clips, of which each is a mean over seeds."""
    mean = results.mean(cell, metric.name)
    if mean is None:
        return NOTHING
    seeds = [arrays[metric.name] for run in results.finished(cell) if metric.name in (arrays := results.items(run))]
    clips = np.mean(seeds, axis=0) if seeds and len({len(scores) for scores in seeds}) == 1 else np.empty(0)
    clips = clips[np.isfinite(clips)]
    text = number(mean, metric.decimals)
    if len(clips) < 2:
        return text
    interval = bootstrap_interval(clips, num_resamples=NUM_RESAMPLES, seed=SEED)
    return f"{text} [{number(interval.low, metric.decimals)}, {number(interval.high, metric.decimals)}]"


def panel_remarks(results: Results, cells: list[Cell]) -> str:
    """What the originals score, and what was not scored and why; nothing where the panel was never asked."""
    parts = []
    for name in scored(results, cells):
        values = [value for cell in cells for value in results.values(cell, f"original_{name}")]
        if values:
            metric = METRICS[name]
            parts.append(f"{metric.heading} {number(math.fsum(values) / len(values), metric.decimals)}")
    remarks = [f"The originals have {' and '.join(parts)}; brackets: 95 % intervals over clips."] if parts else []
    reasons = [run.texts["not_scored"] for cell in cells for run in results.finished(cell)]
    for reason in dict.fromkeys(part for text in reasons if text for part in text.split("; ")):
        count = sum(reason in text.split("; ") for text in reasons)
        remarks.append(f"Not scored in {count} of {len(reasons)} runs: {reason}.")
    return " ".join(remarks)
