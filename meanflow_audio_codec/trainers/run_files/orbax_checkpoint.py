"""Reading the checkpoints that this program wrote by the library orbax, so that such a run can go on."""

from pathlib import Path
from typing import Any

import jax
import numpy as np


def is_orbax_checkpoint(folder: Path) -> bool:
    """Whether a step's folder was written by orbax."""
    return (folder / "_CHECKPOINT_METADATA").exists()


def read_orbax_checkpoint(folder: Path, leaves: dict[str, Any]) -> tuple[dict[str, np.ndarray], dict[str, float]]:
    """The arrays of a step, by the names of these leaves, and its figures.

    Raises:
        InputError: it holds other arrays, or cannot be read.
    """
    import orbax.checkpoint as ocp

    from meanflow_audio_codec.errors import InputError

    expected = {name: jax.ShapeDtypeStruct(leaf.shape, leaf.dtype) for name, leaf in leaves.items()}
    options = ocp.CheckpointManagerOptions(read_only=True)
    try:
        with ocp.CheckpointManager(folder.parent.resolve(), options=options) as manager:
            restored = manager.restore(
                int(folder.name),
                args=ocp.args.Composite(state=ocp.args.StandardRestore(expected), metrics=ocp.args.JsonRestore()),
            )
    except (ValueError, KeyError) as error:
        raise InputError(
            f"{folder.parent}: the checkpoint does not fit this configuration ({str(error).splitlines()[0]})"
        ) from error
    return {name: np.asarray(restored["state"][name]) for name in leaves}, dict(restored["metrics"])
