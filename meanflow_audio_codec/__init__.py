"""A neural audio codec whose decoder is an improved mean flow, and the study that justifies it."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from meanflow_audio_codec.codec.codec import Codec
    from meanflow_audio_codec.codec.container import BitstreamError

__version__ = "0.1.0"

__all__ = ["BitstreamError", "Codec", "__version__"]

_PUBLIC = {
    "BitstreamError": "meanflow_audio_codec.codec.container",
    "Codec": "meanflow_audio_codec.codec.codec",
}


def __getattr__(name: str) -> Any:
    """Import public names on first use, so that importing the package does not import JAX."""
    if name in _PUBLIC:
        return getattr(import_module(_PUBLIC[name]), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
