"""Long recordings on the command line: coded in pieces of bounded size, and the same as in one."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
from fixtures.tiny_models import HOP, RATE, codec_folder, sound, tiny_codec

from meanflow_audio_codec.__main__ import main
from meanflow_audio_codec.codec.container import read_stream
from meanflow_audio_codec.codec.context import CORE_FRAMES
from meanflow_audio_codec.commands.batches.recording_progress import recording_progress
from meanflow_audio_codec.datasets.audio import recording_reader
from meanflow_audio_codec.datasets.audio.recording_writer import to_int16
from meanflow_audio_codec.datasets.audio_files import read_audio


@pytest.fixture
def folder(tmp_path, monkeypatch) -> Path:
    """The working directory."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def block_sizes(monkeypatch) -> list[int]:
    """How many samples, of all channels together, are read or written at once; blocks are small enough for tests."""
    monkeypatch.setattr(recording_reader, "BLOCK_SAMPLES", 3_000)
    sizes: list[int] = []

    def watch(name: str, size: Callable[[soundfile.SoundFile, Any], int]) -> None:
        original = getattr(soundfile.SoundFile, name)

        def watched(self: soundfile.SoundFile, given: Any, *others: Any, **options: Any) -> Any:
            sizes.append(size(self, given))
            return original(self, given, *others, **options)

        monkeypatch.setattr(soundfile.SoundFile, name, watched)

    watch("read", lambda file, count: count * file.channels)
    watch("write", lambda file, samples: samples.size)
    return sizes


LONG = {
    "mono": np.stack([sound(25 * RATE)]),
    "three channels": np.stack([sound(11 * RATE, seed) for seed in range(3)]),
    "shorter than a packet": sound(2 * RATE)[None],
}


@pytest.mark.parametrize("case", LONG)
def test_files_are_coded_in_pieces_and_as_in_memory(folder, block_sizes, case):
    """The bytes of `Codec.encode`, and the samples of `Codec.decode`, though never is more than a piece in memory."""
    audio, model = LONG[case], ["--model", str(codec_folder())]
    soundfile.write("long.wav", audio.T, RATE, subtype="FLOAT")
    block_sizes.clear()
    assert main(["encode", "long.wav", "long.mfc", "--tag", "title=Röslein", *model]) == 0
    assert all(0 < size <= 3_000 for size in block_sizes)
    # Twice through, because samples of floating-point files are looked at first.
    assert sum(block_sizes) > 2 * audio.size
    data = Path("long.mfc").read_bytes()
    assert data == tiny_codec().encode(audio, RATE, tags={"title": "Röslein"})

    block_sizes.clear()
    assert main(["decode", "long.mfc", "long.wav", "--force", *model]) == 0
    window = CORE_FRAMES[-1] * HOP * len(audio)
    assert all(0 < size <= window for size in block_sizes)
    assert sum(block_sizes) == audio.size
    expected, _ = tiny_codec().decode(data)
    np.testing.assert_array_equal(soundfile.read("long.wav", dtype="int16", always_2d=True)[0].T, to_int16(expected))


@pytest.mark.parametrize("rate", [8_000, 44_100])
def test_other_sample_rates_are_coded_in_pieces(folder, block_sizes, rate):
    """The last bits of resampling may differ: the sound is as long, and the same up to what few other digits change."""
    audio, model = np.stack([sound(12 * rate, seed, rate) for seed in range(2)]), ["--model", str(codec_folder())]
    soundfile.write("long.wav", audio.T, rate, subtype="PCM_16")
    assert main(["encode", "long.wav", "long.mfc", *model]) == 0
    data = Path("long.mfc").read_bytes()
    expected = read_stream(tiny_codec().encode(soundfile.read("long.wav", dtype="float32")[0].T, rate))
    coded = read_stream(data)
    assert [packet.num_frames for packet in coded.packets] == [packet.num_frames for packet in expected.packets]
    assert (coded.num_samples, coded.header.sample_rate, coded.header.channels) == (12 * rate, rate, 2)
    sizes = [sum(len(packet.payload) for packet in stream.packets) for stream in (coded, expected)]
    assert sizes[0] == pytest.approx(sizes[1], rel=0.01)
    assert main(["decode", "long.mfc", "long.wav", "--force", *model]) == 0
    samples = soundfile.read("long.wav", dtype="int16")[0].T.astype(int)
    assert np.abs(samples - to_int16(tiny_codec().decode(data)[0])).max() <= 1


@pytest.mark.parametrize("suffix", ["flac", "ogg", "mp3"])
def test_compressed_recordings_are_read_in_pieces_as_in_one(folder, block_sizes, capfd, suffix):
    name = f"long.{suffix}"
    soundfile.write(name, sound(RATE), RATE)
    block_sizes.clear()
    with recording_reader.opened_recording(Path(name), name) as recording:
        blocks = list(recording.blocks())
    assert set(block_sizes) == {3_000}
    whole, _ = read_audio(Path(name))
    # MP3 decoders round differently from call to call.
    np.testing.assert_allclose(np.concatenate(blocks, axis=1), whole, atol=1e-6 if suffix == "mp3" else 0)
    assert capfd.readouterr().err == ""


@pytest.mark.parametrize(
    ("seconds", "shown", "terminal"), [(90.0, True, True), (90.0, False, True), (59.0, True, True), (90.0, True, False)]
)
def test_a_long_recording_shows_how_far_it_is(capsys, monkeypatch, seconds, shown, terminal):
    """On a terminal, with the rate; short recordings show nothing, and neither do those of a batch."""
    monkeypatch.setenv("FORCE_COLOR", "1" if terminal else "")  # what Rich takes for a terminal
    with recording_progress(seconds, shown=shown) as advance:
        for _ in range(3):
            advance(seconds / 3)
    printed = capsys.readouterr()
    assert printed.out == ""
    assert ("x real time" in printed.err) == (seconds > 60 and shown and terminal)
