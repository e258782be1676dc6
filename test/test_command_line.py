"""The command line: what bad input gives (one line, exit code 2, nothing written) and what must work all the same."""

import json
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
from tiny_models import (
    HOP,
    RATE,
    codec_folder,
    generator_folder,
    other_name_codec,
    other_weights_folder,
    sound,
    tiny_codec,
)

from meanflow_audio_codec.__main__ import COMMANDS, main
from meanflow_audio_codec.codec.container import read_header, read_stream
from meanflow_audio_codec.codec.windows import CORE_FRAMES
from meanflow_audio_codec.commands.recording_progress import recording_progress
from meanflow_audio_codec.commands.shared_arguments import check_output, write_bytes
from meanflow_audio_codec.datasets import recording_reader
from meanflow_audio_codec.datasets.audio_files import read_audio
from meanflow_audio_codec.datasets.recording_writer import to_int16
from meanflow_audio_codec.errors import InputError

SECOND = sound(RATE)


@pytest.fixture
def folder(tmp_path, monkeypatch) -> Path:
    """A working directory with good and bad files; no data directory is set."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("MEANFLOW_DATA_DIR", raising=False)
    soundfile.write("good.wav", SECOND, RATE)
    Path("text.wav").write_text("Dear diary, this is no audio.\n" * 9)
    Path("empty.wav").write_bytes(b"")
    soundfile.write("none.wav", np.zeros((0, 1)), RATE)
    soundfile.write("nan.wav", np.array([0.0, np.nan, 0.0]), RATE, subtype="FLOAT")
    soundfile.write("integers.wav", 20_000.0 * SECOND, RATE, subtype="FLOAT")
    data = tiny_codec().encode(SECOND, RATE)
    Path("good.mfc").write_bytes(data)
    Path("cut.mfc").write_bytes(data[:-9])
    Path("flipped.mfc").write_bytes(data[:-9] + bytes([data[-9] ^ 4]) + data[-8:])
    Path("newer.mfc").write_bytes(data[:3] + b"\x03" + data[4:])
    Path("older.mfc").write_bytes(data[:3] + b"\x01" + data[4:])
    Path("other.mfc").write_bytes(other_name_codec().encode(SECOND[:10], RATE))
    Path("kept.mfc").write_bytes(b"precious")
    Path("kept.wav").write_bytes(b"precious")
    Path("kept.png").write_bytes(b"precious")
    Path("field.json").write_text('{"training": {"num_stepps": 3}}')
    Path("notes.json").write_text("{not json")
    return tmp_path


def contents(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


CODEC, GENERATOR = "CODEC", "GENERATOR"  # replaced by the folders, which exist only once the tests run
BAD = {
    "encode a missing file": ("encode missing.wav out.mfc", "missing.wav does not exist"),
    "encode a folder": ("encode . out.mfc", "out.mfc: no such folder"),
    "encode text": ("encode text.wav out.mfc", "text.wav cannot be read as audio"),
    "encode an empty file": ("encode empty.wav out.mfc", "empty.wav is empty"),
    "encode no samples": ("encode none.wav out.mfc", "none.wav holds no samples"),
    "encode NaN": ("encode nan.wav out.mfc", "nan.wav holds samples that are NaN"),
    "encode integers": (f"encode integers.wav out.mfc --model {CODEC}", "far beyond full scale"),
    "encode to what exists": (f"encode good.wav kept.mfc --model {CODEC}", "kept.mfc: exists.*--force"),
    "encode over the input": ("encode good.wav good.wav --force", "unknown suffix '.wav'; use .mfc"),
    "encode into no folder": (f"encode good.wav no/out.mfc --model {CODEC}", "no: no such folder"),
    "encode to a long name": (f"encode good.wav {'x' * 300}.mfc", "cannot be written"),
    "encode several to a file": ("encode good.wav nan.wav kept.mfc", "kept.mfc: is a file; several files"),
    "encode several to nowhere": ("encode good.wav nan.wav no/no", "no/no: no such folder; make it first"),
    "encode a pipe and more": ("encode - good.wav out", "goes with one file only"),
    "encode several to a pipe": ("encode good.wav nan.wav -", "goes with one file only"),
    "encode a folder to a pipe": ("encode . -", "is a folder, which standard output cannot hold"),
    "encode by no process": ("encode good.wav out.mfc --jobs 0", "--jobs must be at least 1, not 0"),
    "encode half a tag": ("encode good.wav out.mfc --tag title", "--tag title: write KEY=VALUE"),
    "encode a bad tag": ("encode good.wav out.mfc --tag Titel=x", "a key has 1 ... 32 of the characters a-z"),
    "encode by an unknown model": ("encode good.wav out.mfc --model nonesuch", "model nonesuch: neither a built-in"),
    "encode by a generator": (f"encode good.wav out.mfc --model {GENERATOR}", "is not an audio codec"),
    "decode a missing file": ("decode missing.mfc out.wav", "missing.mfc: no such file"),
    "decode a wav": ("decode good.wav out.wav", "not an .mfc file"),
    "decode a cut file": ("decode cut.mfc out.wav", "truncated"),
    "decode a flipped bit": ("decode flipped.mfc out.wav", "corrupted"),
    "decode a newer file": ("decode newer.mfc out.wav", "newer version.*upgrade"),
    "decode an older file": ("decode older.mfc out.wav", "format version 1, which was never released"),
    "decode after the end": ("decode good.mfc out.wav --start 2", r"--start. must lie in 0 ... 1 s.* not 2"),
    "decode backwards": ("decode good.mfc out.wav --start 0.5 --end 0.2", r"--end. must lie after the start"),
    "decode too much": (f"decode good.mfc out.wav --max-seconds 0.5 --model {CODEC}", "the limit is .*--max-seconds"),
    "decode nothing": ("decode good.mfc out.wav --max-seconds 0", "must be positive, not 0"),
    "decode no folder": ("decode . out --jobs -1", "--jobs must be at least 1"),
    "verify nothing": (f"verify good.mfc missing.mfc --model {CODEC}", "missing.mfc: no such file"),
    "decode another model's": (f"decode other.mfc out.wav --model {CODEC}", "made by model another, not tiny.*--model"),
    "decode other weights'": ("decode good.mfc out.wav --model OTHER", "other weights of tiny"),
    "decode by an unknown model": ("decode good.mfc out.wav --model nonesuch", "model nonesuch: neither a built-in"),
    "decode to what exists": (f"decode good.mfc kept.wav --model {CODEC}", "kept.wav: exists.*--force"),
    "decode into no folder": (f"decode good.mfc no/out.wav --model {CODEC}", "no: no such folder"),
    "decode to an odd suffix": (f"decode good.mfc out.aiff --model {CODEC}", "unknown suffix '.aiff'; use .wav"),
    "decode to no suffix": (f"decode good.mfc out --model {CODEC}", "unknown suffix ''"),
    "decode in -1 steps": ("decode good.mfc out.wav --num-steps -1", "steps must lie in 1 .* not -1"),
    "decode too cold": ("decode good.mfc out.wav --temperature -0.1", "temperature must lie in 0 ... 2, not -0.1"),
    "decode too hot": ("decode good.mfc out.wav --temperature 2.5", "temperature must lie in 0 ... 2, not 2.5"),
    "decode at NaN": ("decode good.mfc out.wav --temperature nan", "temperature must lie in 0 ... 2, not nan"),
    "decode by a huge seed": (f"decode good.mfc out.wav --seed {10**30}", "seed must lie in 0"),
    "info on nothing": ("info missing.mfc", "missing.mfc: no such file"),
    "info on a folder": ("info .", "cannot be read"),
    "info on damage": ("info flipped.mfc", "corrupted"),
    "demo of nothing": ("demo missing.wav", "missing.wav does not exist"),
    "demo of two of a name": ("demo good.wav ./good.wav", "same name"),
    "demo in -1 steps": ("demo good.wav --num-steps -1", "steps must lie in 1"),
    "demo into a file": (f"demo good.wav --output-dir kept.wav --model {CODEC}", "kept.wav: no such folder"),
    "demo by an unknown model": ("demo good.wav --output-dir out --model nonesuch", "model nonesuch"),
    "train nothing": ("train", "--config: name a recipe .audio-44k, audio-44k-musdb18, mnist, speech-16k"),
    "train an unknown recipe": ("train --config speech-9k", "no such recipe; choose from"),
    "train a missing config": ("train --config missing.json", "no such configuration file"),
    "train a broken config": ("train --config notes.json", "not a JSON file"),
    "train an unknown field of a file": ("train --config field.json", "training.num_stepps: unknown field"),
    "train an unknown field": ("train --config mnist --set training.num_stepps=3", "unknown field training.num_stepps"),
    "train a bad value": ("train --config mnist --set training.num_steps=-3", "training.num_steps"),
    "train without a value": ("train --config mnist --set training.num_steps", "part.field=value"),
    "train to nowhere": ("train --config mnist", "--run-dir: name a folder"),
    "train without data": ("train --config speech-16k --run-dir run", "give --data-dir or set MEANFLOW_DATA_DIR"),
    "train on no data": (
        "train --config speech-16k --run-dir run --data-dir no",
        "no .from --data-dir. is not a folder",
    ),
    "evaluate on no data": (f"evaluate --model {CODEC} --data-dir no", "no .from --data-dir. is not a folder"),
    "evaluate in 0 steps": (f"evaluate --model {CODEC} --num-steps 1 0", "steps must lie in 1"),
    "evaluate too hot": (f"evaluate --model {CODEC} --temperature 1 3", "temperature must lie in 0 ... 2"),
    "evaluate an odd metric": (f"evaluate --model {CODEC} --metrics beauty", "unknown metric beauty"),
    "list no data": ("data --data-dir no", "no .from --data-dir. is not a folder"),
    "sample an unknown label": (f"sample out.png --model {GENERATOR} --label 10", "--label must lie in 0 ... 9"),
    "sample a huge label": (f"sample out.png --model {GENERATOR} --label {10**12}", "--label must lie in 0 ... 9"),
    "sample untrained guidance": (f"sample out.png --model {GENERATOR} --guidance-scale 9", "must lie in 1 ... 3"),
    "sample nothing": (f"sample out.png --model {GENERATOR} --count 0", "--count must be at least 1"),
    "sample too cold": (f"sample out.png --model {GENERATOR} --temperature -1", "temperature must lie in"),
    "sample to what exists": (f"sample kept.png --model {GENERATOR}", "kept.png: exists"),
    "sample to an odd suffix": (f"sample out.jpg --model {GENERATOR}", "unknown suffix '.jpg'; use .png"),
    "sample from a codec": (f"sample out.png --model {CODEC}", "is a codec"),
}


def words(line: str) -> list[str]:
    folders = {CODEC: codec_folder, GENERATOR: generator_folder, "OTHER": other_weights_folder}
    return [str(folders[word]()) if word in folders else word for word in line.split()]


@pytest.mark.parametrize("case", BAD)
def test_bad_input_is_one_line_and_writes_nothing(folder, capsys, case):
    line, message = BAD[case]
    arguments = words(line)
    before = contents(folder)
    assert main(arguments) == 2
    printed = capsys.readouterr()
    assert printed.out == ""
    assert printed.err.count("\n") == 1, printed.err
    assert printed.err.startswith(f"meanflow-codec {arguments[0]}: ")
    assert re.search(message, printed.err)
    assert contents(folder) == before


def square_wave(num_samples: int) -> np.ndarray:
    return np.where(np.arange(num_samples) // 30 % 2, 1.0, -1.0)


EDGE = {
    "one sample at 8 kHz": (np.array([[0.3]]), 8_000, "PCM_16"),
    "one millisecond in stereo": (np.stack([sound(44), sound(44, 1)]), 44_100, "PCM_16"),
    "silence in 24 bit": (np.zeros((1, 5_000)), 16_000, "PCM_24"),
    "full-scale square wave in 24 bit, stereo": (np.stack([square_wave(9_000)] * 2), 48_000, "PCM_24"),
}


@pytest.mark.parametrize("case", EDGE)
def test_edge_inputs_are_encoded_and_decoded(tmp_path, capsys, case):
    audio, sample_rate, subtype = EDGE[case]
    source, coded, decoded = (str(tmp_path / name) for name in ("in.wav", "out.mfc", "out.wav"))
    soundfile.write(source, audio.T, sample_rate, subtype=subtype)
    model = ["--model", str(codec_folder())]
    assert main(["encode", source, coded, *model]) == 0
    assert main(["decode", coded, decoded, *model]) == 0
    samples, rate = soundfile.read(decoded, always_2d=True)
    assert (samples.T.shape, rate) == (audio.shape, sample_rate)
    if not audio.any():
        assert not samples.any()
    printed = capsys.readouterr()
    assert printed.out.count("\n") == 2
    assert printed.err == ""
    assert sorted(path.name for path in tmp_path.iterdir()) == ["in.wav", "out.mfc", "out.wav"]


def test_json_figures_are_those_of_the_files(folder, capsys):
    model = ["--model", str(codec_folder()), "--json"]
    assert main(["encode", "good.wav", "kept.mfc", "--force", *model]) == 0
    figures = json.loads(capsys.readouterr().out)
    data = Path("kept.mfc").read_bytes()
    assert figures["file_bytes"] == len(data)
    assert figures["bits_per_second"] == tiny_codec().bits(data)  # of one second

    assert main(["info", "kept.mfc", "--json"]) == 0
    about = json.loads(capsys.readouterr().out)
    assert about["payload_bits_per_second"] == figures["bits_per_second"]
    assert (about["model"], about["samples"], about["sample_rate"], about["channels"]) == ("tiny", RATE, RATE, 1)
    assert about["weights_hash"] == read_header(data).weights_hash.hex()

    options = ["--temperature", "0", "--num-steps", "2", "--seed", "3", "--force"]
    assert main(["decode", "kept.mfc", "kept.wav", *options, *model]) == 0
    figures = json.loads(capsys.readouterr().out)
    assert (figures["samples"], figures["channels"], figures["sample_rate"]) == (RATE, 1, RATE)
    expected, _ = tiny_codec().decode(data, temperature=0.0, num_steps=2)
    np.testing.assert_allclose(soundfile.read("kept.wav")[0], np.clip(expected[0], -1, 1), atol=2e-5)


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


def test_the_demo_writes_everything_it_says(folder, capsys):
    arguments = ["demo", "good.wav", "--output-dir", "new/out", "--model", str(codec_folder()), "--json"]
    assert main(arguments) == 0
    (report,) = json.loads(capsys.readouterr().out)
    files = {str(path) for path in Path("new/out").iterdir()}
    assert files == set(report["files"].values())
    assert len(files) == 6
    for sound_file in ("original", "decoded", "temperature 0"):
        assert soundfile.info(report["files"][sound_file]).frames == RATE
    assert Path(report["files"]["spectrograms"]).read_bytes().startswith(b"\x89PNG")
    assert json.loads(Path(report["files"]["scores"]).read_text()) == report
    assert Path(report["files"]["bytes"]).read_bytes() == Path("good.mfc").read_bytes()
    assert report["payload_bits_per_second"] == tiny_codec().bits(Path("good.mfc").read_bytes())
    # A second time it would overwrite them.
    before = contents(folder)
    assert main(arguments) == 2
    assert "exists" in capsys.readouterr().err
    assert contents(folder) == before


def test_samples_are_drawn_into_a_picture(folder, capsys):
    arguments = ["sample", "out.png", "--model", str(generator_folder()), "--count", "3", "--json"]
    assert main(arguments) == 0
    shown = json.loads(capsys.readouterr().out)
    assert shown == {"output": "out.png", "count": 3, "num_steps": 1, "guidance_scale": 2.0}
    assert Path("out.png").read_bytes().startswith(b"\x89PNG")


def test_recipes_are_listed_and_shown(folder, capsys):
    assert main(["train", "--list"]) == 0
    names = capsys.readouterr().out.split()
    assert {"mnist", "speech-16k"} <= set(names)
    assert main(["train", "--config", "mnist", "--set", "training.num_steps=7", "--show-config"]) == 0
    shown = capsys.readouterr().out
    assert json.loads(shown)["training"]["num_steps"] == 7
    # What is shown is a configuration that can be used.
    Path("shown.json").write_text(shown)
    assert main(["train", "--config", "shown.json", "--show-config"]) == 0
    assert capsys.readouterr().out == shown


def test_the_list_of_models_is_json(capsys):
    assert main(["info", "--json"]) == 0
    for model in json.loads(capsys.readouterr().out):
        assert model["weights_bytes"] > 0


@pytest.mark.parametrize("arguments", [[], ["nonesuch"], ["encode"], ["decode", "a", "b", "--num-steps", "x"]])
def test_wrong_usage_is_exit_code_two(capsys, arguments):
    with pytest.raises(SystemExit) as stopped:
        main(arguments)
    assert stopped.value.code == 2
    assert "usage: meanflow-codec" in capsys.readouterr().err


def test_an_output_that_fails_to_be_written_leaves_the_old_one(tmp_path, monkeypatch):
    path = tmp_path / "out.mfc"
    path.write_bytes(b"old")

    def full(self: Path, target: Path) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "replace", full)
    with pytest.raises(InputError, match=r"cannot be written \(No space left on device\)"):
        write_bytes(path, b"new")
    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]


def test_outputs_are_checked_before_any_work(tmp_path):
    (tmp_path / "folder.wav").mkdir()
    with pytest.raises(InputError, match="is a folder"):
        check_output(tmp_path / "folder.wav", (".wav",), True)
    check_output(tmp_path / "NEW.WAV", (".wav",), False)


def test_every_command_has_help(capsys):
    for name in COMMANDS:
        with pytest.raises(SystemExit) as stopped:
            main([name, "--help"])
        assert stopped.value.code == 0
        assert "usage: meanflow-codec " + name in capsys.readouterr().out


def test_help_and_info_import_neither_jax_nor_scipy(folder):
    script = """
