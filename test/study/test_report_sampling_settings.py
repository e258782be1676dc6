"""The report's table of the ways in which trained generators were sampled."""

from pathlib import Path

import pytest
from fixtures.made_up_study import Study, identity, plain

from meanflow_audio_codec.study.cells import all_cells
from meanflow_audio_codec.study.report.pages.document import Details, Table
from meanflow_audio_codec.study.report.records import Results, read_results
from meanflow_audio_codec.study.report.sections.sampling_settings import sampling_settings
from meanflow_audio_codec.study.scoring.scores import main_setting, setting_figures, sweep_settings

ONE = {"num_evaluations": 1, "temperature": 1.0, "guidance_scale": 3.0}


def table(results: Results) -> Table:
    found = sampling_settings(results, results.cells("generation", "mnist"))
    assert isinstance(found, Details)
    (block,) = found.blocks
    assert isinstance(block, Table)
    return block


def test_every_setting_is_a_row_and_the_lowest_distance_of_each_method_is_bold(tmp_path: Path) -> None:
    study = Study(tmp_path)
    ours = identity("generation", "improved-mean-flow", "convnet", "mdct", "mnist")
    other = identity("generation", "flow-matching", "convnet", "mdct", "mnist")
    for who in (ours, other):
        study.run(who, **ONE)
    for temperature, accuracy, distance in ((1.0, 0.93, 57.3), (0.8, 0.976, 52.3), (0.9, 0.957, 53.9)):
        study.setting(ours, **ONE | {"temperature": temperature}, accuracy=accuracy, frechet_distance=distance)
    for count, distance in ((32, 58.1), (2, 73.1)):
        study.setting(other, **ONE | {"num_evaluations": count}, frechet_distance=distance)
    (group,) = table(read_results(study.write())).groups
    texts = [[plain(entry.text) for entry in row[:6]] for row in group.rows]
    assert texts == [
        ["flow matching", "2", "1", "3", "-", "73.10"],
        ["flow matching", "32", "1", "3", "-", "58.10"],
        ["improved mean flow", "1", "1", "3", "93.0", "57.30"],
        ["improved mean flow", "1", "0.9", "3", "95.7", "53.90"],
        ["improved mean flow", "1", "0.8", "3", "97.6", "52.30"],
    ]
    assert [row[5].bold for row in group.rows] == [False, True, False, False, True]


def test_nothing_is_bold_without_a_distance(tmp_path: Path) -> None:
    study = Study(tmp_path)
    who = identity("generation", "mean-flow", "convnet", "mdct", "mnist")
    study.run(who, **ONE)
    for temperature in (1.0, 0.8):
        study.setting(who, **ONE | {"temperature": temperature}, accuracy=0.9)
    (group,) = table(read_results(study.write())).groups
    assert [entry.bold for row in group.rows for entry in row] == [False] * 18


def test_one_way_of_sampling_needs_no_table(tmp_path: Path) -> None:
    study = Study(tmp_path)
    who = identity("generation", "mean-flow", "convnet", "mdct", "mnist")
    study.run(who, **ONE)
    study.setting(who, **ONE, frechet_distance=50.0)
    results = read_results(study.write())
    assert sampling_settings(results, results.cells("generation", "mnist")) is None


@pytest.mark.parametrize(
    ("method", "evaluations", "scales"),
    [("flow-matching", 32, (3.0, 2.0)), ("mean-flow", 1, (3.0,)), ("improved-mean-flow", 1, (3.0, 2.0))],
)
def test_temperatures_are_swept_at_one_evaluation_and_at_32_of_flow_matching(
    method: str, evaluations: int, scales: tuple[float, ...]
) -> None:
    """So that what is said of one evaluation is said beside what flow matching does under the same settings."""
    name = f"generation-{method}-convnet-mdct-mnist"
    (cell,) = [cell for cell in all_cells("small") if cell.name == name]
    settings = [main_setting(cell), *sweep_settings(cell)]
    assert len(set(settings)) == len(settings)
    figures = [setting_figures(cell, setting) for setting in settings]
    found = {(one["num_evaluations"], one["guidance_scale"], one["temperature"]) for one in figures}
    assert {(evaluations, scale, temperature) for scale in scales for temperature in (1.0, 0.9, 0.8)} <= found
