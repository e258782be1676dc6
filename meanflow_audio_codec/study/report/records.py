"""The files of a study read back: one run per cell and seed, other settings of it, values per item, samples."""

import math
import zipfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

import numpy as np

from meanflow_audio_codec.errors import InputError
from meanflow_audio_codec.study.cells import ARCHITECTURES, TOKENIZATIONS
from meanflow_audio_codec.study.report.methods import METHODS, order
from meanflow_audio_codec.study.results import IDENTITY, read_rows

TEXTS = (
    "status",
    "reason",
    "config_hash",
    "git_revision",
    "package_version",
    "jax_version",
    "device",
    "solver",
    "not_scored",
)
STATUSES = ("finished", "diverged", "failed")


class Cell(NamedTuple):
    """What is trained; equal but for one field, two cells make a comparison."""

    task: str
    method: str
    architecture: str
    tokenization: str
    dataset: str

    @property
    def group(self) -> tuple[str, str]:
        """Architecture and tokenization."""
        return self.architecture, self.tokenization

    @property
    def rank(self) -> tuple:
        """Sorting key: by architecture, tokenization, method, in the report's order."""
        return (
            order(self.architecture, ARCHITECTURES),
            order(self.tokenization, TOKENIZATIONS),
            order(self.method, tuple(METHODS)),
        )


@dataclass(frozen=True)
class Run:
    """One trained cell and seed; `values` holds every number of its row that is finite."""

    cell: Cell
    name: str
    preset: str
    seed: int
    status: str
    texts: dict[str, str]
    values: dict[str, float]

    @property
    def file_name(self) -> str:
        """Of its arrays, below `items` and `samples`."""
        return f"{self.name}-seed{self.seed}.npz"


@dataclass(frozen=True)
class Setting:
    """Scores of a trained cell, decoded or sampled in one way."""

    cell: Cell
    seed: int
    solver: str
    values: dict[str, float]


@dataclass
class Results:
    """Everything that is there; a file of arrays is read when it is first asked for."""

    directory: Path
    runs: list[Run]
    settings: list[Setting]
    _arrays: dict[Path, dict[str, np.ndarray]] = field(default_factory=dict)

    def cells(self, task: str, dataset: str) -> list[Cell]:
        """All cells with a row, whatever became of them, in the report's order."""
        found = {run.cell for run in self.runs if run.cell.task == task and run.cell.dataset == dataset}
        return sorted(found, key=lambda cell: cell.rank)

    def of(self, cell: Cell) -> list[Run]:
        """Runs of a cell by seed."""
        return sorted((run for run in self.runs if run.cell == cell), key=lambda run: run.seed)

    def finished(self, cell: Cell) -> list[Run]:
        """Runs of a cell that have scores."""
        return [run for run in self.of(cell) if run.status == "finished"]

    def values(self, cell: Cell, column: str) -> list[float]:
        """A column over the finished seeds of a cell, where it has a value."""
        return [run.values[column] for run in self.finished(cell) if column in run.values]

    def mean(self, cell: Cell, column: str) -> float | None:
        """Mean of a column over the finished seeds."""
        values = self.values(cell, column)
        return sum(values) / len(values) if values else None

    def datasets(self, task: str) -> list[str]:
        """Datasets with at least one row of a task: images first."""
        return sorted(
            {run.cell.dataset for run in self.runs if run.cell.task == task},
            key=lambda name: order(name, ("mnist", "audio", "words")),
        )

    def items(self, run: Run) -> dict[str, np.ndarray]:
        """Values per test item by metric; empty where the file is missing."""
        return self._read(self.directory / "items" / run.file_name)

    def samples(self, run: Run) -> dict[str, np.ndarray]:
        """The first few decoded or generated items; empty where the file is missing."""
        return self._read(self.directory / "samples" / run.file_name)

    def reference(self, dataset: str) -> dict[str, np.ndarray]:
        """The originals of the samples; empty where the file is missing."""
        return self._read(self.directory / "samples" / f"reference-{dataset}.npz")

    def _read(self, path: Path) -> dict[str, np.ndarray]:
        if path not in self._arrays:
            self._arrays[path] = _read_arrays(path) if path.is_file() else {}
        return self._arrays[path]


def read_results(directory: Path) -> Results:
    """The rows of the tables and of their shards; a later row of one cell and seed replaces an earlier one.

    Raises:
        InputError: there is no table of results, or one is damaged.
    """
    runs: dict[tuple[Cell, int], Run] = {}
    for row in read_rows(directory, "results"):
        place = _place(row, ("seed", "status"))
        if row["status"] not in STATUSES:
            raise InputError(f"{place}: status {row['status']!r} is none of {', '.join(STATUSES)}: remove the row")
        cell, seed = _cell(row), _seed(place, row)
        texts = {name: row.get(name) or "" for name in TEXTS}
        runs[cell, seed] = Run(cell, row["name"], row["preset"], seed, row["status"], texts, _values(place, row))
    if not runs:
        raise InputError(f"{directory} holds no results.csv with rows: run the study there first")
    settings: dict[tuple, Setting] = {}
    for row in read_rows(directory, "sweep"):
        place = _place(row, ("seed", "num_evaluations"))
        setting = Setting(_cell(row), _seed(place, row), row.get("solver") or "", _values(place, row))
        how = tuple(setting.values.get(name) for name in ("num_evaluations", "temperature", "guidance_scale"))
        settings[setting.cell, setting.seed, setting.solver, how] = setting
    return Results(directory, list(runs.values()), list(settings.values()))


def _place(row: dict[str, str], needed: tuple[str, ...]) -> str:
    """The row's name in messages, once it is known to be whole."""
    place = f"{row['name']}, seed {row.get('seed')}"
    # A value under None is one too many, a value None one too few.
    if None in row or None in row.values() or any(name not in row for name in needed):
        raise InputError(f"{place}: the row has not one value per column: remove it from its table")
    return place


def _cell(row: dict[str, str]) -> Cell:
    return Cell(*(row[name] for name in Cell._fields))


def _seed(place: str, row: dict[str, str]) -> int:
    try:
        return int(row["seed"])
    except ValueError:
        raise InputError(f"{place}: the seed is not a whole number: remove the row from its table") from None


def _values(place: str, row: dict[str, str]) -> dict[str, float]:
    values = {}
    for name, text in row.items():
        if name in IDENTITY or name in TEXTS or name == "seed" or not text:
            continue
        try:
            value = float(text)
        except ValueError:
            raise InputError(f"{place}: {name} {text!r} is not a number: remove the row from its table") from None
        if math.isfinite(value):
            values[name] = value
    return values


def _read_arrays(path: Path) -> dict[str, np.ndarray]:
    try:
        with np.load(path, allow_pickle=False) as arrays:
            return {name: arrays[name] for name in arrays.files}
    except (OSError, ValueError, EOFError, zipfile.BadZipFile) as error:
        raise InputError(f"{path} cannot be read ({error}): evaluate its cell again, or delete it") from None
