"""Audio files read block by block, in memory that does not grow with them."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float

from meanflow_audio_codec.datasets.audio.audio_tags import tags_of
from meanflow_audio_codec.errors import InputError

# Samples of a block, of all channels together: 1 MiB of them.
BLOCK_SAMPLES = 1 << 18


class RecordingReader:
    """An open recording; `num_samples` is what the file says of each channel, and what it has unless it is cut."""

    def __init__(self, sound: Any, name: str) -> None:
        self._sound = sound
        self.name = name
        self.sample_rate = int(sound.samplerate)
        self.channels = int(sound.channels)
        self.num_samples = int(sound.frames)
        self.tags = tags_of(sound)

    @property
    def is_floating_point(self) -> bool:
        """Whether samples may be of any size, NaN or infinite: other formats cannot hold such ones."""
        return self._sound.subtype in ("FLOAT", "DOUBLE")

    def read(self, count: int) -> Float[np.ndarray, "channels samples"]:
        """The next samples, of full scale 1: fewer than `count` only where the recording ends.

        Raises:
            InputError: the file is damaged, or samples are not finite.
        """
        with _reading_errors(self.name):
            frames = self._sound.read(count, dtype="float32", always_2d=True)
        if not np.isfinite(frames).all():
            raise InputError(f"{self.name} holds samples that are NaN or infinite: repair or re-export the file")
        return np.ascontiguousarray(frames.T)

    def read_some(self, count: int) -> Float[np.ndarray, "channels samples"]:
        """As `read`, for the first samples.

        Raises:
            InputError: as `read`, or there is not one.
        """
        samples = self.read(count)
        if samples.shape[1] == 0:
            raise InputError(f"{self.name} holds no samples: give a recording that is not empty")
        return samples

    def blocks(self) -> Iterator[Float[np.ndarray, "channels samples"]]:
        """The whole recording from its start, at most `BLOCK_SAMPLES` at once.

        Raises:
            InputError: as `read_some`.
        """
        count = max(BLOCK_SAMPLES // self.channels, 1)
        if self._sound.tell():
            self._sound.seek(0)
        block = self.read_some(count)
        while block.shape[1]:
            yield block
            block = self.read(count)


@contextmanager
def opened_recording(source: Any, name: str) -> Iterator[RecordingReader]:
    """A WAV, FLAC, Ogg or MP3 file, by its path or open and seekable; `name` is what messages call it.

    Raises:
        InputError: there is no such file, it is not audio, or it holds no samples.
    """
    import soundfile

    class InOrder(soundfile.SoundFile):
        """Read from start to end: without the seeking after each read, which MP3 decoders do not take well."""

        def seekable(self) -> bool:
            return False

    if isinstance(source, Path):
        _check_is_file(source)
    with _reading_errors(name):
        sound = InOrder(source)
    with sound:
        if sound.frames == 0:
            raise InputError(f"{name} holds no samples: give a recording that is not empty")
        yield RecordingReader(sound, name)


def _check_is_file(path: Path) -> None:
    if path.is_dir():
        raise InputError(f"{path} is a folder: give an audio file")
    if not path.is_file():
        raise InputError(f"{path} does not exist: give an audio file")
    if path.stat().st_size == 0:
        raise InputError(f"{path} is empty (0 bytes): give an audio file")


@contextmanager
def _reading_errors(name: str) -> Iterator[None]:
    import soundfile

    try:
        yield
    except (soundfile.LibsndfileError, OSError) as error:
        reason = error_reason(error)
        raise InputError(f"{name} cannot be read as audio ({reason}): give a wav, flac, ogg or mp3 file") from error


def error_reason(error: Exception) -> str:
    """What libsndfile or the system says of an error, on one line."""
    text = getattr(error, "error_string", None) or getattr(error, "strerror", None) or str(error)
    return " ".join(str(text).split()).rstrip(".")
