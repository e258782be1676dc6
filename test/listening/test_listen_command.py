"""`listen`: from folders to pages of blind tests, and from files of answers to scores."""

import json
import re
from pathlib import Path

import numpy as np
import pytest
import soundfile
from fixtures.command_line_files import contents
from fixtures.listening.html_pages import ParsedPage, samples_of
from fixtures.listening.listening_answers import abx_answers, mushra_answers, write_answers

from meanflow_audio_codec.__main__ import main
from meanflow_audio_codec.listening.loudness import loudness

RATE = 16_000


@pytest.fixture
def folder(tmp_path, monkeypatch) -> Path:
    monkeypatch.chdir(tmp_path)
    generator = np.random.default_rng(5)
    for name in ("reference", "reference/deep", "ours", "ours/deep", "theirs", "theirs/deep", "partial", "empty"):
        Path(name).mkdir()
    for name in ("one", "deep/two"):
        sound = 0.2 * generator.standard_normal(RATE // 2)
        soundfile.write(f"reference/{name}.wav", sound, RATE)
        soundfile.write(f"ours/{name}.flac", 0.3 * sound, RATE)
        soundfile.write(f"theirs/{name}.wav", sound + 0.1 * generator.standard_normal(len(sound)), RATE)
    soundfile.write("partial/one.wav", np.zeros(RATE // 2), RATE)
    Path("narrow").mkdir()
    soundfile.write("narrow/one.wav", np.zeros(100), 8_000)
    Path("twice").mkdir()
    for suffix in ("wav", "flac"):
        soundfile.write(f"twice/one.{suffix}", np.zeros(100), RATE)
    write_answers(Path("a.json"), mushra_answers("a", {"ours": [60, 80]}))
    write_answers(Path("b.json"), mushra_answers("bb", {"ours": [70, 90]}))
    write_answers(Path("bad.json"), mushra_answers("bad", {"reference": [10, 20]}))
    write_answers(Path("again.json"), mushra_answers("a", {"ours": [60, 80]}))
    write_answers(Path("fewer.json"), mushra_answers("fewer", {"ours": [60]}))
    write_answers(Path("other.json"), mushra_answers("other", {"ours": [60, 80]}) | {"test": "fedcba9876543210"})
    write_answers(Path("x.json"), abx_answers("a", {"ours": [True] * 10, "theirs": [True, False] * 5}))
    return tmp_path


FOLDERS = ["--reference", "reference", "--systems", "ours", "other codec=theirs"]


def test_a_mushra_page_has_every_condition_at_its_level(folder, capsys):
    assert main(["listen", "mushra", *FOLDERS, "--seed", "3", "--title", "Which <is> best?", "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == {"output": "mushra.html", "bytes": Path("mushra.html").stat().st_size}
    page = ParsedPage(Path("mushra.html").read_text())
    assert "Which <is> best?" in page.text
    data = page.data
    conditions = ["reference", "ours", "other codec", "low-anchor", "middle-anchor"]
    assert (data["kind"], data["seed"], data["conditions"]) == ("mushra", 3, conditions)
    assert [recording["name"] for recording in data["recordings"]] == ["deep/two", "one"]
    for recording in data["recordings"]:
        sounds = {name: samples_of(address)[0] for name, address in recording["audio"].items()}
        assert list(sounds) == conditions
        levels = {name: loudness(sound, RATE) for name, sound in sounds.items()}
        assert levels["ours"] == pytest.approx(levels["reference"], abs=0.02)
        assert levels["other codec"] == pytest.approx(levels["reference"], abs=0.02)
        assert recording["gains_db"]["ours"] == pytest.approx(-20 * np.log10(0.3), abs=0.02)
        # Of white noise up to 8 kHz, an anchor keeps its share of the power and no more.
        for name, hertz in (("low-anchor", 3_750), ("middle-anchor", 7_500)):
            share = np.sum(sounds[name] ** 2) / np.sum(sounds["reference"] ** 2)
            assert share == pytest.approx(hertz / 8_000, rel=0.05)
            assert recording["gains_db"][name] == 0.0


def test_orders_are_recorded_and_of_the_seed(folder, capsys):
    pages = {}
    for name, seed in (("one", 1), ("same", 1), ("other", 2)):
        assert main(["listen", "mushra", *FOLDERS, "--seed", str(seed), "--output", f"{name}.html"]) == 0
        pages[name] = ParsedPage(Path(f"{name}.html").read_text()).data
    assert pages["one"] == pages["same"]
    assert pages["one"]["orders"] != pages["other"]["orders"]
    assert pages["one"]["test"] != pages["other"]["test"]
    assert len({json.dumps(order) for order in pages["one"]["orders"]}) > 90


def test_an_abx_page_asks_for_every_system(folder, capsys):
    assert main(["listen", "abx", *FOLDERS, "--repeats", "3"]) == 0
    data = ParsedPage(Path("abx.html").read_text()).data
    assert data["pairs"] == [["reference", "ours"], ["reference", "other codec"]]
    assert {len(order) for order in data["orders"]} == {2 * 2 * 3}
    assert set(data["recordings"][0]["audio"]) == {"reference", "ours", "other codec"}


def test_scores_leave_out_whom_the_rule_excludes(folder, capsys):
    files = ["a.json", "b.json", "bad.json"]
    assert main(["listen", "score", *files, "--figure", "scores.png"]) == 0
    table = capsys.readouterr().out
    assert re.search(r"\| ours +\| 75\.0 +\| 11\.5 to 138\.5 +\|", table)  # 70 and 80: 75 +- 5 * 12.706
    assert "2 listener(s)" in table
    assert "Excluded: bad (hidden reference below 90 in 2 of 2 recordings)." in table
    assert Path("scores.png").read_bytes().startswith(b"\x89PNG")
    assert main(["listen", "score", *files, "--no-screening", "--json"]) == 0
    figures = json.loads(capsys.readouterr().out)
    assert figures["listeners"] == ["a", "bb", "bad"]
    means = {each["condition"]: each["mean"] for each in figures["conditions"]}
    assert means["reference"] == pytest.approx((100 + 100 + 15) / 3)
    assert main(["listen", "score", "a.json", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["conditions"][0]["low"] is None


def test_scores_of_an_abx_test(folder, capsys):
    assert main(["listen", "score", "x.json", "--figure", "abx.png", "--json"]) == 0
    ours, theirs = json.loads(capsys.readouterr().out)["systems"]
    assert (ours["system"], ours["correct"], ours["answers"]) == ("ours", 10, 10)
    assert ours["guessing_probability"] == 2.0**-10
    assert (theirs["share"], theirs["guessing_probability"]) == (0.5, 638 / 1024)
    assert Path("abx.png").read_bytes().startswith(b"\x89PNG")
    assert main(["listen", "score", "x.json"]) == 0
    assert "10 of 10" in capsys.readouterr().out


BAD = {
    "no reference": ("mushra --reference nowhere --systems ours", "nowhere: is not a folder"),
    "an empty reference": ("mushra --reference empty --systems ours", "empty: holds no audio"),
    "a reference twice": ("abx --reference twice --systems ours", "twice/one.wav: one.flac is in the same folder"),
    "a system that lacks a file": ("abx --reference reference --systems partial", "partial: has no deep/two"),
    "a system of no name": ("abx --reference reference --systems =ours", "write NAME=FOLDER"),
    "a system's name twice": ("abx --reference reference --systems a=ours a=theirs", "a is named twice"),
    "a name of the test": ("abx --reference reference --systems reference=ours", "is a name of the test itself"),
    "ten systems": (
        "mushra --reference reference --systems " + " ".join(f"s{number}=ours" for number in range(10)),
        "10 are too many",
    ),
    "narrow originals": ("mushra --reference narrow --systems a=narrow", "at 8000 Hz hold too little above"),
    "no questions": ("abx --reference reference --systems ours --repeats 0", "--repeats must lie in 1"),
    "a bad seed": ("abx --reference reference --systems ours --seed -1", "seed must lie in 0"),
    "an odd page": ("abx --reference reference --systems ours --output page.pdf", "unknown suffix '.pdf'"),
    "no answers": ("score missing.json", "missing.json: cannot be read"),
    "a folder of answers": ("score empty", "empty: cannot be read"),
    "no JSON": ("score reference/one.wav", "reference/one.wav: is no file of answers"),
    "answers of two tests": ("score a.json other.json", "other.json: is of another test than a.json"),
    "answers of two kinds": ("score a.json x.json", "x.json: is of another test than a.json"),
    "other recordings": ("score a.json fewer.json", "fewer.json: has other recordings than a.json"),
    "a listener twice": ("score a.json again.json", "again.json: listener a is in a.json, too"),
    "nobody left": ("score bad.json", "every listener is excluded"),
    "an odd figure": ("score a.json --figure scores.jpg", "unknown suffix '.jpg'"),
}


@pytest.mark.parametrize("case", BAD)
def test_bad_input_is_one_line_and_writes_nothing(folder, capsys, case):
    line, message = BAD[case]
    before = contents(folder)
    assert main(["listen", *line.split()]) == 2
    printed = capsys.readouterr()
    assert printed.err.count("\n") == 1, printed.err
    assert printed.out == ""
    assert message in printed.err
    assert contents(folder) == before


DAMAGE = {
    "a rating above 100": lambda answers: answers["trials"][0]["ratings"].__setitem__(0, 101),
    "a rating that is no number": lambda answers: answers["trials"][0]["ratings"].__setitem__(0, "80"),
    "a rating too few": lambda answers: answers["trials"][0]["ratings"].pop(),
    "a condition twice": lambda answers: answers["trials"][0]["stimuli"].__setitem__(
        0, answers["trials"][0]["stimuli"][1]
    ),
    "a recording twice": lambda answers: answers["trials"].append(answers["trials"][0]),
    "no trials": lambda answers: answers["trials"].clear(),
    "no anchor": lambda answers: answers["conditions"].remove("low-anchor"),
    "no listener": lambda answers: answers.update(listener=""),
    "a field too many": lambda answers: answers.update(age=30),
    "a newer version": lambda answers: answers.update(version=2),
    "another kind": lambda answers: answers.update(kind="pairs"),
}


@pytest.mark.parametrize("damage", DAMAGE)
def test_damaged_answers_are_refused(folder, capsys, damage):
    answers = mushra_answers("a", {"ours": [60, 80]})
    DAMAGE[damage](answers)
    write_answers(Path("damaged.json"), answers)
    assert main(["listen", "score", "damaged.json"]) == 2
    printed = capsys.readouterr().err
    assert printed.startswith("meanflow-codec listen: damaged.json: is no file of answers (")
    assert printed.count("\n") == 1
