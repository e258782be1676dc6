"""Models on the Hugging Face hub, where the package huggingface_hub is installed."""

import importlib
import re
from pathlib import Path

from meanflow_audio_codec.errors import InputError

# What a model's folder may hold; nothing else of a repository is fetched.
MODEL_FILES = ("config.json", "model.safetensors", "entropy.safetensors", "README.md")
_REPOSITORY = re.compile(r"[A-Za-z0-9][\w.-]*/[A-Za-z0-9][\w.-]*(@[\w./-]+)?")


def is_hub_id(name: str) -> bool:
    """Whether a name has the form OWNER/MODEL, or OWNER/MODEL@REVISION."""
    return _REPOSITORY.fullmatch(name) is not None


def fetch_from_hub(name: str) -> Path:
    """The local folder of a model on the hub, fetched unless it was before.

    Raises:
        InputError: huggingface_hub is not installed, or there is no such model, or no way to it.
    """
    try:
        huggingface_hub = importlib.import_module("huggingface_hub")
    except ImportError:
        raise InputError(
            f"model {name}: no such folder; to fetch it from the Hugging Face hub, install huggingface_hub"
        ) from None
    repository, _, revision = name.partition("@")
    try:
        folder = huggingface_hub.snapshot_download(
            repository, revision=revision or None, allow_patterns=list(MODEL_FILES)
        )
    # The hub's errors share no base class but OSError and ValueError.
    except (OSError, ValueError) as error:
        raise InputError(
            f"model {name}: cannot be fetched from the hub ({' '.join(str(error).split())[:200]})"
        ) from None
    return Path(folder)
