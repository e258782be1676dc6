"""The main tables: every cell with its rate, cost and scores, mean and deviation over seeds."""

from pathlib import Path

from meanflow_audio_codec.study.report.methods import group_title, look, title
from meanflow_audio_codec.study.report.metrics import MAIN_DISTORTION, METRICS, PANEL, PERCEPTION, Metric, dataset_title
from meanflow_audio_codec.study.report.numbers import NOTHING, number, spread
from meanflow_audio_codec.study.report.pages.document import (
    Block,
    Blocks,
    Entry,
    Heading,
    Picture,
    Rows,
    Table,
    missing,
)
from meanflow_audio_codec.study.report.panel import panel_remarks, panel_text
from meanflow_audio_codec.study.report.plots import score_overview
from meanflow_audio_codec.study.report.records import Cell, Results
from meanflow_audio_codec.study.report.sections.runs import cell_of, listed_cells

CAPTION = (
    "Mean over seeds ± standard deviation where there are two or more; the best mean of each column within a group is "
    "bold. ↑ higher is better, ↓ lower is better. NFE: evaluations of the network per decoded item. Time: training on "
    "the device above; ms: decoding one item, in batches."
)
SPREAD_CAPTION = " Fréchet ±: half of a 95 % bootstrap interval over the drawn items."


class Column:
    """A column of the table that is no metric: heading, source, factor, digits, and whether less is better."""

    def __init__(self, heading: str, name: str, factor: float, decimals: int, *, ranked: bool = False):
        self.heading, self.name, self.factor, self.decimals, self.ranked = heading, name, factor, decimals, ranked

    def text(self, values: list[float]) -> str:
        """The mean over seeds."""
        return number(self.factor * sum(values) / len(values), self.decimals) if values else NOTHING


RATE = (Column("bits/item", "bits_per_item", 1.0, 1), Column("kbit/s", "kilobits_per_second", 1.0, 2))
# Half the width of a 95 % interval over the drawn items, where a cell has one.
SPREAD = Column("Fréchet ±", "frechet_half_width", 1.0, 2)
EVALUATIONS = Column("NFE", "num_evaluations", 1.0, 0)
COST = (
    Column("parameters (10⁶)", "num_parameters", 1e-6, 2),
    Column("training (min)", "training_seconds", 1 / 60, 1, ranked=True),
    Column("ms/item ↓", "milliseconds_per_item", 1.0, 2, ranked=True),
)


def scores(results: Results, figures: Path) -> Blocks:
    """The section: both rates of the codec, dataset by dataset."""
    blocks: list[Block] = [Heading("Scores of all codec cells")]
    if not results.datasets("codec"):
        return [*blocks, missing("No cell of the codec task.")]
    for dataset in results.datasets("codec"):
        blocks.append(Heading(dataset_title(dataset), 3))
        blocks += _overview(results, dataset, figures)
        blocks += score_table(results, "codec", dataset)
    blocks.append(Heading("At the higher rate", 3))
    if not results.datasets("codec-high-rate"):
        return [*blocks, missing("No cell at the higher rate.")]
    for dataset in results.datasets("codec-high-rate"):
        blocks.append(Heading(dataset_title(dataset), 4))
        blocks += score_table(results, "codec-high-rate", dataset)
    return blocks


def score_table(results: Results, task: str, dataset: str) -> Blocks:
    """The table of one task and dataset, and a line that names groups of cells without any run."""
    cells = results.cells(task, dataset)
    listed = {cell for cell in map(cell_of, listed_cells(results)) if (cell.task, cell.dataset) == (task, dataset)}
    every = sorted(listed | set(cells), key=lambda cell: cell.rank)
    metrics = [metric for metric in METRICS.values() if any(results.values(cell, metric.name) for cell in cells)]
    before = [column for column in (*RATE, EVALUATIONS) if any(results.values(cell, column.name) for cell in cells)]
    groups = dict.fromkeys(cell.group for cell in cells)
    after = [SPREAD] if any(results.values(cell, SPREAD.name) for cell in cells) else []
    after += COST
    rows = tuple(
        Rows(
            group_title(*group),
            _rows(results, [cell for cell in every if cell.group == group], before, metrics, after),
        )
        for group in groups
    )
    headings = ("method", "seeds", *(column.heading for column in before), *(metric.title for metric in metrics))
    headings += tuple(column.heading for column in after)
    absent = dict.fromkeys(group_title(*cell.group) for cell in every if cell.group not in groups)
    caption = CAPTION + SPREAD_CAPTION * (SPREAD in after)
    if remarks := panel_remarks(results, cells):
        caption = f"{caption} {remarks}"
    table = Table(headings, rows, caption=caption)
    return [table, missing(f"{', '.join(absent)}.")] if absent else [table]


def _rows(
    results: Results, cells: list[Cell], before: list[Column], metrics: list[Metric], after: list[Column]
) -> tuple[tuple[Entry, ...], ...]:
    best = {metric.name: _best(results, cells, metric.name, metric.higher_is_better) for metric in metrics}
    best |= {column.name: _best(results, cells, column.name, False) for column in after if column.ranked}
    rows = []
    for cell in cells:
        row = [Entry(title(cell.method)), _seeds(results, cell)]
        row += [Entry(column.text(results.values(cell, column.name))) for column in before]
        for metric in metrics:
            values = [value * metric.scale for value in results.values(cell, metric.name)]
            text = spread(values, metric.decimals)
            if metric.name in PANEL:
                text = panel_text(results, cell, metric)
            row.append(Entry(text, bold=cell in best[metric.name]))
        for column in after:
            text = column.text(results.values(cell, column.name))
            row.append(Entry(text, bold=cell in best.get(column.name, ())))
        rows.append(tuple(row))
    return tuple(rows)


def _best(results: Results, cells: list[Cell], name: str, higher: bool) -> list[Cell]:
    """The cells with the best mean; none where there is nothing to compare."""
    means = {cell: mean for cell in cells if (mean := results.mean(cell, name)) is not None}
    if len(means) < 2:
        return []
    best = max(means.values()) if higher else min(means.values())
    return [cell for cell, mean in means.items() if mean == best]


def _seeds(results: Results, cell: Cell) -> Entry:
    """How many seeds finished, and what became of the others."""
    runs, finished = results.of(cell), results.finished(cell)
    if not runs:
        return Entry("not run", tone="missing")
    if len(finished) == len(runs):
        return Entry(str(len(runs)))
    others = ", ".join(
        f"{count} {status}" for status in ("diverged", "failed") if (count := sum(run.status == status for run in runs))
    )
    return Entry(f"{len(finished)} ({others})", tone="missing")


def _overview(results: Results, dataset: str, figures: Path) -> Blocks:
    """A figure with the distortion and the perception of every seed."""
    names = [MAIN_DISTORTION.get(dataset, ""), PERCEPTION]
    points = {}
    for cell in results.cells("codec", dataset):
        seeds = [
            tuple(run.values[name] for name in names)
            for run in results.finished(cell)
            if all(name in run.values for name in names)
        ]
        if seeds:
            points[cell.group, cell.method] = seeds
    if not points:
        return []
    path = score_overview(
        figures / f"scores-{dataset}.png",
        list(dict.fromkeys(group for group, _ in points)),
        points,
        [METRICS[name] for name in names],
    )
    what = " and ".join(METRICS[name].heading for name in names)
    methods = ", ".join(dict.fromkeys(look(method).title for _, method in points))
    description = f"{what} of {methods} on {dataset_title(dataset)}, by architecture and tokenization."
    return [Picture(path, description, f"{what}: a mark per seed, a bar at their mean.")]
