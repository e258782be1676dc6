"""Audio files in and out: one array per file, one line per error."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np
from jaxtyping import Float

from meanflow_audio_codec.datasets.audio.recording_reader import error_reason, opened_recording
from meanflow_audio_codec.datasets.audio.recording_writer import (
    NO_TAGS,
    WRITABLE_FORMATS,
    check_size,
    recording_writer,
)
from meanflow_audio_codec.datasets.complete_file import complete_file
from meanflow_audio_codec.errors import InputError

READABLE_SUFFIXES = (".wav", ".flac", ".ogg", ".mp3")


def read_audio(path: Path, *, strict: bool = False) -> tuple[Float[np.ndarray, "channels samples"], int]:
    """Samples of a WAV, FLAC, Ogg or MP3 file, full scale 1, and its sample rate in Hz.

    A file that ends earlier or later than it says is read to its end and that is told on standard error, or with
    `strict` refused.

    Raises:
        InputError: there is no such file, it is not audio, it holds no samples, or some are not finite.
    """
    with opened_recording(path, str(path), strict=strict) as recording:
        return np.concatenate(list(recording.blocks()), axis=1), recording.sample_rate


def write_audio(
    path: Path,
    audio: Float[np.ndarray, "*channels samples"],
    sample_rate: int,
    *,
    overwrite: bool,
    subtype: str | None = None,
    tags: Mapping[str, str] = NO_TAGS,
) -> None:
    """Write (samples,) or (channels, samples) as WAV, FLAC or Ogg by the suffix; complete or not at all.

    Values outside [-1, 1] are clipped, except for the floating-point subtypes. The default is 16-bit PCM (Vorbis for
    Ogg), rounded so that what `read_audio` gave from a 16-bit file is written back bit for bit.

    Raises:
        InputError: the suffix is unknown, the file exists and `overwrite` is false, or the folder cannot be written to.
        ValueError: the array has no samples, more than two axes, or values that are not finite.
    """
    if path.suffix.lower() not in WRITABLE_FORMATS:
        known = ", ".join(WRITABLE_FORMATS)
        raise InputError(f"{path} has the unknown suffix {path.suffix!r}: use one of {known}")
    if path.is_dir():
        raise InputError(f"{path} is a folder: give the name of a file")
    if path.exists() and not overwrite:
        raise InputError(f"{path} exists: choose another name or allow overwriting")
    if audio.ndim > 2 or audio.size == 0:
        raise ValueError(f"audio must be (samples,) or (channels, samples) and not empty, not {audio.shape}")
    channels, suffix = np.atleast_2d(audio), path.suffix.lower()
    check_size(str(path), suffix, *channels.shape)
    try:
        with (
            complete_file(path) as file,
            recording_writer(
                file, sample_rate, len(channels), suffix=suffix, name=str(path), subtype=subtype, tags=tags
            ) as writer,
        ):
            writer.write(channels)
    except OSError as error:
        reason = error_reason(error)
        raise InputError(f"{path} cannot be written ({reason}): check the folder and the format") from error
