"""Published models: a folder of config.json, model.safetensors, entropy.safetensors and README.md (the model card)."""

import hashlib
import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx
from pydantic import Field, PositiveInt, ValidationError

from meanflow_audio_codec.configs.base import Config
from meanflow_audio_codec.configs.experiment import ExperimentConfig
from meanflow_audio_codec.configs.serialization import from_dict
from meanflow_audio_codec.errors import InputError
from meanflow_audio_codec.inference.given_numbers import shown
from meanflow_audio_codec.inference.hub import fetch_from_hub, is_hub_id
from meanflow_audio_codec.inference.jax_settings import noise_key, own_jax_settings
from meanflow_audio_codec.models.build import build_method, build_model
from meanflow_audio_codec.models.codec_model import CodecModel
from meanflow_audio_codec.models.methods.base import Method
from meanflow_audio_codec.preprocessing.normalization import build_normalizer
from meanflow_audio_codec.preprocessing.normalizer import TokenNormalizer
from meanflow_audio_codec.preprocessing.specs import SignalSpec
from meanflow_audio_codec.preprocessing.tokenizers import Tokenizer, build_tokenizer

FORMAT_VERSION = 1
WEIGHTS_DIRECTORY = Path(__file__).resolve().parent.parent / "weights"


class Description(Config):
    """The content of a model folder's config.json."""

    format_version: int
    experiment: dict[str, Any]
    signal_shape: tuple[PositiveInt, ...]
    sample_rate: PositiveInt | None
    normalizer: dict[str, list[float]]
    # Digest of this file's decoding settings: the digest that files of the model carry, its first. A model keeps that
    # when its config.json is written in a new layout, and no longer has it once a setting is changed.
    published_settings: dict[str, str] = Field(default_factory=dict)
    # Metrics that settings or weights were chosen by, as `evaluate --metrics` calls them; written by hand.
    chosen_by: tuple[str, ...] | None = None


@dataclass(frozen=True)
class PretrainedModel:
    """A model with everything inference needs, and the hash that files made with it carry."""

    name: str
    config: ExperimentConfig
    signal: SignalSpec
    tokenizer: Tokenizer
    normalizer: TokenNormalizer
    method: Method
    model: CodecModel
    entropy: Mapping[str, np.ndarray]
    weights_hash: bytes
    # Metrics that it was chosen by; None where its config.json does not say.
    chosen_by: tuple[str, ...] | None = None

    def __getstate__(self) -> dict[str, Any]:
        """For pickle and copy, the weights as NumPy arrays: to read them uses no device, which a fork may not."""
        return self.__dict__ | {"model": jax.tree.map(np.asarray, self.model)}


def built_in_models() -> list[str]:
    """Names of the models that come with the package."""
    return sorted(path.parent.name for path in WEIGHTS_DIRECTORY.glob("*/model.safetensors"))


def find_model(name_or_directory: str | Path) -> Path:
    """The folder of a built-in model, the folder itself, or that of a model on the Hugging Face hub.

    Raises:
        InputError: it is none of these, or cannot be fetched.
    """
    if not isinstance(name_or_directory, str | Path):
        raise InputError(f"the model must be a name or a folder, not {shown(name_or_directory)}")
    for folder in (WEIGHTS_DIRECTORY / str(name_or_directory), Path(name_or_directory)):
        if (folder / "model.safetensors").is_file():
            return folder
    if isinstance(name_or_directory, str) and is_hub_id(name_or_directory) and not Path(name_or_directory).exists():
        folder = fetch_from_hub(name_or_directory)
        if (folder / "model.safetensors").is_file():
            return folder
    raise InputError(
        f"model {name_or_directory}: neither a built-in model ({', '.join(built_in_models())}) nor a folder with "
        "model.safetensors"
    )


def read_weights(name_or_directory: str | Path) -> dict[str, np.ndarray]:
    """The arrays of a model's model.safetensors.

    Raises:
        InputError: there is no such model, or the file is damaged.
    """
    from safetensors import SafetensorError
    from safetensors.numpy import load

    path = find_model(name_or_directory) / "model.safetensors"
    try:
        return load(path.read_bytes())
    except (OSError, ValueError, SafetensorError) as error:
        raise InputError(f"model {path.parent}: cannot be read ({error})") from None


@own_jax_settings()
def load_pretrained(name_or_directory: str | Path) -> PretrainedModel:
    """Read a model.

    Raises:
        InputError: there is no such model, or its files are damaged or of a newer format.
    """
    from safetensors import SafetensorError
    from safetensors.numpy import load

    folder = find_model(name_or_directory)
    try:
        contents = {name: (folder / name).read_bytes() for name in ("config.json", "model.safetensors")}
        description = json.loads(contents["config.json"])
        weights = load(contents["model.safetensors"])
        entropy_file = folder / "entropy.safetensors"
        entropy_bytes = entropy_file.read_bytes() if entropy_file.exists() else b""
        entropy = load(entropy_bytes) if entropy_file.exists() else {}
    except (OSError, ValueError, SafetensorError) as error:
        raise InputError(f"model {folder}: cannot be read ({error})") from None
    described = _checked_description(description, folder)
    config = from_dict(described.experiment, str(folder / "config.json"))
    signal = SignalSpec(described.signal_shape, described.sample_rate)
    try:
        tokenizer = build_tokenizer(config.tokenizer, signal)
        normalizer = build_normalizer(
            config.normalization, config.decoding, tokenizer.spec, signal, described.normalizer
        )
    except ValueError as error:
        raise InputError(f"model {folder}: config.json describes no model ({error})") from error
    # Shapes only: the initial values would be thrown away.
    skeleton = nnx.eval_shape(
        lambda: build_model(config, tokenizer.spec, len(normalizer.side_levels), noise_key(0)).without_discriminator()
    )
    return PretrainedModel(
        name=config.name,
        config=config,
        signal=signal,
        tokenizer=tokenizer,
        normalizer=normalizer,
        method=build_method(config.method),
        model=_with_weights(skeleton, weights, folder),
        entropy=entropy,
        weights_hash=weights_hash(contents["model.safetensors"], entropy_bytes, _settings_digest(described)),
        chosen_by=described.chosen_by,
    )


