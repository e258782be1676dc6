"""Reading and writing the classifiers that measure samples: `weights.safetensors` beside `config.json`."""

import json
import os
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any, TypeVar

import jax.numpy as jnp
import numpy as np
from flax import nnx

Classifier = TypeVar("Classifier", bound=nnx.Module)


def write_weights(folder: Path, config: Any, classifier: nnx.Module, *, dtype: type = np.float32) -> None:
    """Write weights and configuration (a dataclass) into an existing folder, each complete or not at all."""
    from safetensors.numpy import save

    weights = {_name(path): np.asarray(variable.get_value(), dtype) for path, variable in _flat_state(classifier)}
    # Not `save_file`, whose files only their owner may read.
    (folder / ".weights.tmp").write_bytes(save(weights))
    os.replace(folder / ".weights.tmp", folder / "weights.safetensors")
    (folder / ".config.tmp").write_text(json.dumps(asdict(config), indent=2) + "\n", encoding="utf-8")
    os.replace(folder / ".config.tmp", folder / "config.json")


def read_weights(folder: Path, build: Callable[[dict], Classifier]) -> Classifier:
    """The classifier in a folder that `write_weights` wrote, in float32; `build` makes one from the configuration.

    Raises:
        ValueError: names or shapes of the weights differ from those of the configuration.
    """
    from safetensors.numpy import load_file

    values = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    weights = load_file(folder / "weights.safetensors")
    classifier = nnx.eval_shape(lambda: build(values))
    expected = {_name(path): variable.get_value().shape for path, variable in _flat_state(classifier)}
    if expected != {name: value.shape for name, value in weights.items()}:
        raise ValueError(f"the weights in {folder} do not belong to its config.json: train the classifier again")
    state = [
        (path, variable.replace(jnp.asarray(weights[_name(path)], jnp.float32)))
        for path, variable in _flat_state(classifier)
    ]
    nnx.update(classifier, nnx.from_flat_state(state))
    return classifier


def _flat_state(classifier: nnx.Module) -> list[tuple[tuple, nnx.Variable]]:
    return list(nnx.to_flat_state(nnx.state(classifier)))


def _name(path: tuple) -> str:
    return ".".join(str(part) for part in path)
