"""Audio files read block by block, in memory that does not grow with them, to the end of what is there."""

import contextlib
import io
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float

from meanflow_audio_codec.datasets.audio.audio_tags import tags_of
from meanflow_audio_codec.datasets.audio.kept_errors import KeptErrors
from meanflow_audio_codec.datasets.audio.layouts.find import layout_of
from meanflow_audio_codec.datasets.audio.layouts.layout import Layout, early, late, read_at
from meanflow_audio_codec.datasets.remarks import tell
from meanflow_audio_codec.datasets.spooled_file import PipeReader, seekable
from meanflow_audio_codec.errors import InputError

# Samples of a block, of all channels together: 1 MiB of them.
BLOCK_SAMPLES = 1 << 18
# What the library says where a file states no length.
_OPEN_LENGTH = 2**63 - 1
# Enough to tell whether a pipe brings audio, without reading one that never ends.
_PROBE_BYTES = 1 << 16
_UNRECOGNISED = 1
# FLAC is read in small pieces: the library tells of an error at the end of a piece, and not at all if that is full. A
# prime, so that no number of whole frames fills a piece.
_FLAC_SAMPLES = 4_093
_KIND = "give a wav, flac, ogg or mp3 file"


class RecordingReader:
    """An open recording; `num_samples` is what the file says of each channel, None if it leaves that open.

    `remark` says how its end differs from what the file says; it is known at the end at the latest, and empty if it
    does not.
    """

    def __init__(self, layout: Layout, name: str, *, strict: bool = False, by_header: bool = False) -> None:
        self._layout, self._strict = layout, strict
        self.name = name
        self.remark = ""
        self._open = contextlib.ExitStack()
        self._restart()
        self.sample_rate, self.channels = int(self._sound.samplerate), int(self._sound.channels)
        self.tags = tags_of(self._sound)
        frames = [self._frames(link) for link in range(len(layout.links))]
        total = None if None in frames else sum(count for count in frames if count is not None)
        self.num_samples = layout.num_samples if total is None or layout.num_samples is not None else total
        self._stated = layout.num_samples or (total if layout.states_length else None)
        if total == 0:
            found = f" ({layout.remark})" if layout.remark else ""
            raise InputError(f"{name} holds no samples{found}: give a recording that is not empty")
        if strict or by_header or not layout.lacks_seconds:
            self._note(layout.remark)

    @property
    def is_floating_point(self) -> bool:
        """Whether samples may be of any size, NaN or infinite: other formats cannot hold such ones."""
        return self._sound.subtype in ("FLOAT", "DOUBLE")

    def read(self, count: int) -> Float[np.ndarray, "channels samples"]:
        """The next samples, of full scale 1: fewer than `count` only where a recording ends, none where the file does.

        An end other than stated is told on standard error.

        Raises:
            InputError: the file is damaged, samples are not finite, or it ends otherwise than stated and `strict` is
                set.
        """
        pieces, missing = [], count
        while missing and not self._has_ended:
            wanted = min(missing, _FLAC_SAMPLES) if self._sound.format == "FLAC" else missing
            piece = self._read_link(wanted)
            pieces.append(piece)
            missing -= len(piece)
            self._num_read += len(piece)
            if len(piece) == 0 and not self._next_link():
                self._has_ended = True
                self._check_end()
            elif 0 < len(piece) < wanted:
                break
        frames = np.concatenate(pieces) if pieces else np.zeros((0, self.channels), np.float32)
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
        if self._num_read:
            self._restart()
        block = self.read_some(count)
        while block.shape[1]:
            yield block
            block = self.read(count)

    def close(self) -> None:
        """Give the library's memory back; the file itself stays open."""
        self._open.close()

    def _restart(self) -> None:
        self._num_read, self._link, self._has_ended = 0, 0, False
        self._open_link()

    def _open_link(self) -> None:
        self._open.close()
        self._is_cut = False
        self._sound, self._guard = self._open.enter_context(_opened_sound(self._layout.links[self._link], self.name))

    def _next_link(self) -> bool:
        """Go on with the next recording of the file; false if there is none."""
        if self._link + 1 == len(self._layout.links):
            return False
        self._link += 1
        self._open_link()
        return True

    def _frames(self, link: int) -> int | None:
        """Samples of one of the file's recordings as the library knows them, once it fits the first one."""
        if link == 0:
            sound = self._sound
            return None if sound.frames == _OPEN_LENGTH else int(sound.frames)
        with _opened_sound(self._layout.links[link], self.name) as (sound, _):
            if (sound.samplerate, sound.channels) != (self.sample_rate, self.channels):
                raise InputError(
                    f"{self.name} holds recordings of {self.sample_rate} Hz, {self.channels} channel(s) and of "
                    f"{sound.samplerate} Hz, {sound.channels} channel(s): split it and give each by itself"
                )
            return None if sound.frames == _OPEN_LENGTH else int(sound.frames)

    def _read_link(self, count: int) -> np.ndarray:
        """Samples of the recording that is open, none at its end; an error of the library may be that."""
        import soundfile

        if self._is_cut:
            return np.zeros((0, self.channels), np.float32)
        frames = np.empty((count, self.channels), np.float32)
        before = self._sound.tell()
        with _reading_errors(self.name):
            try:
                with self._guard.raised():
                    return self._sound.read(count, dtype="float32", always_2d=True, out=frames)
            except soundfile.LibsndfileError as error:
                num_read = self._sound.tell() - before
                self._is_cut = True
                self._judge(error, self._num_read + num_read)
                return frames[:num_read]

    def _judge(self, error: Exception, num_samples: int) -> None:
        """Whether an error behind so many samples is the end, be it early or not, or damage.

        Raises:
            InputError: it is damage: samples follow that should be there, or none came before.
        """
        seconds = num_samples / self.sample_rate
        if num_samples == 0 or self._goes_on():
            raise InputError(
                f"{self.name} cannot be read as audio ({error_reason(error)} after {seconds:.2f} s): {_KIND}"
            ) from error
        if self._stated is None:
            self._note(f"ends early: it is cut after {seconds:.2f} s")

    def _goes_on(self) -> bool:
        """Whether something stands behind what the library could not read: then that was no end."""
        import soundfile

        position = self._guard.tell()
        if position < self._guard.seek(0, io.SEEK_END):
            return True
        self._guard.seek(position)
        for _ in range(3):  # each damaged place is an error of its own
            try:
                return len(self._sound.read(1, dtype="float32", always_2d=True)) > 0
            except soundfile.LibsndfileError:
                continue
        return True

    def _check_end(self) -> None:
        if self._layout.remark:
            self._note(f"{self._layout.remark}; {self._num_read / self.sample_rate:.2f} s were read")
        if self._stated is not None and self._num_read != self._stated and not self.remark:
            remark = early if self._num_read < self._stated else late
            self._note(remark(self._stated / self.sample_rate, self._num_read / self.sample_rate))

    def _note(self, remark: str) -> None:
        """Tell a remark once, or refuse the file for it."""
        if not remark or self.remark:
            return
        self.remark = remark
        if self._strict:
            raise InputError(f"{self.name} {remark}: give the whole recording, or leave out --strict")
        tell(f"{self.name} {remark}")


