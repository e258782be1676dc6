"""What goes wrong inside the audio library's callbacks comes out, whatever the library makes of it."""

import errno
import io

import numpy as np
import pytest
from fixtures.faults.damaged_recordings import AUDIO, RATE, WHOLE

from meanflow_audio_codec.datasets.audio.recording_reader import opened_recording
from meanflow_audio_codec.datasets.audio.recording_writer import recording_writer
from meanflow_audio_codec.errors import InputError


class FailingFile(io.BytesIO):
    """Raises `error` at a call of one of its methods, counted from 0, and from then on."""

    def __init__(self, data: bytes, method: str, at: int, error: BaseException) -> None:
        super().__init__(data)
        self._method, self._left, self._error = method, at, error

    def _count(self, method: str) -> None:
        if method == self._method:
            self._left -= 1
            if self._left < 0:
                raise self._error

    def write(self, content) -> int:
        self._count("write")
        return super().write(content)

    def read(self, count: int | None = -1) -> bytes:
        self._count("read")
        return super().read(count)


class ShortFile(io.BytesIO):
    """Takes and gives seven bytes at once, as an unbuffered file or a pipe may."""

    def write(self, content) -> int:
        return super().write(bytes(content[:7]))

    def read(self, count: int | None = -1) -> bytes:
        return super().read(7 if count is None or count < 0 else min(count, 7))


def write(file: io.BytesIO, suffix: str) -> None:
    with recording_writer(file, RATE, 1, suffix=suffix, name="it", tags={"title": "x"}) as writer:
        for block in np.array_split(AUDIO[None].astype(np.float32), 3, axis=1):
            writer.write(block)


@pytest.mark.parametrize("suffix", [".wav", ".flac", ".ogg"])
def test_an_error_at_any_write_is_raised(suffix):
    watched = FailingFile(b"", "write", 10**9, OSError())
    write(watched, suffix)
    calls = 10**9 - watched._left
    assert calls > 3
    for at in {0, 1, 2, calls // 2, calls - 2, calls - 1}:
        with pytest.raises(InputError, match=r"^it cannot be written \(No space left on device\)"):
            write(FailingFile(b"", "write", at, OSError(errno.ENOSPC, "No space left on device")), suffix)
        with pytest.raises(KeyboardInterrupt):
            write(FailingFile(b"", "write", at, KeyboardInterrupt()), suffix)


@pytest.mark.parametrize("suffix", [".wav", ".flac"])
def test_a_file_that_takes_little_at_once_gets_all(suffix):
    short, usual = ShortFile(), io.BytesIO()
    write(short, suffix)
    write(usual, suffix)
    assert short.getvalue() == usual.getvalue()


@pytest.mark.parametrize("kind", WHOLE)
def test_an_error_at_any_read_is_raised(kind):
    data = WHOLE[kind][0](AUDIO)

    def read(file: io.BytesIO) -> None:
        with opened_recording(file, "it") as recording:
            for _ in recording.blocks():
                pass

    watched = FailingFile(data, "read", 10**9, OSError())
    read(watched)
    calls = 10**9 - watched._left
    for at in {0, 1, calls // 2, calls - 1}:
        with pytest.raises(InputError, match=r"^it cannot be read as audio \(Input/output error\)"):
            read(FailingFile(data, "read", at, OSError(errno.EIO, "Input/output error")))
        with pytest.raises(KeyboardInterrupt):
            read(FailingFile(data, "read", at, KeyboardInterrupt()))


@pytest.mark.parametrize("kind", ["wav", "flac", "ogg"])
def test_a_file_that_gives_little_at_once_is_read_whole(kind):
    with opened_recording(ShortFile(WHOLE[kind][0](AUDIO[:9_000])), "it", strict=True) as recording:
        assert sum(block.shape[1] for block in recording.blocks()) == 9_000
