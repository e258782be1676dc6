"""How reliably each method trains: diverged seeds, spread over seeds, and what three times the learning rate does."""

import math

import numpy as np

from meanflow_audio_codec.evaluators.training_seeds import Stability
from meanflow_audio_codec.evaluators.training_seeds import stability as measure
from meanflow_audio_codec.study.report.document import Block, Blocks, Entry, Heading, Rows, Table, missing
from meanflow_audio_codec.study.report.methods import group_title, title
from meanflow_audio_codec.study.report.metrics import MAIN_DISTORTION, METRICS, PERCEPTION, dataset_title
from meanflow_audio_codec.study.report.numbers import NOTHING, TIMES, signed
from meanflow_audio_codec.study.report.records import Cell, Results, Run

RAISED = "codec-learning-rate"
CAPTION = (
    "Diverged: seeds of those that ran. Spread: standard deviation over seeds as a share of the mean. Change: mean at "
    "three times the learning rate over the mean at the usual one, less 1; both metrics are better when lower."
)


def stability(results: Results) -> Blocks:
    """The section: cells with several seeds or a run at the raised learning rate."""
    blocks: list[Block] = [Heading("Stability")]
    for dataset in results.datasets("codec"):
        names = [name for name in (MAIN_DISTORTION.get(dataset), PERCEPTION) if name]
        cells = [cell for cell in results.cells("codec", dataset) if _is_repeated(results, cell)]
        if not cells:
            continue
        groups = tuple(
            Rows(group_title(*group), tuple(_row(results, cell, names) for cell in cells if cell.group == group))
            for group in dict.fromkeys(cell.group for cell in cells)
        )
        headings = METRICS[names[0]].heading, METRICS[names[-1]].heading
        columns = ("method", "diverged", f"diverged, rate {TIMES} 3", *(f"spread of {heading}" for heading in headings))
        columns += tuple(f"change of {heading}, rate {TIMES} 3" for heading in headings)
        blocks += [Heading(dataset_title(dataset), 3), Table(columns, groups, caption=CAPTION)]
    if not results.datasets(RAISED):
        blocks.append(missing("No cell at three times the learning rate."))
    return blocks if len(blocks) > 1 else [*blocks, missing("No cell was trained with several seeds.")]


def _is_repeated(results: Results, cell: Cell) -> bool:
    return len(results.of(cell)) > 1 or bool(results.of(cell._replace(task=RAISED)))


def _row(results: Results, cell: Cell, names: list[str]) -> tuple[Entry, ...]:
    usual, raised = (
        [run for run in results.of(c) if run.status != "failed"] for c in (cell, cell._replace(task=RAISED))
    )
    figures = [_stability(usual, raised, name) for name in names]
    row = [Entry(title(cell.method)), _share(usual), _share(raised)]
    row += [_percent(math.nan if one is None else one.coefficient_of_variation, plain=True) for one in figures]
    row += [_percent(math.nan if one is None else one.relative_change) for one in figures]
    return tuple(row)


def _stability(usual: list[Run], raised: list[Run], name: str) -> Stability | None:
    known = [
        [run for run in runs if run.status == "diverged" or run.values.get(name, 0.0) > 0.0] for runs in (usual, raised)
    ]
    finals = [np.array([run.values.get(name, math.nan) for run in runs]) for runs in known]
    diverged = [np.array([run.status == "diverged" for run in runs], bool) for runs in known]
    if not known[0]:
        return None
    return measure(finals[0], diverged[0], *((finals[1], diverged[1]) if known[1] else ()))


def _share(runs: list[Run]) -> Entry:
    if not runs:
        return Entry("not run", tone="missing")
    diverged = sum(run.status == "diverged" for run in runs)
    return Entry(f"{diverged} of {len(runs)}", bold=diverged > 0)


def _percent(share: float, *, plain: bool = False) -> Entry:
    if math.isnan(share):
        return Entry(NOTHING, tone="missing")
    text = f"{100.0 * share:.1f}" if plain else signed(100.0 * share, 1)
    return Entry(f"{text} %")
