"""The command line: what every command writes and prints, of unusual input too, and how quickly it starts."""

import json
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import soundfile
from fixtures.command_line_files import contents, write_files
from fixtures.tiny_models import RATE, codec_folder, generator_folder, sound, tiny_codec

from meanflow_audio_codec.__main__ import COMMANDS, main
from meanflow_audio_codec.codec.container import read_header


@pytest.fixture
def folder(tmp_path, monkeypatch) -> Path:
    """A working directory with good and bad files; no data directory is set."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("MEANFLOW_DATA_DIR", raising=False)
    write_files()
    return tmp_path


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


def test_the_demo_writes_everything_it_says(folder, capsys):
    arguments = ["demo", "good.wav", "--output-dir", "new/out", "--model", str(codec_folder()), "--json"]
    assert main(arguments) == 0
    (report,) = json.loads(capsys.readouterr().out)
    files = {str(path) for path in Path("new/out").iterdir()}
    assert files == set(report["files"].values())
    assert len(files) == 7
    for sound_file in ("original", "decoded", "temperature 0"):
        assert soundfile.info(report["files"][sound_file]).frames == RATE
    assert Path(report["files"]["spectrograms"]).read_bytes().startswith(b"\x89PNG")
    assert Path(report["files"]["page to listen with"]).read_text().count("data:audio/flac;base64,") == 3
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
