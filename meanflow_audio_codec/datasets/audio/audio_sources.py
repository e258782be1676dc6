"""Which audio files a folder holds, and which split each belongs to: by its manifest, or else by a hash of its path."""

import csv
import hashlib
import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from meanflow_audio_codec.datasets.audio_files import READABLE_SUFFIXES
from meanflow_audio_codec.datasets.base import SPLITS
from meanflow_audio_codec.datasets.folder_contents import folder_contents
from meanflow_audio_codec.datasets.remarks import tell
from meanflow_audio_codec.errors import InputError

MANIFEST = "manifest.csv"
ALL_SPLITS = "all"
BY_MANIFEST = f"the column split of a {MANIFEST} in the folder says which recordings belong to which"


@dataclass(frozen=True)
class AudioSource:
    """One audio file: where it is, its name (relative to the parent of its folder), split and manifest row."""

    path: Path
    name: str
    split: str
    row: dict[str, str]


def split_of(relative_path: str) -> str:
    """Split of a file by the SHA-256 of its path (posix, relative to the folder): 80 % train, 10 % valid, 10 % test.

    Adding, removing or moving other files, or the whole folder, never changes it.
    """
    bucket = int.from_bytes(hashlib.sha256(os.fsencode(relative_path)).digest()[:8], "big") % 10
    return "train" if bucket < 8 else SPLITS[bucket - 7]


def audio_sources(folder: Path) -> list[AudioSource]:
    """All audio files of a folder in fixed order, from `manifest.csv` if it has one, otherwise found recursively.

    Manifest paths are relative to the manifest's folder or, if not found there, to the folder's parent.

    Raises:
        InputError: no such folder, no audio in it, or a manifest that lacks a column or names a missing file.
    """
    if not folder.is_dir():
        raise InputError(f"{folder} is not a folder: give a folder of audio files")
    folder = folder.resolve()
    sources = list(_listed(folder) if (folder / MANIFEST).is_file() else _found(folder))
    if not sources:
        raise InputError(f"{folder} holds no audio: put {', '.join(READABLE_SUFFIXES)} files into it")
    return sorted(sources, key=lambda source: source.name)


def select(
    sources: list[AudioSource], split: str, where: tuple[tuple[str, str], ...] = (), *, advice: str = BY_MANIFEST
) -> list[AudioSource]:
    """The sources of one split ("all" for every split) whose manifest columns have the values asked for.

    `advice` is what the caller's user can do where nothing is left.

    Raises:
        InputError: a column is not in the manifest, or nothing is left.
    """
    for column, _ in where:
        if not any(column in source.row for source in sources):
            known = ", ".join(sorted({name for source in sources for name in source.row})) or "none: no manifest"
            raise InputError(f"no manifest column {column!r} to filter by: the columns are {known}")
    chosen = [
        source
        for source in sources
        if split in (source.split, ALL_SPLITS) and all(source.row.get(column) == value for column, value in where)
    ]
    if not chosen:
        splits = ", ".join(sorted({source.split for source in sources}))
        filters = "".join(f", {column} = {value!r}" for column, value in where)
        raise InputError(f"no audio in split {split!r}{filters}: the splits are {splits}; {advice}")
    return chosen


def parse_conditions(texts: Iterable[str]) -> tuple[tuple[str, str], ...]:
    """Columns and values of `COLUMN=VALUE`, as `--only` takes them and `select` wants them.

    Raises:
        InputError: a text has another form.
    """
    conditions = []
    for text in texts:
        column, separator, value = text.partition("=")
        if not separator:
            raise InputError(f"--only {text}: write it as COLUMN=VALUE")
        conditions.append((column, value))
    return tuple(conditions)


def _found(folder: Path) -> Iterator[AudioSource]:
    contents = folder_contents(folder, READABLE_SUFFIXES)
    for remark in contents.remarks:
        tell(remark)
    for path in contents.files:
        relative = path.relative_to(folder).as_posix()
        yield AudioSource(path, f"{folder.name}/{relative}", split_of(relative), {})


def _listed(folder: Path) -> Iterator[AudioSource]:
    manifest = folder / MANIFEST
    try:
        with manifest.open(newline="", encoding="utf-8-sig") as file:
            rows = list(csv.DictReader(file))
    except (UnicodeDecodeError, csv.Error) as error:
        raise InputError(f"{manifest} is not a CSV file in UTF-8: {error}") from error
    seen: set[str] = set()
    for number, row in enumerate(rows, start=2):
        if not row.get("path") or not row.get("split") or None in row:
            raise InputError(f"{manifest}, line {number}: needs a header row with the columns path and split, and both")
        path = next((base / row["path"] for base in (folder, folder.parent) if (base / row["path"]).is_file()), None)
        if path is None:
            raise InputError(
                f"{manifest}, line {number}: there is no file {row['path']} in {folder} or {folder.parent}"
            )
        name = row["path"] if path == folder.parent / row["path"] else f"{folder.name}/{row['path']}"
        if name in seen:
            raise InputError(f"{manifest}, line {number}: {row['path']} is listed twice")
        seen.add(name)
        yield AudioSource(path, name, row["split"], dict(row))
