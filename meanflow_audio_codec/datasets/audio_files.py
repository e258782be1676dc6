"""Audio files in and out: one array per file, one line per error."""

import contextlib
import io
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Float

from meanflow_audio_codec.datasets.audio_tags import set_tags, tags_of
from meanflow_audio_codec.errors import InputError

READABLE_SUFFIXES = (".wav", ".flac", ".ogg", ".mp3")
# Format and default subtype, as libsndfile calls them.
WRITABLE_FORMATS = {".wav": ("WAV", "PCM_16"), ".flac": ("FLAC", "PCM_16"), ".ogg": ("OGG", "VORBIS")}
NO_TAGS: Mapping[str, str] = MappingProxyType({})
INT16_SCALE = 32768.0
# libsndfile's Vorbis encoder overflows its stack when a long signal is written in one call.
WRITE_BLOCK = 65536


class Recording(NamedTuple):
    """Samples of full scale 1, their rate in Hz, and the texts that came with them."""

    audio: Float[np.ndarray, "channels samples"]
    sample_rate: int
    tags: dict[str, str]


def read_audio(path: Path) -> tuple[Float[np.ndarray, "channels samples"], int]:
    """Samples of a WAV, FLAC, Ogg or MP3 file, full scale 1, and its sample rate in Hz.

    Raises:
        InputError: there is no such file, it is not audio, it holds no samples, or some are not finite.
    """
    recording = read_recording(path)
    return recording.audio, recording.sample_rate


def read_recording(path: Path) -> Recording:
    """A WAV, FLAC, Ogg or MP3 file with its tags.

    Raises:
        InputError: as `read_audio`.
    """
    if path.is_dir():
        raise InputError(f"{path} is a folder: give an audio file")
    if not path.is_file():
        raise InputError(f"{path} does not exist: give an audio file")
    if path.stat().st_size == 0:
        raise InputError(f"{path} is empty (0 bytes): give an audio file")
    return read_open_recording(path, str(path))


def read_open_recording(source: Any, name: str) -> Recording:
    """A recording from a path or a seekable binary file; `name` is what messages call it.

    Raises:
        InputError: it is not audio, holds no samples, or some are not finite.
    """
    import soundfile

    try:
        with soundfile.SoundFile(source) as sound:
            samples = sound.read(dtype="float32", always_2d=True)
            sample_rate, tags = int(sound.samplerate), tags_of(sound)
    except (soundfile.LibsndfileError, OSError) as error:
        raise InputError(
            f"{name} cannot be read as audio ({_reason(error)}): give a wav, flac, ogg or mp3 file"
        ) from error
    if len(samples) == 0:
        raise InputError(f"{name} holds no samples: give a recording that is not empty")
    if not np.isfinite(samples).all():
        raise InputError(f"{name} holds samples that are NaN or infinite: repair or re-export the file")
    return Recording(np.ascontiguousarray(samples.T), sample_rate, tags)


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
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        with _writing_errors(str(path)), temporary.open("wb") as file:
            _write_samples(file, audio, sample_rate, path.suffix.lower(), subtype, tags)
        with _writing_errors(str(path)):
            os.replace(temporary, path)
    finally:
        with contextlib.suppress(OSError):
            temporary.unlink(missing_ok=True)


def audio_bytes(
    audio: Float[np.ndarray, "*channels samples"],
    sample_rate: int,
    *,
    suffix: str = ".wav",
    tags: Mapping[str, str] = NO_TAGS,
) -> bytes:
    """What `write_audio` would write.

    Raises:
        InputError: the format cannot hold this audio.
        ValueError: as `write_audio`.
    """
    file = io.BytesIO()
    with _writing_errors("the audio"):
        _write_samples(file, audio, sample_rate, suffix, None, tags)
    return file.getvalue()


def read_tags(source: Any) -> dict[str, str]:
    """The texts of an audio file that can be read, from its path or from a seekable binary file."""
    import soundfile

    with soundfile.SoundFile(source) as sound:
        return tags_of(sound)


@contextlib.contextmanager
def _writing_errors(name: str) -> Iterator[None]:
    import soundfile

    try:
        yield
    except (soundfile.LibsndfileError, OSError) as error:
        raise InputError(f"{name} cannot be written ({_reason(error)}): check the folder and the format") from error


def _write_samples(
    file: Any,
    audio: Float[np.ndarray, "*channels samples"],
    sample_rate: int,
    suffix: str,
    subtype: str | None,
    tags: Mapping[str, str],
) -> None:
    if audio.ndim > 2 or audio.size == 0:
        raise ValueError(f"audio must be (samples,) or (channels, samples) and not empty, not {audio.shape}")
    if not np.isfinite(audio).all():
        raise ValueError("audio to be written holds NaN or infinite values")
    file_format, default_subtype = WRITABLE_FORMATS[suffix]
    subtype = subtype or default_subtype
    frames = np.atleast_2d(audio).T
    if subtype not in ("FLOAT", "DOUBLE"):
        frames = np.clip(frames, -1.0, 1.0)
    if subtype == "PCM_16":
        frames = to_int16(frames)
    import soundfile

    try:
        sound = soundfile.SoundFile(file, "w", sample_rate, frames.shape[1], subtype, format=file_format)
    except ValueError as error:  # a format that this library cannot combine
        raise OSError(str(error)) from error
    with sound:
        set_tags(sound, tags)
        for start in range(0, len(frames), WRITE_BLOCK):
            sound.write(frames[start : start + WRITE_BLOCK])


def to_int16(audio: Float[np.ndarray, "..."]) -> np.ndarray:
    """16-bit samples, full scale 32768 as in reading, rounded to nearest; +1 becomes 32767."""
    return np.clip(np.rint(audio * INT16_SCALE), -32768, 32767).astype(np.int16)


def _reason(error: Exception) -> str:
    text = getattr(error, "error_string", None) or getattr(error, "strerror", None) or str(error)
    return " ".join(str(text).split()).rstrip(".")