@contextmanager
def opened_recording(
    source: Any, name: str, *, strict: bool = False, by_header: bool = False
) -> Iterator[RecordingReader]:
    """A WAV, FLAC, Ogg or MP3 file, by its path or open for reading, a pipe as well; `name` is what messages call it.

    All of it is read, whatever its header says. An end that differs from the header is told on standard error, or with
    `strict` refused. `by_header` is for who wants the length alone: what takes reading the file through is left out.

    Raises:
        InputError: there is no such file, it is not audio, or it holds no samples.
    """
    with contextlib.ExitStack() as stack:
        given = stack.enter_context(_opened_file(source)) if isinstance(source, Path) else source
        file = stack.enter_context(seekable(given, name))
        if isinstance(file, PipeReader):
            _check_probe(file, name)
        with _reading_errors(name):
            if not read_at(file, 0, 1):
                raise InputError(f"{name} is empty (0 bytes): give an audio file")
            layout = layout_of(file, by_header=by_header)
        reader = RecordingReader(layout, name, strict=strict, by_header=by_header)
        stack.callback(reader.close)
        yield reader


@contextmanager
def _opened_file(path: Path) -> Iterator[Any]:
    """A file that there is; opened here, for the library does not take every name."""
    try:
        if path.is_dir():
            raise InputError(f"{path} is a folder: give an audio file")
        file = path.open("rb")
    except FileNotFoundError:
        raise InputError(f"{path} does not exist: give an audio file") from None
    except OSError as error:
        raise InputError(f"{path} cannot be read ({error_reason(error)}): give an audio file") from error
    with file:
        yield file


@contextmanager
def _opened_sound(file: Any, name: str) -> Iterator[tuple[Any, KeptErrors]]:
    """A recording as the library sees it, and the file through which it does."""
    import soundfile

    class InOrder(soundfile.SoundFile):
        """Read from start to end: without the seeking after each read, which MP3 decoders do not take well."""

        def seekable(self) -> bool:
            return False

    file.seek(0)
    guard: Any = KeptErrors(file)
    with _reading_errors(name), guard.raised():
        sound = InOrder(guard)
    with sound:
        yield sound, guard


def _check_probe(file: PipeReader, name: str) -> None:
    """Refuse at once what is no audio, for what comes through a pipe may never end.

    Raises:
        InputError: the beginning is of no kind of audio.
    """
    import soundfile

    start = file.read(_PROBE_BYTES)
    if start[:3] == b"ID3" or not start:  # a picture among the texts may be longer than this
        return
    try:
        soundfile.SoundFile(io.BytesIO(start)).close()
    except soundfile.LibsndfileError as error:
        if error.code == _UNRECOGNISED:
            raise InputError(f"{name} cannot be read as audio ({error_reason(error)}): {_KIND}") from error


@contextmanager
def _reading_errors(name: str) -> Iterator[None]:
    import soundfile

    try:
        yield
    except (soundfile.LibsndfileError, OSError) as error:
        raise InputError(f"{name} cannot be read as audio ({error_reason(error)}): {_KIND}") from error


def error_reason(error: Exception) -> str:
    """What libsndfile or the system says of an error, on one line."""
    text = getattr(error, "error_string", None) or getattr(error, "strerror", None) or str(error)
    return " ".join(str(text).split()).rstrip(".")
