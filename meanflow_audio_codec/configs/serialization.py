"""Configurations as JSON and back, and dotted overrides from the command line."""

import json
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter, ValidationError

from meanflow_audio_codec.configs.experiment import ExperimentConfig
from meanflow_audio_codec.errors import InputError

KNOWN_FIELDS = "`meanflow-codec train --config speech-16k --show-config`"


def to_json(config: ExperimentConfig) -> str:
    """The configuration with every field written out."""
    return json.dumps(config.model_dump(mode="json"), indent=2) + "\n"


def from_dict(values: dict[str, Any], source: str) -> ExperimentConfig:
    """A validated configuration.

    Raises:
        InputError: an unknown field or an invalid value, named with its dotted path and `source`.
    """
    try:
        return TypeAdapter(ExperimentConfig).validate_python(values)
    except ValidationError as error:
        first = error.errors()[0]
        path = ".".join(str(part) for part in first["loc"])
        message = first["msg"].removeprefix("Value error, ")
        if first["type"] == "extra_forbidden":
            message = f"unknown field; {KNOWN_FIELDS} lists the known ones"
        raise InputError(f"{source}: {path + ': ' if path else ''}{message}") from None


def read_config(path: Path) -> ExperimentConfig:
    """The configuration in a JSON file.

    Raises:
        InputError: the file is missing, is not JSON, or does not validate.
    """
    try:
        values = json.loads(
            path.read_text(encoding="utf-8-sig")
        )  # some editors begin every file with a byte-order mark
    except FileNotFoundError:
        raise InputError(f"{path}: no such configuration file") from None
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror})") from None
    except (UnicodeDecodeError, json.JSONDecodeError, RecursionError) as error:
        raise InputError(f"{path}: not a JSON file ({error})") from None
    if not isinstance(values, dict):
        raise InputError(f"{path}: a configuration is a JSON object, not {type(values).__name__}")
    return from_dict(values, str(path))


def apply_overrides(config: ExperimentConfig, overrides: list[str]) -> ExperimentConfig:
    """The configuration with `part.field=value` settings applied; values are JSON, or plain strings.

    Raises:
        InputError: a setting without `=`, an unknown path, or an invalid value.
    """
    values = config.model_dump(mode="json")
    for override in overrides:
        path, separator, text = override.partition("=")
        if not separator:
            raise InputError(f"--set {override}: write it as part.field=value, e.g. training.batch_size=8")
        *parents, field = path.split(".")
        node: Any = values
        for parent in parents:
            node = node.get(parent) if isinstance(node, dict) else None
        if not isinstance(node, dict) or field not in node:
            raise InputError(f"--set {override}: unknown field {path}; {KNOWN_FIELDS} lists the known ones")
        try:
            node[field] = json.loads(text)
        except json.JSONDecodeError:
            node[field] = text
    return from_dict(values, "--set")
