"""What the encoding and the decoding of files share: one model, loaded when it is first needed."""

import argparse
from functools import cached_property
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from meanflow_audio_codec.codec.codec import Codec


class CodecWorker:
    """Works on files with one model and one set of options; alone on one file, it shows how far it is."""

    def __init__(self, arguments: argparse.Namespace, *, shows_progress: bool = False) -> None:
        self.arguments = arguments
        self.shows_progress = shows_progress

    @cached_property
    def codec(self) -> "Codec":
        """The codec of --model.

        Raises:
            InputError: it cannot be loaded.
        """
        from meanflow_audio_codec.codec.codec import Codec

        return Codec.from_pretrained(self.arguments.model)

    def prepare(self) -> None:
        """Load the model."""
        _ = self.codec
