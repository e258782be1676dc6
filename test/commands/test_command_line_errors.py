"""The command line on bad input and wrong usage: one line, exit code 2, nothing written."""

import re
from pathlib import Path

import pytest
from fixtures.command_line_files import contents, write_files
from fixtures.tiny_models import codec_folder, generator_folder, other_weights_folder

from meanflow_audio_codec.__main__ import main
from meanflow_audio_codec.commands.shared_arguments import check_output, write_bytes
from meanflow_audio_codec.errors import InputError


@pytest.fixture
def folder(tmp_path, monkeypatch) -> Path:
    """A working directory with good and bad files; no data directory is set."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("MEANFLOW_DATA_DIR", raising=False)
    write_files()
    return tmp_path


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
    "decode an older file": ("decode older.mfc out.wav", "format version 1, which does not exist"),
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
    "evaluate a decoder of nothing": (f"evaluate --model {CODEC} --opus-decoder lace", "give --opus KBPS"),
    "demo of an odd metric": (f"demo --model {CODEC} --metrics beauty", "unknown metric beauty"),
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
