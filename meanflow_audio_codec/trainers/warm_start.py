"""Starting from the weights of another model: fine-tuning, and growing a model that has been trained."""

from pathlib import Path
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx

from meanflow_audio_codec.configs.experiment import ExperimentConfig
from meanflow_audio_codec.configs.tokens import BlockGainShapeConfig
from meanflow_audio_codec.errors import InputError
from meanflow_audio_codec.inference.pretrained import load_pretrained, named_parameters, read_weights
from meanflow_audio_codec.models.codec_model import CodecModel


class WarmStart(NamedTuple):
    """A model with what it took from another, and how many of its arrays were taken whole, in part, or not at all."""

    model: CodecModel
    whole: int
    part: int
    new: int


def normalizer_to_keep(config: ExperimentConfig, name_or_directory: str | Path) -> dict[str, list[float]] | None:
    """What the normaliser of a model has learned, where it serves this experiment as well; None to fit it anew.

    It does if tokens and normalisation are the model's own, or differ in operating points and options of decoding
    alone: the weights were trained under it.

    Raises:
        InputError: the encoder is frozen, so that its codes must stay, and the model has another normalisation.
    """
    described = load_pretrained(name_or_directory)
    if "encoder" in config.training.frozen_networks and described.config.normalization != config.normalization:
        raise InputError(
            f"training.frozen_networks: {name_or_directory} has another normalization, so its encoder's codes cannot "
            "stay; use the model's own, or train the encoder too"
        )
    return described.normalizer.state() if _what_is_fitted(described.config) == _what_is_fitted(config) else None


def _what_is_fitted(config: ExperimentConfig) -> tuple[object, ...]:
    """All that the constants of a normaliser depend on, but for the recordings."""
    match config.normalization:
        case BlockGainShapeConfig() as blocks:
            # The basis over bands is that of the gains themselves, before any step divides them.
            normalization = (blocks.kind, blocks.num_bands, blocks.floor_db, blocks.fit_batches)
        case other:
            normalization = (other,)
    return config.tokenizer, getattr(config.dataset, "sample_rate", None), *normalization


def warm_start(model: CodecModel, name_or_directory: str | Path, fresh_networks: tuple[str, ...] = ()) -> WarmStart:
    """Copy the weights of a model folder by name; of an array of another size, the block that both have.

    The block begins at the first row and column: a model with more digits keeps those that it had. `fresh_networks`
    take nothing; the encoder's bottleneck goes with it.

    Raises:
        InputError: there is no such model, or its files are damaged.
    """
    weights = read_weights(name_or_directory)
    counts = {"whole": 0, "part": 0, "new": 0}
    state = nnx.to_pure_dict(nnx.state(model, nnx.Param))
    names = iter(named_parameters(model))

    fresh = {*fresh_networks, *(["bottleneck"] if "encoder" in fresh_networks else [])}

    def take(leaf: jax.Array) -> jax.Array:
        name = next(names)
        source = None if name.split(".")[0] in fresh else weights.get(name)
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
