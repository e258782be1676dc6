"""The folder of a training run: that it is this run's, what is written there first, and disks that fill up."""

import fcntl
import json
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from meanflow_audio_codec.configs.experiment import ExperimentConfig
from meanflow_audio_codec.configs.serialization import read_config, to_json
from meanflow_audio_codec.datasets.complete_file import complete_file
from meanflow_audio_codec.errors import InputError


class RunDirectoryError(InputError):
    """Something is wrong with the folder of one run, and with no other."""


def check_run_directory(config: ExperimentConfig, directory: Path) -> dict[str, list[float]] | None:
    """Make sure that a directory is new or holds this very run; its normaliser's state, if it has one already.

    Raises:
        RunDirectoryError: it holds something else, or cannot be a folder.
    """
    try:
        files = [folder for folder in (directory, *directory.parents) if folder.exists() and not folder.is_dir()]
    except OSError as error:  # such as a name that is too long
        raise RunDirectoryError(
            f"{directory}: cannot be a folder ({error.strerror}); choose another --run-dir"
        ) from error
    if files:
        raise RunDirectoryError(f"{files[0]}: is a file, so {directory} cannot be a folder; choose another --run-dir")
    path = directory / "config.json"
    if path.exists():
        if read_config(path) != config:
            raise RunDirectoryError(f"{directory}: holds a run of another configuration; choose another --run-dir")
    elif directory.exists() and any(_without_remains(directory)):
        raise RunDirectoryError(f"{directory}: is not empty and holds no training run; choose another --run-dir")
    normalizer = directory / "normalizer.json"
    try:
        return json.loads(normalizer.read_bytes()) if normalizer.exists() else None
    except ValueError as error:
        raise RunDirectoryError(f"{normalizer}: is damaged ({error}); choose another --run-dir") from error


def _without_remains(directory: Path) -> Iterator[Path]:
    """What lies there, but for the beginning of a configuration that a killed program was writing."""
    return (path for path in directory.iterdir() if not (path.name.startswith(".") and path.suffix == ".tmp"))


def write_description(directory: Path, config: ExperimentConfig, normalizer_state: dict[str, list[float]]) -> None:
    """Write into its folder what a new run is, which stays as it is from then on.

    Raises:
        OSError: it cannot be written.
    """
    remove_unfinished(directory)
    for name, text in (("config.json", to_json(config)), ("normalizer.json", json.dumps(normalizer_state))):
        if not (directory / name).exists():
            with complete_file(directory / name) as file:
                file.write(text.encode())
    sync_folder(directory)


@contextmanager
def only_one_process(directory: Path) -> Iterator[None]:
    """In the block no other process trains in a directory; however this one ends, the next may.

    Raises:
        RunDirectoryError: another one does.
    """
    descriptor = os.open(directory, os.O_RDONLY)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise RunDirectoryError(
                f"{directory}: another process trains in it; wait for its end, or choose another --run-dir"
            ) from error
        yield
    finally:
        os.close(descriptor)


@contextmanager
def disk_problems_told(directory: Path) -> Iterator[None]:
    """Whatever the disk does in the block, such as filling up, becomes one line.

    Raises:
        InputError: something could not be read or written.
    """
    try:
        yield
    except BrokenPipeError:  # of whoever read the messages
        raise
    except OSError as error:
        place = error.filename or directory
        raise InputError(
            f"{place}: cannot be read or written ({error.strerror or error}); "
            "once that is mended the same command goes on from the last checkpoint"
        ) from error


def sync_folder(folder: Path) -> None:
    """Return when names that were given or taken in a folder are on the disk."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


@contextmanager
def complete_folder(folder: Path) -> Iterator[Path]:
    """A new folder for files, which takes this name once the block ends without an error.

    The files are on the disk before the name is. If a folder of this name exists its files are replaced one by one, and
    what else lies there stays.
    """
    temporary = folder.with_name(f".{folder.name}.{os.getpid()}.tmp")
    shutil.rmtree(temporary, ignore_errors=True)
    try:
        temporary.mkdir(parents=True)
        yield temporary
        for path in temporary.iterdir():
            with path.open("rb") as file:
                os.fsync(file.fileno())
        sync_folder(temporary)
        if folder.exists():
            for path in temporary.iterdir():
                path.replace(folder / path.name)
            sync_folder(folder)
        else:
            temporary.replace(folder)
            sync_folder(folder.parent)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def remove_unfinished(folder: Path) -> None:
    """Delete what `complete_folder` of a program that was killed left behind in a folder."""
    for path in folder.glob(".*.tmp"):
        if path.is_dir():
            shutil.rmtree(path, ignore_errors=True)
