"""Files name the model that made them: `decode` and `verify` find it, if it comes with the package."""

import json
import shutil
from pathlib import Path

import pytest
import soundfile
from fixtures.golden_files import GOLDEN, SHIPPED
from fixtures.tiny_models import RATE, codec_folder, other_name_codec, other_weights_folder, sound, tiny_codec

from meanflow_audio_codec.__main__ import main
from meanflow_audio_codec.codec.container import BitstreamError, Header
from meanflow_audio_codec.codec.model_of_file import model_named_by
from meanflow_audio_codec.inference import pretrained


@pytest.fixture
def coded(tmp_path, monkeypatch) -> Path:
    """Files of two models, of which `tiny` alone is built in."""
    monkeypatch.chdir(tmp_path)
    built_in = tmp_path / "built-in"
    shutil.copytree(codec_folder(), built_in / "tiny")
    monkeypatch.setattr(pretrained, "WEIGHTS_DIRECTORY", built_in)
    for name, codec in (("tiny", tiny_codec()), ("another", other_name_codec())):
        Path("coded").mkdir(exist_ok=True)
        Path(f"coded/{name}.mfc").write_bytes(codec.encode(sound(4_000), RATE))
    return tmp_path


def test_decode_takes_the_model_that_a_file_names(coded, capsys):
    assert main(["decode", "coded/tiny.mfc", "whole.wav", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["model"] == "tiny"
    assert main(["decode", "coded/tiny.mfc", "part.wav", "--end", "0.25", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["model"] == "tiny"
    whole, part = (soundfile.read(name)[0] for name in ("whole.wav", "part.wav"))
    assert (whole[: len(part)] == part).all()


def test_a_file_of_a_model_that_is_not_built_in_says_so(coded, capsys):
    assert main(["decode", "coded/another.mfc", "out.wav"]) == 2
    assert "model another, which does not come with this version (tiny)" in capsys.readouterr().err
    assert not Path("out.wav").exists()


def test_in_a_folder_each_file_has_its_own_model(coded, capsys):
    assert main(["decode", "coded", "decoded"]) == 1
    printed = capsys.readouterr()
    assert printed.out.startswith("1 decoded, 1 failed")
    assert "model another, which does not come" in printed.err
    assert main(["verify", "coded", "--json"]) == 1
    status = {Path(report["file"]).stem: report["status"] for report in json.loads(capsys.readouterr().out)}
    assert status == {"tiny": "ok", "another": "other model"}


def test_a_model_that_is_named_is_used_for_all(coded, capsys):
    assert main(["verify", "coded", "--json", "--model", str(other_weights_folder())]) == 1
    reports = json.loads(capsys.readouterr().out)
    assert [report["status"] for report in reports] == ["other model", "other model"]
    assert any("other weights of tiny" in report["error"] for report in reports)


@pytest.mark.parametrize("name", ["../tiny", "/", ".", "tiny/", "built-in/tiny"])
def test_names_in_files_are_never_taken_as_paths(coded, name):
    header = Header(model=name, weights_hash=bytes(8), sample_rate=RATE, channels=1, frames_per_packet=50, noise_seed=0)
    with pytest.raises(BitstreamError, match="does not come with this version"):
        model_named_by(header)


def test_golden_files_of_the_published_models_are_verified_without_naming_any(capsys):
    names = [str(GOLDEN / f"{name}-version-2.mfc") for name in SHIPPED]
    assert main(["verify", *names]) == 0
    assert capsys.readouterr().out.count(": ok, ") == len(SHIPPED)
