"""How much the learning rate matters to each method: scores at a third, once and three times the usual rate."""

import math

from meanflow_audio_codec.study.cells import LEARNING_RATE_FACTORS
from meanflow_audio_codec.study.report.methods import group_title, title
from meanflow_audio_codec.study.report.metrics import MAIN_DISTORTION, METRICS, PERCEPTION, Metric, dataset_title
from meanflow_audio_codec.study.report.numbers import NOTHING, TIMES, number, spread
from meanflow_audio_codec.study.report.pages.document import Block, Blocks, Entry, Heading, Rows, Table, missing
from meanflow_audio_codec.study.report.records import Cell, Results

USUAL = "codec"
# Tasks by their learning rate, from the lowest up.
TASKS = tuple(sorted((USUAL, *LEARNING_RATE_FACTORS), key=lambda task: LEARNING_RATE_FACTORS.get(task, 1.0)))
CAPTION = (
    "Mean over the finished seeds of a rate, ± standard deviation where there are several; both metrics are better "
    "when lower. Worst / best: the largest of these means over the smallest; ∞ where every seed of a rate diverged. "
    "Diverged: of the runs at all rates."
)


def learning_rate(results: Results) -> Blocks:
    """The section: cells that were run at another learning rate than the usual one."""
    blocks: list[Block] = [Heading("Learning rate")]
    for dataset in results.datasets(USUAL):
        cells = [cell for cell in results.cells(USUAL, dataset) if _is_varied(results, cell)]
        if cells:
            names = [name for name in (MAIN_DISTORTION.get(dataset), PERCEPTION) if name]
            blocks += [Heading(dataset_title(dataset), 3), _table(results, cells, [METRICS[name] for name in names])]
    return blocks if len(blocks) > 1 else [*blocks, missing("No cell at another learning rate than the usual one.")]


def _is_varied(results: Results, cell: Cell) -> bool:
    return any(results.of(cell._replace(task=task)) for task in LEARNING_RATE_FACTORS)


def _table(results: Results, cells: list[Cell], metrics: list[Metric]) -> Table:
    groups = tuple(
        Rows(group_title(*group), tuple(_row(results, cell, metrics) for cell in cells if cell.group == group))
        for group in dict.fromkeys(cell.group for cell in cells)
    )
    columns = ["method"]
    for metric in metrics:
        columns += [f"{metric.heading}, {_rate_title(task)}" for task in TASKS]
        columns.append(f"{metric.heading}, worst / best")
    return Table((*columns, "diverged"), groups, caption=CAPTION)


def _rate_title(task: str) -> str:
    factor = LEARNING_RATE_FACTORS.get(task, 1.0)
    if factor == 1.0:
        return "usual rate"
    return f"rate {TIMES} {factor:g}" if factor > 1.0 else f"rate / {1.0 / factor:g}"


def _row(results: Results, cell: Cell, metrics: list[Metric]) -> tuple[Entry, ...]:
    varied = [cell._replace(task=task) for task in TASKS]
    row = [Entry(title(cell.method))]
    for metric in metrics:
        row += [_score(results, one, metric) for one in varied]
        row.append(_worst_over_best([mean for one in varied if (mean := _mean(results, one, metric)) is not None]))
    runs = [run for one in varied for run in results.of(one) if run.status != "failed"]
    diverged = sum(run.status == "diverged" for run in runs)
    return (*row, Entry(f"{diverged} of {len(runs)}", bold=diverged > 0))


def _mean(results: Results, cell: Cell, metric: Metric) -> float | None:
    """Mean over the finished seeds; infinite where all that were run diverged, None where none was."""
    if _has_diverged(results, cell):
        return math.inf
    return results.mean(cell, metric.name)


def _has_diverged(results: Results, cell: Cell) -> bool:
    statuses = {run.status for run in results.of(cell)} - {"failed"}
    return statuses == {"diverged"}


def _score(results: Results, cell: Cell, metric: Metric) -> Entry:
    if _has_diverged(results, cell):
        return Entry("diverged", bold=True)
    if not results.of(cell):
        return Entry("not run", tone="missing")
    values = [metric.scale * value for value in results.values(cell, metric.name)]
    return Entry(spread(values, metric.decimals), tone="" if values else "missing")


def _worst_over_best(means: list[float]) -> Entry:
    """Of metrics that are better when lower: largest over smallest, where there are two to compare."""
    if len(means) < 2 or min(means) <= 0.0 or math.isinf(min(means)):
        return Entry(NOTHING, tone="missing")
    return Entry(number(max(means) / min(means), 2), bold=math.isinf(max(means)))
