"""What was run: preset, versions, counts, training time, and why runs are missing."""

from meanflow_audio_codec.study.cells import PRESETS, StudyCell, all_cells
from meanflow_audio_codec.study.report.metrics import dataset_title
from meanflow_audio_codec.study.report.numbers import NOTHING, TIMES, duration
from meanflow_audio_codec.study.report.pages.document import Blocks, Entry, Heading, Paragraph, Rows, Table, entries
from meanflow_audio_codec.study.report.records import STATUSES, Cell, Results

TASKS = {
    "codec": "codec",
    "codec-high-rate": "codec at the higher rate",
    "codec-learning-rate": f"codec, learning rate {TIMES} 3",
    "codec-low-learning-rate": "codec, learning rate / 3",
    "codec-ablation": "codec, ablations",
    "generation": "generation",
    "generation-ablation": "generation, ablations",
}
LARGEST_NAMED = 12  # cells not run that are listed by name


def listed_cells(results: Results) -> list[StudyCell]:
    """The cells that the presets of the results list."""
    presets = {run.preset for run in results.runs}
    return [cell for preset in PRESETS if preset in presets for cell in all_cells(preset)]


def cell_of(listed: StudyCell) -> Cell:
    """A listed cell as the results name it."""
    return Cell(listed.task, listed.method, listed.architecture, listed.tokenization, listed.dataset)


def runs(results: Results) -> Blocks:
    """The section."""
    return [Heading("What was run"), _provenance(results), _counts(results), *_failures(results)]


def _provenance(results: Results) -> Table:
    def each(values: list[str]) -> str:
        return ", ".join(sorted({value for value in values if value})) or NOTHING

    def texts(name: str) -> str:
        return each([run.texts[name] for run in results.runs])

    seconds = sum(run.values.get("training_seconds", 0.0) for run in results.runs)
    scoring = sum(run.values.get("evaluation_seconds", 0.0) for run in results.runs)
    finished = sum(run.status == "finished" for run in results.runs)
    rows = (
        entries("Preset", each([run.preset for run in results.runs])),
        entries("Runs", f"{finished} finished of {len(results.runs)} recorded (a run is one cell and one seed)"),
        entries("Training time, all runs", duration(seconds)),
        entries("Evaluation time, all runs", duration(scoring)),
        entries("Revision", texts("git_revision")),
        entries("Package, JAX", f"{texts('package_version')}, {texts('jax_version')}"),
        entries("Device", texts("device")),
    )
    return Table(("property", "value"), (Rows("", rows),), num_left=2)


def _counts(results: Results) -> Table:
    """Per task and dataset: cells the preset lists, what became of the runs, and cells without any run."""
    listed: dict[tuple[str, str], set[Cell]] = {}
    for cell in map(cell_of, listed_cells(results)):
        listed.setdefault((cell.task, cell.dataset), set()).add(cell)
    recorded = {run.cell for run in results.runs}
    for cell in recorded:
        listed.setdefault((cell.task, cell.dataset), set()).add(cell)
    rows = []
    for (task, dataset), cells in listed.items():
        statuses = [run.status for run in results.runs if run.cell in cells]
        absent = len(cells - recorded)
        counts = [str(statuses.count(status)) for status in STATUSES]
        rows.append(
            (
                *entries(TASKS.get(task, task), dataset_title(dataset), str(len(cells)), *counts),
                Entry(str(absent), tone="missing" if absent else ""),
            )
        )
    headings = ("task", "dataset", "cells", *(f"runs {status}" for status in STATUSES), "cells not run")
    return Table(headings, (Rows("", tuple(rows)),), num_left=2)


def _failures(results: Results) -> Blocks:
    bad = sorted((run for run in results.runs if run.status != "finished"), key=lambda run: (run.name, run.seed))
    title = Heading("Runs without a result", 3)
    if not bad:
        return [title, Paragraph("None: every recorded run finished.")]
    rows = tuple(entries(run.name, str(run.seed), run.status, run.texts["reason"] or "no reason given") for run in bad)
    return [title, Table(("cell", "seed", "status", "reason"), (Rows("", rows),), num_left=4)]
