"""Starting from the weights of another model: fine-tuning, and growing a model that has been trained."""

from pathlib import Path
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx

from meanflow_audio_codec.codec.pretrained import load_pretrained, named_parameters, read_weights
from meanflow_audio_codec.configs.experiment import ExperimentConfig
from meanflow_audio_codec.errors import InputError
from meanflow_audio_codec.models.codec_model import CodecModel


class WarmStart(NamedTuple):
    """A model with what it took from another, and how many of its arrays were taken whole, in part, or not at all."""

    model: CodecModel
    whole: int
    part: int
    new: int


def normalizer_to_keep(config: ExperimentConfig, name_or_directory: str | Path) -> dict[str, list[float]] | None:
    """What the normaliser of a model has learned, if its encoder is to be frozen; None if it is to be fitted anew.

    Codes are those of normalised tokens: under another normaliser a frozen encoder would give others.

    Raises:
        InputError: the encoder is frozen, and the model has another normalisation.
    """
    if "encoder" not in config.training.frozen_networks:
        return None
    described = load_pretrained(name_or_directory)
    if described.config.normalization != config.normalization:
        raise InputError(
            f"training.frozen_networks: {name_or_directory} has another normalization, so its encoder's codes cannot "
            "stay; use the model's own, or train the encoder too"
        )
    return described.normalizer.state()


def warm_start(model: CodecModel, name_or_directory: str | Path) -> WarmStart:
    """Copy the weights of a model folder by name; of an array of another size, the block that both have.

    The block begins at the first row and column: a model with more digits keeps those that it had.

    Raises:
        InputError: there is no such model, or its files are damaged.
    """
    weights = read_weights(name_or_directory)
    counts = {"whole": 0, "part": 0, "new": 0}
    state = nnx.to_pure_dict(nnx.state(model, nnx.Param))
    names = iter(named_parameters(model))

    def take(leaf: jax.Array) -> jax.Array:
        source = weights.get(next(names))
        if source is None or source.ndim != leaf.ndim:
            counts["new"] += 1
            return leaf
        counts["whole" if source.shape == leaf.shape else "part"] += 1
        block = tuple(slice(0, min(sizes)) for sizes in zip(source.shape, leaf.shape, strict=True))
        value = np.array(leaf)
        value[block] = source[block].astype(np.float32)
        return jnp.asarray(value)

    taken = jax.tree.map(take, state)
    graph, abstract = nnx.split(model)
    nnx.replace_by_pure_dict(abstract, taken)
    return WarmStart(nnx.merge(graph, abstract), **counts)
