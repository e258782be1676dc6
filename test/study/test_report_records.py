"""The rows of a study as its report reads them: the last one counts, damage is named, curves vary one setting."""

from pathlib import Path

import pytest
from fixtures.made_up_study import Study, identity, plain

from meanflow_audio_codec.errors import InputError
from meanflow_audio_codec.study.report.build import write_report
from meanflow_audio_codec.study.report.pages.document import Table
from meanflow_audio_codec.study.report.records import read_results
from meanflow_audio_codec.study.report.sections.scores import score_table
from meanflow_audio_codec.study.report.sweeps import curve


def test_a_later_row_replaces_an_earlier_one(tmp_path: Path) -> None:
    study = Study(tmp_path)
    who = identity("codec", "autoencoder", "mlp", "mdct", "mnist")
    study.run(who, status="failed")
    study.run(who, mse=0.5, psnr=float("inf"), ssim=float("nan"))
    (run,) = read_results(study.write()).runs
    assert (run.status, run.values["mse"]) == ("finished", 0.5)
    assert not {"psnr", "ssim"} & set(run.values)


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ({"mse": "many"}, "mse 'many' is not a number"),
        ({"status": "ok"}, "status 'ok'"),
        ({"seed": "x"}, "seed is not"),
    ],
)
def test_damaged_rows_are_named(tmp_path: Path, row: dict, message: str) -> None:
    study = Study(tmp_path)
    study.run(identity("codec", "autoencoder", "mlp", "mdct", "mnist"))
    study.rows[0] |= row
    with pytest.raises(InputError, match=message):
        read_results(study.write())


def test_missing_and_damaged_files_are_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"no results\.csv"):
        write_report(tmp_path, tmp_path / "report")
    study = Study(tmp_path / "results")
    who = identity("codec", "autoencoder", "mlp", "mdct", "mnist")
    study.run(who, mse=0.5)
    (tmp_path / "results" / "items" / f"{who['name']}-seed0.npz").write_bytes(b"PK no archive")
    results = read_results(study.write())
    with pytest.raises(InputError, match="cannot be read"):
        results.items(results.runs[0])


def test_curves_vary_one_setting(tmp_path: Path) -> None:
    """Guided flow matching evaluates the network twice per step, so without guidance the count halves."""
    study = Study(tmp_path)
    who = identity("generation", "flow-matching", "convnet", "mdct", "mnist")
    study.run(who, num_evaluations=64, guidance_scale=3.0)
    main = {"num_evaluations": 64, "guidance_scale": 3.0}
    for change, accuracy in (
        ({}, 0.9),
        ({"num_evaluations": 8}, 0.8),
        ({"num_evaluations": 8, "temperature": 0.5}, 0.1),
        ({"num_evaluations": 32, "guidance_scale": 1.0}, 0.7),
        ({"num_evaluations": 8, "guidance_scale": 1.0}, 0.2),
        ({"num_evaluations": 64, "solver": "heun"}, 0.3),
    ):
        study.setting(who, **(main | change), accuracy=accuracy)
    results = read_results(study.write())
    cell = results.runs[0].cell
    assert curve(results, cell, "num_evaluations", "accuracy") == {8.0: [0.8], 64.0: [0.9]}
    assert curve(results, cell, "guidance_scale", "accuracy") == {1.0: [0.7], 3.0: [0.9]}


def test_ties_are_both_best(tmp_path: Path) -> None:
    study = Study(tmp_path)
    for method, ssim in (("autoencoder", 0.9), ("mean-flow", 0.9), ("flow-matching", 0.8)):
        study.run(identity("codec", method, "mlp", "mdct", "mnist"), ssim=ssim)
    table = score_table(read_results(study.write()), "codec", "mnist")[0]
    assert isinstance(table, Table)
    column = [plain(heading) for heading in table.headings].index("SSIM ↑")
    assert {row[0].text: row[column].bold for row in table.groups[0].rows} == {
        "autoencoder": True,
        "flow matching": False,
        "mean flow": True,
        "improved mean flow": False,
    }
