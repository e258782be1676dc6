"""Sounds and pictures inside a page: lossless files in memory, as data addresses."""

import base64
import io

import numpy as np
from jaxtyping import Float

from meanflow_audio_codec.datasets.audio.recording_writer import recording_writer


def flac(audio: Float[np.ndarray, "channels samples"], sample_rate: int) -> bytes:
    """A FLAC file of 16 bits; values outside [-1, 1] are clipped.

    Raises:
        InputError: FLAC cannot hold this sample rate or number of channels.
    """
    file = io.BytesIO()
    with recording_writer(file, sample_rate, len(audio), suffix=".flac", name="a sound in the page") as writer:
        writer.write(audio)
    return file.getvalue()


def data_address(content: bytes, media_type: str) -> str:
    """`data:MEDIA_TYPE;base64,...`."""
    return f"data:{media_type};base64,{base64.b64encode(content).decode('ascii')}"


def audio_address(audio: Float[np.ndarray, "channels samples"], sample_rate: int) -> str:
    """A sound as a data address of a FLAC file.

    Raises:
        InputError: as `flac`.
    """
    return data_address(flac(audio, sample_rate), "audio/flac")
