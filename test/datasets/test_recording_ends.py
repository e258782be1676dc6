"""Recordings are read to their end, whatever their headers say; an end that is not where it should be is told."""

import contextlib
import io
import re
import struct
from pathlib import Path

import numpy as np
import pytest
from fixtures.faults.damaged_recordings import (
    AUDIO,
    CHAINED,
    RATE,
    WHOLE,
    encoded,
    noise,
    with_flac_length,
    with_wav_lengths,
)
from hypothesis import given, settings
from hypothesis import strategies as st

from meanflow_audio_codec.datasets.audio.audio_folder import AudioFolder
from meanflow_audio_codec.datasets.audio.recording_reader import opened_recording
from meanflow_audio_codec.datasets.audio_files import read_audio
from meanflow_audio_codec.datasets.inventory import inventory
from meanflow_audio_codec.errors import InputError


def read(data: bytes, *, strict: bool = False) -> tuple[np.ndarray, str]:
    """Samples of the first channel, and the remark."""
    with opened_recording(io.BytesIO(data), "it", strict=strict) as recording:
        blocks = list(recording.blocks())
        return np.concatenate(blocks, axis=1)[0], recording.remark


@pytest.mark.parametrize("kind", WHOLE)
def test_of_a_whole_recording_nothing_is_said(kind, capsys):
    make, is_exact = WHOLE[kind]
    samples, remark = read(make(AUDIO), strict=True)
    assert (len(samples), remark) == (len(AUDIO), "")
    if is_exact:
        assert np.abs(samples - AUDIO).max() < 2**-15
    else:
        assert np.corrcoef(samples, AUDIO)[0, 1] > 0.8
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize("kind", WHOLE)
def test_a_recording_cut_in_half_is_read_to_its_end_and_told(kind, capsys):
    make, is_exact = WHOLE[kind]
    data = make(AUDIO)
    cut = data[: len(data) // 2]
    samples, remark = read(cut)
    assert 0.25 * len(AUDIO) < len(samples) < 0.55 * len(AUDIO)
    assert remark.startswith("ends early: ")
    assert capsys.readouterr().err == f"it {remark}\n"
    if is_exact:
        np.testing.assert_array_equal(samples, read(data)[0][: len(samples)])
    with pytest.raises(InputError, match=r"^it ends early.*or leave out --strict$"):
        read(cut, strict=True)


@pytest.mark.parametrize("kind", CHAINED)
def test_recordings_behind_each_other_are_read_as_one(kind, capsys):
    make, _ = WHOLE[kind]
    first, second = make(AUDIO), make(noise(1.0, seed=1))
    samples, remark = read(first + second, strict=True)
    assert remark == ""
    np.testing.assert_array_equal(samples, np.concatenate([read(first)[0], read(second)[0]]))
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize("file_format", ["OGG", "WAV", "FLAC"])
def test_recordings_of_two_rates_in_one_file_are_refused(file_format):
    data = encoded(file_format, noise(0.5)) + encoded(file_format, noise(0.5), rate=8_000)
    with pytest.raises(InputError, match=r"^it holds recordings of 16000 Hz.*and of 8000 Hz.*split it"):
        read(data)


def test_a_flac_header_may_say_too_little_or_too_much(capsys):
    data = encoded("FLAC", AUDIO)
    for stated, words in ((48_000, "ends late: .* 3.00 s, it goes on to 6.00 s"), (192_000, "ends early: .* 12.00 s")):
        samples, remark = read(with_flac_length(data, stated))
        assert len(samples) == len(AUDIO)
        assert re.match(words, remark)
    assert capsys.readouterr().err.count("\n") == 2


def test_damage_inside_a_flac_is_no_end(capsys):
    data = bytearray(encoded("FLAC", AUDIO))
    data[len(data) // 2] ^= 0x55
    with pytest.raises(InputError, match=r"cannot be read as audio .*after 2\.\d\d s"):
        read(bytes(data))
    assert capsys.readouterr().err == ""


def test_a_damaged_page_of_ogg_is_told():
    data = bytearray(encoded("OGG", AUDIO))
    data[len(data) // 2] ^= 0x55
    samples, remark = read(bytes(data))
    assert remark == f"is damaged: 1 of its pages cannot be read; {len(samples) / RATE:.2f} s were read"
    with pytest.raises(InputError, match="is damaged"):
        read(bytes(data), strict=True)
    whole = encoded("OGG", AUDIO)
    hole = whole[: len(whole) // 3] + whole[len(whole) // 2 :]
    with pytest.raises(InputError, match=r"is damaged: [12] of its pages cannot be read"):
        read(hole, strict=True)


def test_a_wrong_number_of_bytes_in_an_mp3_header_loses_nothing():
    data = encoded("MP3", AUDIO)
    whole = read(data)[0]
    place = next(data.index(mark) for mark in (b"Xing", b"Info") if mark in data) + 12
    for num_bytes in (1, 100, len(data) // 3, 2 * len(data)):
        samples, _ = read(data[:place] + struct.pack(">I", num_bytes) + data[place + 4 :])
        np.testing.assert_array_equal(samples[: len(whole)], whole)


WAV = encoded("WAV", AUDIO[:2_000], subtype="PCM_16")
SIZE = 4_000


@settings(max_examples=60, deadline=None)
@given(
    riff_bytes=st.integers(0, 2**32 - 1),
    data_bytes=st.one_of(st.integers(0, 2 * SIZE), st.integers(0, 2**32 - 1), st.sampled_from([2**32 - 1, 2**31])),
)
def test_all_samples_of_a_wav_are_read_whatever_its_header_says(riff_bytes, data_bytes):
    if data_bytes == 0 and riff_bytes + 8 == len(WAV):
        return  # the one way to say that there are none
    samples, remark = read(with_wav_lengths(WAV, riff_bytes, data_bytes))
    np.testing.assert_array_equal(samples, read(WAV)[0])
    is_open = 0x7FFF0000 <= data_bytes <= 2**31 or data_bytes >= 0xFFFF0000
    # Of up to nine bytes behind the stated end nothing can be told.
    if data_bytes == SIZE or is_open:
        assert remark == ""
    elif data_bytes > SIZE:
        assert remark.startswith("ends early")
    elif data_bytes < SIZE - 9:
        assert remark.startswith("ends late")


@pytest.mark.parametrize(
    "tail",
    [
        b"LIST" + struct.pack("<I", 4) + b"INFO",
        b"TAG" + bytes(125),
        bytes(5_000),
        b"LIST" + struct.pack("<I", 400) + b"INFO",
    ],
    ids=["chunk", "ID3v1", "zeros", "cut chunk"],
)
def test_what_is_no_sound_behind_a_wav_is_not_read(tail):
    samples, remark = read(WAV + tail, strict=True)
    assert (len(samples), remark) == (2_000, "")


def test_id3_texts_around_flac_and_mp3_are_no_sound():
    texts = b"ID3\x04\x00\x00\x00\x00\x02\x00" + bytes(256)
    for file_format in ("FLAC", "MP3"):
        data = encoded(file_format, AUDIO)
        samples, remark = read(texts + data + b"TAG" + bytes(125), strict=True)
        np.testing.assert_array_equal(samples, read(data)[0])
        assert remark == ""


def test_a_wav_of_open_length_may_be_larger_than_its_header_could_say(tmp_path):
    path = tmp_path / "long.wav"
    num_samples = 2_300_000_000
    path.write_bytes(with_wav_lengths(WAV, 2**32 - 1, 2**32 - 1)[:44])
    with path.open("r+b") as file:
        file.truncate(44 + 2 * num_samples)  # without taking room
    with opened_recording(path, "it", strict=True) as recording:
        assert recording.num_samples == num_samples


def test_a_wav_cut_at_any_byte_is_told_or_refused():
    whole = read(WAV)[0]
    for size in [*range(60), *range(60, len(WAV), 301)]:
        if size < 46:  # not one sample
            with pytest.raises(InputError, match=r"\A[^\n]*\Z"):
                read(WAV[:size])
            continue
        samples, remark = read(WAV[:size])
        assert remark.startswith("ends early"), size
        np.testing.assert_array_equal(samples, whole[: (size - 44) // 2])


@pytest.mark.parametrize("kind", WHOLE)
def test_no_cut_gives_another_error(kind):
    data = WHOLE[kind][0](AUDIO[:20_000])
    for size in range(1, len(data), len(data) // 40):
        with contextlib.suppress(InputError):
            read(data[:size])


def test_folders_packs_and_lists_tell_and_strict_refuses(tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("MEANFLOW_CACHE_DIR", str(tmp_path / "cache"))
    folder = tmp_path / "data" / "set"
    folder.mkdir(parents=True)
    (folder / "cut.wav").write_bytes(encoded("WAV", AUDIO)[:50_000])
    (folder / "open.flac").write_bytes(with_flac_length(encoded("FLAC", AUDIO), 0))

    def opened(strict: bool) -> AudioFolder:
        return AudioFolder(
            folders=(folder,), sample_rate=RATE, crop_samples=100, batch_size=1, split="all", strict=strict
        )

    with pytest.raises(InputError, match=r"cut\.wav ends early"):
        _ = opened(True).pack
    assert not list((tmp_path / "cache").rglob("*.pack"))
    assert list(opened(False).pack.lengths) == [24_978, 96_000]
    assert re.search(r"cut\.wav ends early: its header says 6.00 s, it ends after 1.56 s\n$", capsys.readouterr().err)
    assert list(opened(False).pack.lengths) == [24_978, 96_000]
    assert "has 1 recording(s) with a wrong end; set/cut.wav ends early" in capsys.readouterr().err
    with pytest.raises(InputError, match=r"has 1 recording.*wrong end"):
        _ = opened(True).pack

    (listed,) = inventory(tmp_path / "data")
    assert sum(listed.hours.values()) == pytest.approx((24_978 + 96_000) / RATE / 3600)
    assert "ends early" in capsys.readouterr().err
    (listed,) = inventory(tmp_path / "data", strict=True)
    assert listed.problem == "1 files cannot be read, the first is set/cut.wav"


def test_read_audio_reads_a_file_whose_name_is_not_unicode(tmp_path: Path):
    path = tmp_path / "caf\udce9.flac"
    path.write_bytes(with_flac_length(encoded("FLAC", AUDIO), 0))
    assert read_audio(path)[0].shape == (1, len(AUDIO))


def test_the_file_is_left_as_it_was(tmp_path: Path):
    path = tmp_path / "crashed.wav"
    data = with_wav_lengths(WAV, 0, 0)
    path.write_bytes(data)
    path.chmod(0o444)
    assert read_audio(path)[0].shape == (1, 2_000)
    assert path.read_bytes() == data
