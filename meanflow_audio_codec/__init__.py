"""A neural audio codec whose decoder is an improved mean flow, and the study that justifies it."""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from meanflow_audio_codec.codec.codec import Codec
    from meanflow_audio_codec.codec.container import BitstreamError, CheckedFile, SeekableReader
    from meanflow_audio_codec.codec.files.excerpt import decode_excerpt
    from meanflow_audio_codec.codec.files.packet_streams import decode_stream, encode_stream
    from meanflow_audio_codec.codec.files.whole_files import EncodedFile, decode_file, encode_file
    from meanflow_audio_codec.codec.packets import StreamPacket
    from meanflow_audio_codec.codec.streaming.concealment import Concealment
    from meanflow_audio_codec.codec.streaming.decoder import StreamingDecoder
    from meanflow_audio_codec.codec.streaming.encoder import StreamingEncoder
    from meanflow_audio_codec.codec.tokens import Tokens
    from meanflow_audio_codec.errors import InputError

__version__ = "0.1.0"

__all__ = [
    "BitstreamError",
    "CheckedFile",
    "Codec",
    "Concealment",
    "EncodedFile",
    "InputError",
    "SeekableReader",
    "StreamPacket",
    "StreamingDecoder",
    "StreamingEncoder",
    "Tokens",
    "__version__",
    "decode_excerpt",
    "decode_file",
    "decode_stream",
    "encode_file",
    "encode_stream",
]

# Where each public name comes from; the imports above say the same to type checkers.
_MODULES = {
    "BitstreamError": "codec.container",
    "CheckedFile": "codec.container",
    "Codec": "codec.codec",
    "Concealment": "codec.streaming.concealment",
    "EncodedFile": "codec.files.whole_files",
    "InputError": "errors",
    "SeekableReader": "codec.container",
    "StreamPacket": "codec.packets",
    "StreamingDecoder": "codec.streaming.decoder",
    "StreamingEncoder": "codec.streaming.encoder",
    "Tokens": "codec.tokens",
    "decode_excerpt": "codec.files.excerpt",
    "decode_file": "codec.files.whole_files",
    "decode_stream": "codec.files.packet_streams",
    "encode_file": "codec.files.whole_files",
    "encode_stream": "codec.files.packet_streams",
}


if not TYPE_CHECKING:  # or type checkers would take any name for a public one

    def __getattr__(name: str) -> object:
        """Import public names on first use, so that importing the package does not import JAX."""
        if name in _MODULES:
            return getattr(import_module(f"{__name__}.{_MODULES[name]}"), name)
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    """All public names, those not yet imported too."""
    return sorted({*globals(), *__all__})
