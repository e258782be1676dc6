"""Audio files written block by block, in memory that does not grow with them."""

import errno
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from types import MappingProxyType
from typing import Any

import numpy as np
from jaxtyping import Float

from meanflow_audio_codec.datasets.audio.audio_tags import set_tags
from meanflow_audio_codec.datasets.audio.kept_errors import KeptErrors
from meanflow_audio_codec.datasets.audio.recording_reader import error_reason
from meanflow_audio_codec.errors import InputError

# Format and default subtype, as libsndfile calls them.
WRITABLE_FORMATS = {".wav": ("WAV", "PCM_16"), ".flac": ("FLAC", "PCM_16"), ".ogg": ("OGG", "VORBIS")}
NO_TAGS: Mapping[str, str] = MappingProxyType({})
INT16_SCALE = 32768.0
# Its lengths take 32 bits; some are left for header and texts.
_LARGEST_WAV = 2**32 - 2**17
# libsndfile's Vorbis encoder overflows its stack when a long signal is written in one call.
WRITE_BLOCK = 65536


class RecordingWriter:
    """A recording that is being written."""

    def __init__(self, sound: Any, guard: KeptErrors, subtype: str) -> None:
        self._sound, self._guard = sound, guard
        self._subtype = subtype

    def write(self, audio: Float[np.ndarray, "channels samples"]) -> None:
        """Append samples of full scale 1; those beyond are clipped, except for the floating-point subtypes.

        Raises:
            OSError: the file cannot be written to.
            ValueError: values that are not finite.
        """
        if not np.isfinite(audio).all():
            raise ValueError("audio to be written holds NaN or infinite values")
        for start in range(0, audio.shape[1], WRITE_BLOCK):
            frames = audio[:, start : start + WRITE_BLOCK].T
            if self._subtype not in ("FLOAT", "DOUBLE"):
                frames = np.clip(frames, -1.0, 1.0)
            try:
                with self._guard.raised():
                    self._sound.write(to_int16(frames) if self._subtype == "PCM_16" else frames)
            except AssertionError as error:  # of the library, which counts what it could write
                raise OSError(errno.EIO, "the audio library wrote a part only") from error


@contextmanager
def recording_writer(
    file: Any,
    sample_rate: int,
    channels: int,
    *,
    suffix: str,
    name: str,
    subtype: str | None = None,
    tags: Mapping[str, str] = NO_TAGS,
) -> Iterator[RecordingWriter]:
    """Writes into an open, seekable file, in the format of the suffix; `name` is what messages call it.

    The default is 16-bit PCM (Vorbis for Ogg), rounded so that what was read from a 16-bit file is written back bit
    for bit.

    Raises:
        InputError: the format cannot hold such a recording, or the file cannot be written to.
    """
    import soundfile

    file_format, default_subtype = WRITABLE_FORMATS[suffix]
    subtype = subtype or default_subtype
    guard: Any = KeptErrors(file)
    try:
        # Closing writes, too: what is left of the sound, and the lengths in the header.
        with guard.raised():
            try:
                sound = soundfile.SoundFile(guard, "w", sample_rate, channels, subtype, format=file_format)
            except ValueError as error:  # a format that this library cannot combine
                raise OSError(str(error)) from error
            with sound:
                set_tags(sound, tags)
                yield RecordingWriter(sound, guard, subtype)
    except (soundfile.LibsndfileError, OSError) as error:
        reason = error_reason(error)
        raise InputError(f"{name} cannot be written ({reason}): check the folder and the format") from error


def check_size(name: str, suffix: str, channels: int, num_samples: int) -> None:
    """Refuse a WAV file whose lengths its header could not say; 16-bit samples are counted, no format here has fewer.

    Raises:
        InputError: it would have 4 GiB or more.
    """
    if suffix == ".wav" and 2 * channels * num_samples >= _LARGEST_WAV:
        raise InputError(
            f"{name}: {channels} channel(s) of {num_samples} samples do not fit the 4 GiB of a WAV file: write flac"
        )


def to_int16(audio: Float[np.ndarray, "..."]) -> np.ndarray:
    """16-bit samples, full scale 32768 as in reading, rounded to nearest; +1 becomes 32767."""
    return np.clip(np.rint(audio * INT16_SCALE), -32768, 32767).astype(np.int16)
