"""The report's table of learning rates, from made-up rows."""

from pathlib import Path

import pytest
from fixtures.made_up_study import Study, identity, plain

from meanflow_audio_codec.study.cells import LEARNING_RATE_FACTORS, StudyCell, all_cells
from meanflow_audio_codec.study.report.pages.document import Entry, Paragraph, Table
from meanflow_audio_codec.study.report.records import read_results
from meanflow_audio_codec.study.report.sections.learning_rate import learning_rate

LOW, USUAL, HIGH = "codec-low-learning-rate", "codec", "codec-learning-rate"


def run(study: Study, task: str, method: str, *values: float | str, tokenization: str = "mdct") -> None:
    """A run per seed, with this MSE and ten times as large a Fréchet distance, or of this status."""
    who = identity(task, method, "convnet", tokenization, "mnist")
    for seed, value in enumerate(values):
        if isinstance(value, str):
            study.run(who, seed, status=value, reason="made up")
        else:
            study.run(who, seed, mse=value, frechet_distance=10.0 * value)


def only_table(study: Study) -> tuple[Table, dict[str, dict[str, Entry]]]:
    """The section's table, and its rows by method and heading; methods here have one tokenization each."""
    (table,) = (block for block in learning_rate(read_results(study.write())) if isinstance(block, Table))
    headings = [plain(heading) for heading in table.headings]
    rows = [dict(zip(headings, row, strict=True)) for group in table.groups for row in group.rows]
    return table, {row["method"].text: row for row in rows}


def test_rates_stand_side_by_side(tmp_path: Path) -> None:
    study = Study(tmp_path)
    run(study, LOW, "autoencoder", 0.06)
    run(study, USUAL, "autoencoder", 0.03, 0.05)
    run(study, HIGH, "autoencoder", 0.05)
    table, rows = only_table(study)
    row = rows["autoencoder"]
    scores = [row[f"MSE, {rate}"].text for rate in ("rate / 3", "usual rate", "rate x 3")]
    assert scores == ["0.0600", "0.0400 ± 0.0141", "0.0500"]
    assert row["MSE, worst / best"].text == "1.50"
    assert row["Fréchet distance, rate / 3"].text == "0.60"
    assert row["Fréchet distance, worst / best"].text == "1.50"
    assert row["diverged"] == Entry("0 of 4")
    assert [group.title for group in table.groups] == ["convnet · MDCT"]


def test_rates_that_diverged_are_the_worst(tmp_path: Path) -> None:
    """A rate of which some seed finished is judged by those that did."""
    study = Study(tmp_path)
    for method, high in (("mean-flow", ("diverged",)), ("adversarial", ("diverged", 0.08)), ("flow-matching", ())):
        run(study, USUAL, method, 0.04, 0.04)
        run(study, LOW, method, 0.05)
        run(study, HIGH, method, *high)
    _, rows = only_table(study)
    assert rows["mean flow"]["MSE, rate x 3"] == Entry("diverged", bold=True)
    assert rows["mean flow"]["MSE, worst / best"] == Entry("∞", bold=True)
    assert rows["mean flow"]["diverged"] == Entry("1 of 4", bold=True)
    assert rows["adversarial"]["MSE, rate x 3"].text == "0.0800"
    assert rows["adversarial"]["MSE, worst / best"].text == "2.00"
    assert rows["adversarial"]["diverged"] == Entry("1 of 5", bold=True)
    assert rows["flow matching"]["MSE, rate x 3"] == Entry("not run", tone="missing")
    assert rows["flow matching"]["MSE, worst / best"].text == "1.25"


def test_nothing_is_compared_that_is_not_there(tmp_path: Path) -> None:
    """One rate only, all rates diverged, failed runs, and cells at the usual rate alone."""
    study = Study(tmp_path)
    run(study, USUAL, "autoencoder", "failed")
    run(study, HIGH, "autoencoder", 0.05)
    run(study, USUAL, "mean-flow", "diverged")
    run(study, HIGH, "mean-flow", "diverged")
    run(study, USUAL, "flow-matching", 0.04)
    _, rows = only_table(study)
    assert set(rows) == {"autoencoder", "mean flow"}
    assert plain(rows["autoencoder"]["MSE, usual rate"].text) == "-"
    assert plain(rows["autoencoder"]["MSE, worst / best"].text) == "-"
    assert rows["autoencoder"]["diverged"] == Entry("0 of 1")
    assert plain(rows["mean flow"]["MSE, worst / best"].text) == "-"
    assert rows["mean flow"]["diverged"] == Entry("2 of 2", bold=True)


def test_a_study_at_one_rate_says_so(tmp_path: Path) -> None:
    study = Study(tmp_path)
    run(study, USUAL, "autoencoder", 0.04)
    _, said = learning_rate(read_results(study.write()))
    assert isinstance(said, Paragraph)
    assert said.lead == "Not run."


@pytest.mark.parametrize("preset", ["smoke", "small", "full"])
def test_cells_at_other_rates_differ_in_nothing_else(preset: str) -> None:
    """Each has a codec cell of its method at the usual rate."""
    cells = all_cells(preset)  # pyright: ignore[reportArgumentType]
    usual = {cell.name: cell for cell in cells if cell.task == USUAL}

    def comparable(cell: StudyCell) -> dict:
        return cell.config(0).model_dump(exclude={"name": True, "optimizer": {"learning_rate"}})

    for task, factor in LEARNING_RATE_FACTORS.items():
        varied = [cell for cell in cells if cell.task == task]
        assert len(varied) == 20
        for cell in varied:
            base = usual[cell.name.replace(task, USUAL, 1)]
            assert comparable(cell) == comparable(base)
            rates = [each.config(0).optimizer.learning_rate for each in (cell, base)]
            assert rates[0] == pytest.approx(factor * rates[1])
