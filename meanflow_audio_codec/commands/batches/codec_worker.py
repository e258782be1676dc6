"""What the encoding and the decoding of files share: models, loaded when they are first needed."""

import argparse
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from meanflow_audio_codec.codec.codec import Codec


class CodecWorker:
    """Works on files with one set of options; alone on one file, it shows how far it is."""

    def __init__(self, arguments: argparse.Namespace, *, shows_progress: bool = False) -> None:
        self.arguments = arguments
        self.shows_progress = shows_progress
        self._loaded: dict[str, Codec] = {}

    def codec(self, model: str) -> "Codec":
        """The codec of a model, loaded once.

        Raises:
            InputError: it cannot be loaded.
        """
        if model not in self._loaded:
            from meanflow_audio_codec.codec.codec import Codec

            self._loaded[model] = Codec.from_pretrained(model)
        return self._loaded[model]

    def prepare(self) -> None:
        """Load the model of --model, if one is named."""
        if self.arguments.model is not None:
            self.codec(self.arguments.model)
