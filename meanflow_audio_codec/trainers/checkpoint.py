"""Training checkpoints: written whole or not at all, the last few kept, and the best one beside them."""

from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from meanflow_audio_codec.errors import InputError
from meanflow_audio_codec.trainers.state import TrainState


def _named_leaves(state: TrainState) -> tuple[dict[str, Any], Any]:
    """The leaves of a state by their path, and its structure: orbax then needs to know nothing of our classes."""
    leaves, structure = jax.tree_util.tree_flatten_with_path(state)
    return {jax.tree_util.keystr(path): leaf for path, leaf in leaves}, structure


class Checkpoints:
    """The checkpoints of a run, below `directory`; orbax writes each to a temporary name and renames it."""

    def __init__(self, directory: Path, keep: int):
        import orbax.checkpoint as ocp

        self._ocp = ocp
        options = ocp.CheckpointManagerOptions(max_to_keep=keep, enable_async_checkpointing=False)
        self._manager = ocp.CheckpointManager(directory.resolve(), options=options)

    def latest_step(self) -> int | None:
        """Step of the newest complete checkpoint, or None."""
        return self._manager.latest_step()

    def save(self, state: TrainState, metrics: dict[str, float] | None = None) -> None:
        """Write a checkpoint of this state, with figures to keep beside it."""
        leaves, _ = _named_leaves(state)
        self._manager.save(
            int(state.step),
            args=self._ocp.args.Composite(
                state=self._ocp.args.StandardSave({name: np.asarray(leaf) for name, leaf in leaves.items()}),
                metrics=self._ocp.args.JsonSave(metrics or {}),
            ),
        )
        self._manager.wait_until_finished()

    def restore(self, like: TrainState) -> tuple[TrainState, dict[str, float]]:
        """The newest checkpoint, in the structure of `like`, and its figures.

        Raises:
            InputError: there is none, or it was written for other networks.
        """
        step = self.latest_step()
        if step is None:
            raise InputError(f"{self._manager.directory}: no checkpoint here; train first")
        leaves, structure = _named_leaves(like)
        expected = {name: jax.ShapeDtypeStruct(leaf.shape, leaf.dtype) for name, leaf in leaves.items()}
        try:
            restored = self._manager.restore(
                step,
                args=self._ocp.args.Composite(
                    state=self._ocp.args.StandardRestore(expected), metrics=self._ocp.args.JsonRestore()
                ),
            )
        except (ValueError, KeyError) as error:
            raise InputError(
                f"{self._manager.directory}: the checkpoint does not fit this configuration "
                f"({str(error).splitlines()[0]})"
            ) from error
        # Orbax returns what was saved, NumPy arrays; a step donates its state, which only JAX's own memory allows.
        values = [jnp.array(restored["state"][name]) for name in leaves]
        return jax.tree_util.tree_unflatten(structure, values), dict(restored["metrics"])
