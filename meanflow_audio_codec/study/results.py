"""The study's tables: one row per cell and seed, appended whole."""

import csv
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from meanflow_audio_codec.errors import InputError
from meanflow_audio_codec.study.cells import StudyCell

IDENTITY = ("preset", "task", "method", "architecture", "tokenization", "dataset", "name")
PROVENANCE = (
    "seed", "status", "reason", "config_hash", "git_revision", "package_version", "jax_version", "device",
    "num_parameters", "flops_per_step", "num_steps", "batch_size", "training_seconds", "steps_per_second",
    "peak_memory_mib", "evaluation_seconds", "final_training_loss",
)  # fmt: skip
SETTING = ("num_evaluations", "solver", "temperature", "guidance_scale")
METRICS = (
    "num_items", "milliseconds_per_item", "bits_per_item", "kilobits_per_second", "side_bits_per_item",
    "code_bits_per_item", "codebook_use", "mse", "psnr", "ssim", "si_sdr", "lsd", "mel", "mrmel", "pesq", "estoi",
    "accuracy", "frechet_distance", "kernel_distance", "precision", "recall", "frechet_half_width",
    "dnsmos_p808", "distillmos", "original_dnsmos_p808", "original_distillmos", "not_scored",
)  # fmt: skip
RESULT_COLUMNS = IDENTITY + PROVENANCE + SETTING + METRICS
SWEEP_COLUMNS = (*IDENTITY, "seed", *SETTING, *METRICS)


@dataclass(frozen=True)
class Shard:
    """Part `index` of `count` of the runs, counted from 1."""

    index: int = 1
    count: int = 1

    @property
    def suffix(self) -> str:
        """Of the shard's own tables: several machines may share a folder."""
        return "" if self.count == 1 else f"-{self.index}-of-{self.count}"


def identity(cell: StudyCell) -> dict[str, Any]:
    """The columns that name a cell."""
    return {column: getattr(cell, column) for column in IDENTITY}


def append_rows(path: Path, columns: tuple[str, ...], rows: list[dict[str, Any]]) -> None:
    """Append rows to a table, with its heading if it is new; a row is written by one call, so it is whole or absent.

    A table of an earlier version, which lacks some of the columns, gets them first, without values.

    Raises:
        InputError: the table that is there has other columns, or cannot be written.
    """
    for row in rows:
        unknown = set(row) - set(columns)
        if unknown:
            raise ValueError(f"the table has no column {', '.join(sorted(unknown))}")
    _drop_row_cut_short(path)
    is_new = not path.exists() or path.stat().st_size == 0
    if not is_new:
        heading = tuple(next(csv.reader(_text_of(path).splitlines()[:1]), ()))
        if heading != columns and heading == tuple(column for column in columns if column in heading):
            _add_columns(path, columns)
        elif heading != columns:
            raise InputError(f"{path}: has other columns than this version writes; choose another --output-dir")
    lines = ([list(columns)] if is_new else []) + [[_text(row.get(column)) for column in columns] for row in rows]
    try:
        with path.open("ab") as file:
            file.write("".join(map(_csv_line, lines)).encode())
            file.flush()
            os.fsync(file.fileno())
    except OSError as error:
        raise InputError(f"{path}: cannot be written ({error.strerror}); the same command goes on from here") from error


def _drop_row_cut_short(path: Path) -> None:
    """What a power cut or a full disk left of a row must not become the beginning of the next."""
    if not path.exists():
        return
    with path.open("r+b") as file:
        content = file.read()
        whole = content.rfind(b"\n") + 1
        if whole < len(content):
            file.truncate(whole)


def _add_columns(path: Path, columns: tuple[str, ...]) -> None:
    """Rewrite a table of whole rows with more columns, under a temporary name until it is done."""
    rows = csv.DictReader(_text_of(path).splitlines())
    lines = [list(columns), *([row.get(column) or "" for column in columns] for row in rows)]
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        temporary.write_bytes("".join(map(_csv_line, lines)).encode())
        os.replace(temporary, path)
    except OSError as error:
        raise InputError(f"{path}: cannot be written ({error.strerror}); the same command goes on from here") from error
    finally:
        temporary.unlink(missing_ok=True)


def read_rows(directory: Path, table: str) -> list[dict[str, str]]:
    """All rows of `table` ("results" or "sweep") below a directory, those of shards too; a line cut short is skipped.

    Raises:
        InputError: a table is not one of this program.
    """
    rows = []
    for path in sorted(directory.glob(f"{table}*.csv")):
        text = _text_of(path)
        complete = text[: text.rfind("\n") + 1]
        reader = csv.DictReader(complete.splitlines())
        if reader.fieldnames is None or not set(IDENTITY) <= set(reader.fieldnames):
            raise InputError(f"{path}: is not a table of the study; choose another --output-dir")
        rows += list(reader)
    return rows


def _text_of(path: Path) -> str:
    """A table's text; a byte-order mark, as spreadsheets write it, is no part of it."""
    try:
        return path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise InputError(f"{path}: is no table in UTF-8 ({error}); choose another --output-dir") from error


def _text(value: Any) -> str:
    if value is None:
        return ""
    return f"{value:.6g}" if isinstance(value, float) else " ".join(str(value).split())


def _csv_line(values: list[str]) -> str:
    from io import StringIO

    line = StringIO()
    csv.writer(line, lineterminator="\n").writerow(values)
    return line.getvalue()
