"""How reliably each method trains: diverged seeds, and spread over those that did not."""

import math

import numpy as np

from meanflow_audio_codec.evaluators.statistics.training_seeds import stability as measure
from meanflow_audio_codec.study.report.methods import group_title, title
from meanflow_audio_codec.study.report.metrics import MAIN_DISTORTION, METRICS, PERCEPTION, dataset_title
from meanflow_audio_codec.study.report.numbers import NOTHING
from meanflow_audio_codec.study.report.pages.document import Block, Blocks, Entry, Heading, Rows, Table, missing
from meanflow_audio_codec.study.report.records import Cell, Results, Run

CAPTION = "Diverged: seeds of those that ran. Spread: standard deviation over seeds as a share of the mean."


def stability(results: Results) -> Blocks:
    """The section: cells with several seeds."""
    blocks: list[Block] = [Heading("Stability")]
    for dataset in results.datasets("codec"):
        names = [name for name in (MAIN_DISTORTION.get(dataset), PERCEPTION) if name]
        cells = [cell for cell in results.cells("codec", dataset) if len(results.of(cell)) > 1]
        if not cells:
            continue
        groups = tuple(
            Rows(group_title(*group), tuple(_row(results, cell, names) for cell in cells if cell.group == group))
            for group in dict.fromkeys(cell.group for cell in cells)
        )
        columns = ("method", "diverged", *(f"spread of {METRICS[name].heading}" for name in names))
        blocks += [Heading(dataset_title(dataset), 3), Table(columns, groups, caption=CAPTION)]
    return blocks if len(blocks) > 1 else [*blocks, missing("No cell was trained with several seeds.")]


def _row(results: Results, cell: Cell, names: list[str]) -> tuple[Entry, ...]:
    runs = [run for run in results.of(cell) if run.status != "failed"]
    return (Entry(title(cell.method)), _share(runs), *(_spread(runs, name) for name in names))


def _spread(runs: list[Run], name: str) -> Entry:
    known = [run for run in runs if run.status == "diverged" or run.values.get(name, 0.0) > 0.0]
    if not known:
        return Entry(NOTHING, tone="missing")
    finals = np.array([run.values.get(name, math.nan) for run in known])
    diverged = np.array([run.status == "diverged" for run in known], bool)
    share = measure(finals, diverged).coefficient_of_variation
    return Entry(NOTHING, tone="missing") if math.isnan(share) else Entry(f"{100.0 * share:.1f} %")


def _share(runs: list[Run]) -> Entry:
    if not runs:
        return Entry("not run", tone="missing")
    diverged = sum(run.status == "diverged" for run in runs)
    return Entry(f"{diverged} of {len(runs)}", bold=diverged > 0)