def _checked_description(description: Any, folder: Path) -> Description:
    version = description.get("format_version") if isinstance(description, dict) else None
    if isinstance(version, int) and version > FORMAT_VERSION:
        raise InputError(
            f"model {folder}: format version {version} is newer than {FORMAT_VERSION}; upgrade meanflow-audio-codec"
        )
    try:
        described = Description.model_validate(description)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"])
        raise InputError(f"model {folder}: config.json is damaged ({where}: {first['msg']})") from None
    if described.format_version != FORMAT_VERSION:
        raise InputError(f"model {folder}: format version {version} does not exist")
    return described


def weights_hash(weights: bytes, entropy: bytes, decoding: str) -> bytes:
    """First eight bytes of a SHA-256 of all that decoding depends on: what ties a .mfc file to its model.

    `decoding` is the hexadecimal digest of the settings.
    """
    parts = b"".join(hashlib.sha256(part).digest() for part in (weights, entropy)) + bytes.fromhex(decoding)
    return hashlib.sha256(parts).digest()[:8]


def _settings_digest(described: Description) -> str:
    """Of the part of config.json that changes what bytes decode to: not training, nor what a user can choose anyway.

    As the file has it, not as this version would write it: a field added later must not change the hash of a model.
    """
    parts = ("tokenizer", "normalization", "bottleneck", "prior", "decoder", "decoding")
    values = {part: described.experiment.get(part) for part in parts}
    method = described.experiment.get("method") or {}
    values |= {
        "sample_rate": described.sample_rate,
        "normalizer": described.normalizer,
        "method": method.get("kind"),
    }
    digest = hashlib.sha256(json.dumps(values, sort_keys=True).encode()).hexdigest()
    return described.published_settings.get(digest, digest)


def save_pretrained(
    folder: Path,
    *,
    config: ExperimentConfig,
    signal: SignalSpec,
    normalizer: TokenNormalizer,
    model: CodecModel,
    entropy: Mapping[str, np.ndarray],
) -> None:
    """Write a model's folder; weights are stored as float16, which costs less than quantising the codes does.

    A discriminator is left out: nothing but training needs it.
    """
    from safetensors.numpy import save

    folder.mkdir(parents=True, exist_ok=True)
    description = {
        "format_version": FORMAT_VERSION,
        "experiment": config.model_dump(mode="json"),
        "signal_shape": list(signal.shape),
        "sample_rate": signal.sample_rate,
        "normalizer": normalizer.state(),
    }
    weights = {
        name: np.asarray(value, np.float16) for name, value in named_parameters(model.without_discriminator()).items()
    }
    files = {"config.json": (json.dumps(description, indent=2) + "\n").encode(), "model.safetensors": save(weights)}
    if entropy:
        files["entropy.safetensors"] = save({name: np.ascontiguousarray(table) for name, table in entropy.items()})
    for name, content in files.items():
        temporary = folder / (name + ".tmp")
        temporary.write_bytes(content)
        os.replace(temporary, folder / name)


def named_parameters(model: CodecModel) -> dict[str, jax.Array]:
    """Every trainable array under the name that it has in model.safetensors."""
    leaves, _ = jax.tree_util.tree_flatten_with_path(nnx.to_pure_dict(nnx.state(model, nnx.Param)))
    return {".".join(str(entry.key) for entry in path): leaf for path, leaf in leaves}


def _with_weights(skeleton: CodecModel, weights: Mapping[str, np.ndarray], folder: Path) -> CodecModel:
    state = nnx.to_pure_dict(nnx.state(skeleton, nnx.Param))
    leaves, structure = jax.tree_util.tree_flatten_with_path(state)
    names = [".".join(str(entry.key) for entry in path) for path, _ in leaves]
    if set(names) != set(weights):
        odd = sorted(set(names) ^ set(weights))[0]
        raise InputError(f"model {folder}: weights and config.json do not belong together ({odd})")
    values = []
    for name, (_, leaf) in zip(names, leaves, strict=True):
        if weights[name].shape != leaf.shape:
            raise InputError(f"model {folder}: {name} has shape {weights[name].shape}, not {leaf.shape}")
        # Converted by NumPy: JAX would compile one conversion per shape.
        values.append(jnp.asarray(weights[name].astype(np.float32)))
    graph, abstract = nnx.split(skeleton)
    nnx.replace_by_pure_dict(abstract, jax.tree_util.tree_unflatten(structure, values))
    return nnx.merge(graph, abstract)