import sys
from meanflow_audio_codec.__main__ import main
for arguments in (["--help"], ["encode", "--help"]):
    try:
        main(arguments)
    except SystemExit as stopped:
        assert stopped.code == 0
assert main(["info", "good.mfc"]) == 0
assert main(["info"]) == 0
assert main(["train", "--list"]) == 0
assert main(["decode", "cut.mfc", "out.wav"]) == 2
print("heavy:", sorted({"jax", "flax", "scipy", "matplotlib", "orbax"} & set(sys.modules)))
"""
    finished = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert finished.stdout.splitlines()[-1] == "heavy: []"
    assert re.search(r"^model +tiny$", finished.stdout, re.MULTILINE)
    assert finished.stderr.count("\n") == 1


def test_the_program_itself_exits_with_the_code(folder):
    def program(*arguments: str) -> subprocess.CompletedProcess:
        command = [sys.executable, "-m", "meanflow_audio_codec", *arguments]
        return subprocess.run(command, capture_output=True, text=True, check=False)

    finished = program("info", "cut.mfc")
    assert (finished.returncode, finished.stdout) == (2, "")
    assert finished.stderr.startswith("meanflow-codec info: the file is truncated")
    assert finished.stderr.count("\n") == 1
    finished = program("info", "good.mfc", "--json")
    assert (finished.returncode, finished.stderr) == (0, "")
    assert json.loads(finished.stdout)["file"] == "good.mfc"
    assert program("--version").stdout.startswith("meanflow-codec ")
