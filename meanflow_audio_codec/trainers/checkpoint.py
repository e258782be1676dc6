"""Training checkpoints: written whole or not at all, with checksums, the last few kept, and the best one beside them.

A checkpoint is a folder named after its step. Files and folder are on the disk before the folder takes that name, and
the name is there before an older checkpoint is deleted: a power cut costs no more than the steps since the last one.
"""

import hashlib
import json
import shutil
import sys
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from meanflow_audio_codec.errors import InputError
from meanflow_audio_codec.trainers.run_files.run_directory import RunDirectoryError, complete_folder, remove_unfinished
from meanflow_audio_codec.trainers.state import TrainState

STATE, FIGURES, CHECKSUMS = "state.safetensors", "figures.json", "checksums.json"
Contents = tuple[dict[str, np.ndarray], dict[str, float]]


class DamagedCheckpointError(ValueError):
    """A checkpoint is not what was written; the message says in what."""


class Checkpoints:
    """The checkpoints of a run, below `directory`: the newest `keep` of them."""

    def __init__(self, directory: Path, keep: int):
        self._directory, self._keep = directory, keep
        directory.mkdir(parents=True, exist_ok=True)
        remove_unfinished(directory)

    def latest_step(self) -> int | None:
        """Step of the newest checkpoint, or None."""
        return max(self._steps(), default=None)

    def save(self, state: TrainState, figures: dict[str, float] | None = None) -> None:
        """Write a checkpoint of this state, with figures to keep beside it.

        Raises:
            OSError: it cannot be written; the older ones stay.
        """
        from safetensors.numpy import save

        leaves, _ = _named_leaves(state)
        arrays = {name: np.require(np.asarray(leaf), requirements="C") for name, leaf in leaves.items()}
        files = {STATE: save(arrays), FIGURES: json.dumps(figures or {}).encode()}
        sums = {name: hashlib.sha256(content).hexdigest() for name, content in files.items()}
        files[CHECKSUMS] = json.dumps(sums).encode()
        # One of this step is there if the run was stopped between it and the next.
        with complete_folder(self._directory / str(int(state.step))) as folder:
            for name, content in files.items():
                (folder / name).write_bytes(content)
        for step in sorted(self._steps())[: -self._keep]:
            shutil.rmtree(self._directory / str(step))

    def restore(self, like: TrainState) -> tuple[TrainState, dict[str, float]]:
        """The newest checkpoint, in the structure of `like`, and its figures.

        One that is damaged is told, set aside under another name, and the one before is taken.

        Raises:
            InputError: there is none, all are damaged, or it was written for other networks.
        """
        steps = sorted(self._steps(), reverse=True)
        if not steps:
            raise InputError(f"{self._directory}: no checkpoint here; train first")
        leaves, structure = _named_leaves(like)
        for step in steps:
            folder = self._directory / str(step)
            try:
                arrays, figures = _read(folder, leaves)
            except DamagedCheckpointError as error:
                sys.stderr.write(f"{folder}: the checkpoint is damaged ({error}); trying the one before\n")
                aside = folder.with_name(f"{step}.damaged")
                shutil.rmtree(aside, ignore_errors=True)
                folder.replace(aside)
                continue
            _check_fit(self._directory, leaves, arrays)
            # A step donates its state, which only JAX's own memory allows.
            values = [jnp.array(arrays[name]) for name in leaves]
            return jax.tree_util.tree_unflatten(structure, values), figures
        raise RunDirectoryError(
            f"{self._directory}: all checkpoints are damaged; delete the run's folder and train anew"
        )

    def _steps(self) -> list[int]:
        return [int(path.name) for path in self._directory.iterdir() if path.name.isdecimal()]


def _named_leaves(state: TrainState) -> tuple[dict[str, Any], Any]:
    """The leaves of a state by their path, and its structure."""
    leaves, structure = jax.tree_util.tree_flatten_with_path(state)
    return {jax.tree_util.keystr(path): leaf for path, leaf in leaves}, structure


def _read(folder: Path, leaves: dict[str, Any]) -> Contents:
    """The arrays and figures of a checkpoint.

    Raises:
        DamagedCheckpointError: a file is missing or is not what was written.
    """
    from safetensors.numpy import load

    from meanflow_audio_codec.trainers.run_files.orbax_checkpoint import is_orbax_checkpoint, read_orbax_checkpoint

    if is_orbax_checkpoint(folder):
        return read_orbax_checkpoint(folder, leaves)
    try:
        sums = json.loads((folder / CHECKSUMS).read_bytes())
        contents = {name: (folder / name).read_bytes() for name in (STATE, FIGURES)}
    except FileNotFoundError as error:
        raise DamagedCheckpointError(f"{Path(error.filename).name} is missing") from error
    except ValueError as error:
        raise DamagedCheckpointError(f"{CHECKSUMS} cannot be read") from error
    for name, content in contents.items():
        if not isinstance(sums, dict) or sums.get(name) != hashlib.sha256(content).hexdigest():
            raise DamagedCheckpointError(f"{name} has another checksum than when it was written")
    return load(contents[STATE]), json.loads(contents[FIGURES])


def _check_fit(directory: Path, leaves: dict[str, Any], arrays: dict[str, np.ndarray]) -> None:
    odd = sorted(set(leaves) ^ set(arrays))
    odd += [
        name
        for name in sorted(set(leaves) & set(arrays))
        if (arrays[name].shape, arrays[name].dtype) != (leaves[name].shape, leaves[name].dtype)
    ]
    if odd:
        raise RunDirectoryError(f"{directory}: the checkpoint does not fit this configuration ({odd[0]})")
