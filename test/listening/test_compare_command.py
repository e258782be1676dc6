"""`compare`: from files and names of codecs to a page."""

import json
import re
import shutil
import webbrowser
from pathlib import Path

import numpy as np
import pytest
import soundfile
from fixtures.command_line_files import contents
from fixtures.listening.html_pages import ParsedPage, samples_of
from fixtures.tiny_models import RATE, codec_folder, scalable_folder, sound, tiny_codec

from meanflow_audio_codec.__main__ import main


@pytest.fixture
def folder(tmp_path, monkeypatch) -> Path:
    monkeypatch.chdir(tmp_path)
    soundfile.write("one.wav", sound(RATE), RATE)
    soundfile.write("stereo.wav", np.stack([sound(RATE), sound(RATE, 1)], axis=1), RATE)
    Path("decoded").mkdir()
    soundfile.write("decoded/one.flac", 0.5 * sound(RATE)[::2], RATE // 2)
    soundfile.write("decoded/stereo.wav", sound(RATE), RATE)
    Path("late").mkdir()
    soundfile.write("late/one.wav", sound(RATE + RATE // 5), RATE)
    Path("kept.html").write_text("precious")
    return tmp_path


def test_the_page_holds_what_each_codec_makes_of_the_file(folder, capsys, monkeypatch):
    opened = []
    monkeypatch.setattr(webbrowser, "open", lambda address: opened.append(address) or True)
    model = str(codec_folder())
    codecs = [f"{model}:temperature=0", f"{model}:temperature=1,seed=3", "folder@12:decoded"]
    assert main(["compare", "one.wav", "--codecs", *codecs, "--metrics", "si_sdr", "--json", "--open"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told == {"output": "comparison.html", "bytes": Path("comparison.html").stat().st_size}
    assert opened == [(folder / "comparison.html").as_uri()]
    page = ParsedPage(Path("comparison.html").read_text())
    (recording,) = page.data["recordings"]
    assert [version["title"] for version in recording["versions"]] == ["original", "tiny", "tiny", "decoded"]
    details = [version["detail"] for version in recording["versions"]]
    assert details[1:3] == ["1 evaluation, temperature 0", "1 evaluation, temperature 1, seed 3"]
    data = tiny_codec().encode(soundfile.read("one.wav", dtype="float32")[0], RATE)
    assert f"{tiny_codec().bits(data) / 1000:.2f}" in page.text
    options = ({"temperature": 0.0}, {"temperature": 1.0, "seed": 3})
    for version, option in zip(recording["versions"][1:3], options, strict=True):
        decoded, _ = tiny_codec().decode(data, **option)
        samples, rate = samples_of(version["audio"])
        assert rate == RATE
        # One gain apart.
        gain = float(np.vdot(samples, decoded) / np.vdot(decoded, decoded))
        np.testing.assert_allclose(samples, gain * decoded, atol=2.0 / 32768)


def test_a_part_is_the_same_part_of_a_decoded_file(folder, capsys):
    shutil.copy("one.wav", "late/one.wav")
    options = ["--start", "0.25", "--end", "0.75", "--metrics", "snr"]
    assert main(["compare", "one.wav", "--codecs", "folder:late", *options]) == 0
    original, decoded = ParsedPage(Path("comparison.html").read_text()).data["recordings"][0]["versions"]
    assert decoded["audio"] == original["audio"]
    assert samples_of(original["audio"])[0].shape == (1, RATE // 2)


def test_stereo_stays_stereo_unless_mixed(folder, capsys):
    shutil.copy("stereo.wav", "late/stereo.WAV")
    command = ["compare", "stereo.wav", "--metrics", "snr", "--force", "--codecs", "folder:late"]
    for options, channels in ([], 2), (["--mono"], 1):
        assert main([*command, *options]) == 0
        page = ParsedPage(Path("comparison.html").read_text())
        original, version = page.data["recordings"][0]["versions"]
        assert version["audio"] == original["audio"]
        assert samples_of(version["audio"])[0].shape == (channels, RATE)
    # A file of one channel will do then.
    assert main([*command, "folder:decoded", "--mono"]) == 0


BAD = {
    "no such file": ("missing.wav", "missing.wav does not exist"),
    "one name twice": ("one.wav ./one.wav", "same name"),
    "a page that exists": ("one.wav --output kept.html", "kept.html: exists.*--force"),
    "no page": ("one.wav --output out.txt", "unknown suffix '.txt'; use .html"),
    "an unknown model": ("one.wav --codecs nonesuch", "model nonesuch"),
    "an odd metric": ("one.wav --codecs folder:decoded --metrics beauty", "unknown metric beauty"),
    "a backward part": ("one.wav --start 3 --end 2", "--start must lie in"),
    "a part of nothing": ("one.wav --start 3", "one.wav: lasts 1.00 s; nothing"),
    "a part of less than a sample": ("one.wav --end 1e-9", "one.wav: lasts 1.00 s; nothing"),
    "no such folder": ("one.wav --codecs folder:nowhere", "folder:nowhere: no such folder"),
    "a folder without the file": ("stereo.wav --codecs folder:late", "late: has no stereo"),
    "a decoded file of another length": ("one.wav --codecs folder:late", "late/one.wav: lasts 1.20 s"),
    "a decoded file of other channels": ("stereo.wav --codecs folder:decoded", "has 1 channel"),
    "a rate out of range": ("one.wav --codecs SCALABLE@900", "900"),
}


@pytest.mark.parametrize("case", BAD)
def test_bad_input_is_one_line_and_writes_nothing(folder, capsys, case):
    line, message = BAD[case]
    words = line.replace("SCALABLE", str(scalable_folder())).split()
    before = contents(folder)
    capsys.readouterr()  # what making the model said
    assert main(["compare", *words]) == 2
    printed = capsys.readouterr()
    assert printed.err.count("\n") == 1, printed.err
    assert printed.out == ""
    assert re.search(message, printed.err)
    assert contents(folder) == before
