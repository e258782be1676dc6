"""Ablations: variants of a method as differences to it."""

from meanflow_audio_codec.study.report.effects import LEGEND, Effects
from meanflow_audio_codec.study.report.methods import base_method, group_title, title
from meanflow_audio_codec.study.report.metrics import METRICS, dataset_title
from meanflow_audio_codec.study.report.numbers import MINUS
from meanflow_audio_codec.study.report.pages.document import Block, Blocks, Entry, Heading, Rows, Table, missing
from meanflow_audio_codec.study.report.records import Cell
from meanflow_audio_codec.study.report.sections.differences import effect_entry
from meanflow_audio_codec.study.report.sections.runs import TASKS


def ablations(effects: Effects) -> Blocks:
    """The section: one table per task and dataset, rows the variants, columns the metrics."""
    blocks: list[Block] = [Heading("Ablations")]
    variants = {run.cell for run in effects.results.runs if base_method(run.cell.method)}
    for task, dataset in sorted({(cell.task, cell.dataset) for cell in variants}):
        cells = [cell for cell in effects.results.cells(task, dataset) if cell in variants]
        title_text = f"{dataset_title(dataset)}, {TASKS.get(task, task).removesuffix(', ablations')}"
        blocks += [Heading(title_text, 3), _table(effects, cells)]
    return blocks if len(blocks) > 1 else [*blocks, missing("No variant of a method.")]


def base_cell(cell: Cell) -> Cell:
    """The cell that a variant differs from in the method alone."""
    return cell._replace(task=cell.task.removesuffix("-ablation"), method=base_method(cell.method) or cell.method)


def _table(effects: Effects, cells: list[Cell]) -> Table:
    results = effects.results
    metrics = [m for m in METRICS.values() if any(results.values(cell, m.name) for cell in cells)]
    groups = tuple(
        Rows(group_title(*group), tuple(_row(effects, cell, metrics) for cell in cells if cell.group == group))
        for group in dict.fromkeys(cell.group for cell in cells)
    )
    headings = (f"variant {MINUS} its method", *(metric.title for metric in metrics))
    return Table(headings, groups, caption=LEGEND)


def _row(effects: Effects, cell: Cell, metrics: list) -> tuple[Entry, ...]:
    base = base_cell(cell)
    for one, what in ((cell, "no finished seed"), (base, f"{title(base.method)} not run")):
        if not effects.results.finished(one):
            return (Entry(title(cell.method)), *(Entry(what, tone="missing") for _ in metrics))
    return (Entry(title(cell.method)), *(effect_entry(effects.between(cell, base, m.name)) for m in metrics))
