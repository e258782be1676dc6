"""Pipes: real processes in a row, and WAV headers that do not know their length."""

import io
import struct
import subprocess
import sys

import numpy as np
import pytest
import soundfile
from fixtures.tiny_models import RATE, codec_folder, sound, tiny_codec

from meanflow_audio_codec.codec.container import read_stream, write_stream
from meanflow_audio_codec.datasets.audio.recording_reader import opened_recording
from meanflow_audio_codec.datasets.audio.recording_writer import to_int16
from meanflow_audio_codec.errors import InputError

SAMPLES = to_int16(sound(8_000)).astype("<i2")
UNKNOWN = 2**32 - 1


def text_chunk(kind: bytes, text: bytes) -> bytes:
    return kind + struct.pack("<I", len(text)) + text + bytes(len(text) % 2)


def wav(riff_bytes: int, data_bytes: int, *, before: bytes = b"", after: bytes = b"") -> bytes:
    """A WAV file of SAMPLES whose header says these sizes."""
    parameters = struct.pack("<HHIIHH", 1, 1, RATE, 2 * RATE, 2, 16)
    start = b"RIFF" + struct.pack("<I", riff_bytes) + b"WAVEfmt " + struct.pack("<I", len(parameters)) + parameters
    return start + before + b"data" + struct.pack("<I", data_bytes) + SAMPLES.tobytes() + after


TEXTS = b"INFO" + text_chunk(b"INAM", "Röslein\0".encode()) + text_chunk(b"ISFT", b"Lavf60.16.100\0")
LIST = b"LIST" + struct.pack("<I", len(TEXTS)) + TEXTS
# As ffmpeg writes to a pipe: both sizes unknown, and a list of texts before the samples.
FFMPEG = wav(UNKNOWN, UNKNOWN, before=LIST)


@pytest.mark.parametrize(
    "data",
    [
        wav(36 + 16_000, 16_000),
        FFMPEG,
        wav(0x7FFFF024, 0x7FFFF000),
        wav(0, 0),
        wav(36, 0),
        wav(UNKNOWN, 0, before=LIST),
    ],
    ids=["known", "ffmpeg", "sox", "zero", "empty header", "zero data"],
)
def test_a_wav_of_unknown_length_is_read_whole(data):
    with opened_recording(io.BytesIO(data), "it") as recording:
        assert (recording.channels, recording.num_samples, recording.sample_rate) == (1, len(SAMPLES), RATE)
        (block,) = recording.blocks()
    np.testing.assert_array_equal(block[0], SAMPLES / np.float32(32768))


def test_a_wav_that_is_empty_stays_empty():
    empty = wav(0, 0)[:-16_000] + LIST
    empty = empty[:4] + struct.pack("<I", len(empty) - 8) + empty[8:]
    with pytest.raises(InputError, match="it holds no samples"), opened_recording(io.BytesIO(empty), "it"):
        pass


def program(*arguments: str, stdin=subprocess.PIPE) -> subprocess.Popen:
    command = [sys.executable, "-m", "meanflow_audio_codec", *arguments]
    return subprocess.Popen(command, stdin=stdin, stdout=subprocess.PIPE, stderr=subprocess.PIPE)


def test_encode_and_decode_stand_in_a_pipe():
    """`ffmpeg -f wav - | encode - - | tee | decode - -`, with a file in ffmpeg's place."""
    model = ["--model", str(codec_folder())]
    encode = program("encode", "-", "-", *model)
    coded, messages = encode.communicate(FFMPEG)
    assert encode.returncode == 0, messages
    assert messages.startswith(b"-: ")
    assert messages.count(b"\n") == 1
    tags = {"title": "Röslein", "software": "Lavf60.16.100"}
    assert coded == tiny_codec().encode(SAMPLES / np.float32(32768), RATE, tags=tags)

    again = program("encode", "-", "-", *model)
    decode = program("decode", "-", "-", "--json", *model, stdin=again.stdout)
    assert again.stdin is not None
    assert again.stdout is not None
    again.stdout.close()
    again.stdin.write(FFMPEG)
    again.stdin.close()
    sounding, messages = decode.communicate()
    assert (again.wait(), decode.returncode) == (0, 0)
    assert again.stderr is not None
    again.stderr.close()
    assert messages.startswith(b'{"output": "-"')
    with soundfile.SoundFile(io.BytesIO(sounding)) as file:
        assert (file.format, file.samplerate, file.title) == ("WAV", RATE, "Röslein")
        samples = file.read(dtype="int16")
    expected = to_int16(np.clip(tiny_codec().decode(coded)[0][0], -1, 1))
    assert np.abs(samples.astype(int) - expected).max() <= 1
    assert read_stream(coded).num_samples == len(samples)


def test_a_reader_that_goes_away_leaves_no_traceback(tmp_path):
    path = tmp_path / "good.mfc"
    path.write_bytes(tiny_codec().encode(sound(100), RATE))
    info = program("info", str(path), "--json")
    assert info.stdout is not None
    assert info.stderr is not None
    info.stdout.close()
    assert info.wait() == 1
    assert info.stderr.read() == b""
    info.stderr.close()


def test_a_reader_of_sound_that_goes_away_leaves_no_traceback():
    """The sound is longer than the pipe's buffer, so that writing it fails."""
    decode = program("decode", "-", "-", "--model", str(codec_folder()))
    assert decode.stdin is not None
    assert decode.stdout is not None
    assert decode.stderr is not None
    decode.stdout.close()
    decode.stdin.write(tiny_codec().encode(sound(10 * RATE), RATE))
    decode.stdin.close()
    assert decode.wait() == 1
    assert decode.stderr.read() == b""
    decode.stderr.close()


@pytest.mark.parametrize("damage", ["nan", "payload"])
def test_damage_that_is_found_late_writes_nothing_into_a_pipe(damage):
    """NaN in the last block of a recording, or a last packet that is right in all checksums but does not decode."""
    audio = sound(40 * RATE)
    if damage == "nan":
        audio[-1] = np.nan
        file = io.BytesIO()
        soundfile.write(file, audio, RATE, format="WAV", subtype="FLOAT")
        command, content, message = "encode", file.getvalue(), b"NaN or infinite"
    else:
        header, tags, num_samples, packets = read_stream(tiny_codec().encode(audio, RATE))
        packets[-1] = packets[-1]._replace(payload=packets[-1].payload + b"\1")
        command, content, message = "decode", write_stream(header, num_samples, packets, tags), b"corrupt"
    coding = program(command, "-", "-", "--model", str(codec_folder()))
    out, err = coding.communicate(content)
    assert (coding.returncode, out) == (2, b"")
    assert message in err
    assert err.count(b"\n") == 1


def test_damage_in_a_pipe_is_one_line_and_writes_nothing():
    data = tiny_codec().encode(sound(100), RATE)
    decode = program("decode", "-", "-")
    out, err = decode.communicate(data[:-5])
    assert (decode.returncode, out) == (2, b"")
    assert err.startswith(b"meanflow-codec decode: the file is truncated")
    assert err.count(b"\n") == 1
