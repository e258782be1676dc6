"""The panel in the study: scored where it is installed, said where not, shown with intervals beside the original."""

from pathlib import Path

import numpy as np
import pytest
from fixtures.made_up_study import Study, identity, plain

from meanflow_audio_codec.errors import InputError
from meanflow_audio_codec.evaluators import clip_scores
from meanflow_audio_codec.evaluators.metric_errors import MissingPackageError
from meanflow_audio_codec.study.report.build import write_report
from meanflow_audio_codec.study.results import append_rows, read_rows
from meanflow_audio_codec.study.scoring import panel_scores as panel_module
from meanflow_audio_codec.study.scoring.panel_scores import panel_scores
from meanflow_audio_codec.study.scoring.test_items import Items

REPOSITORY = Path(__file__).parents[2]


def items(count: int = 3) -> Items:
    random = np.random.default_rng(0)
    return Items(0.1 * random.standard_normal((count, 1_600)).astype(np.float32), None, 16_000)


@pytest.fixture
def listeners(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """In place of the networks, which may not be installed: the loudness of the decoded clip, by two scales."""
    calls = []

    def judge(factor: float):
        def score(pair: clip_scores.ClipPair) -> float:
            calls.append(1)
            return factor * float(np.abs(pair.decoded).mean())

        return score

    for name, factor in (("dnsmos_p808", 1.0), ("distillmos", 10.0)):
        monkeypatch.setitem(clip_scores.METRICS, name, clip_scores.METRICS[name]._replace(function=judge(factor)))
    monkeypatch.setattr(panel_module, "available", lambda: {"dnsmos_p808": True, "distillmos": True})
    panel_module._of_originals.cache_clear()
    return calls


def test_decoded_clips_and_originals_are_scored_apart(listeners: list[int]) -> None:
    given = items()
    per_item, figures = panel_scores(given, 0.5 * given.signals, with_slow=True)
    loudness = np.abs(given.signals).mean(axis=1)
    np.testing.assert_allclose(per_item["dnsmos_p808"], 0.5 * loudness, rtol=1e-5)
    np.testing.assert_allclose(per_item["distillmos"], 5.0 * loudness, rtol=1e-5)
    assert figures["dnsmos_p808"] == pytest.approx(0.5 * loudness.mean(), rel=1e-5)
    assert figures["original_distillmos"] == pytest.approx(10.0 * loudness.mean(), rel=1e-5)
    assert figures["not_scored"] == ""
    # The originals of the same items are not scored again.
    count = len(listeners)
    panel_scores(given, 0.2 * given.signals, with_slow=True)
    assert len(listeners) == count + 2 * len(given.signals)


def test_what_is_slow_is_left_out_of_other_settings(listeners: list[int]) -> None:
    per_item, figures = panel_scores(items(), items().signals, with_slow=False)
    assert set(per_item) == {"dnsmos_p808"}
    assert figures["not_scored"] == ""
    assert len(listeners) == 2 * 3


def test_what_is_not_installed_is_said(listeners: list[int], monkeypatch: pytest.MonkeyPatch) -> None:
    """Not found, or found and not to be loaded."""

    def broken(pair: clip_scores.ClipPair) -> float:
        raise MissingPackageError("a library is missing")

    monkeypatch.setattr(panel_module, "available", lambda: {"dnsmos_p808": True, "distillmos": False})
    monkeypatch.setitem(
        clip_scores.METRICS, "dnsmos_p808", clip_scores.METRICS["dnsmos_p808"]._replace(function=broken)
    )
    per_item, figures = panel_scores(items(), items().signals, with_slow=True)
    assert per_item == {}
    first, second = str(figures["not_scored"]).split("; ")
    assert first.startswith("DNSMOS P.808: uv sync --extra blind")
    assert second.startswith("DistillMOS: uv sync --extra distillmos")


def test_a_silent_clip_has_no_score_and_spoils_no_mean(listeners: list[int]) -> None:
    given = items()
    given.signals[1] = 0.0
    per_item, figures = panel_scores(given, given.signals, with_slow=True)
    assert np.isnan(per_item["distillmos"]).tolist() == [False, True, False]
    assert figures["distillmos"] == pytest.approx(np.nanmean(per_item["distillmos"]), rel=1e-6)


# The report.


def studied(directory: Path) -> Path:
    study = Study(directory)
    clips = np.linspace(-0.5, 0.5, 20).astype(np.float32)
    for method, score in (("adversarial", 2.0), ("improved-mean-flow", 3.0)):
        for task in ("codec", "codec-high-rate"):
            who = identity(task, method, "convnet", "mdct", "audio")
            study.run(
                who,
                items={"mel": 0.1 + 0.01 * clips, "distillmos": score + clips, "dnsmos_p808": score + 1.0 + clips},
                mel=0.1,
                frechet_distance=5.0,
                distillmos=score,
                dnsmos_p808=score + 1.0,
                original_distillmos=4.0,
                original_dnsmos_p808=4.5,
            )
    who = identity("codec", "mean-flow", "convnet", "mdct", "audio")
    study.run(who, mel=0.2, frechet_distance=6.0, not_scored="DistillMOS: uv sync --extra distillmos")
    return study.write()


def test_the_report_shows_intervals_originals_and_reasons(tmp_path: Path) -> None:
    write_report(studied(tmp_path / "results"), tmp_path / "report")
    text = plain((tmp_path / "report" / "report.md").read_text()).replace("\\", "")
    scores = text[text.index("## Scores of all") :]
    row = next(line for line in scores.splitlines() if line.startswith("| improved mean flow"))
    # The standard error of 20 values spread evenly over 1 is 0.068: an interval of about 0.13 to either side.
    (mean, low, high) = next(
        tuple(map(float, part.strip("* ]").replace("[", "").replace(",", "").split()))
        for part in row.split(" | ")
        if part.strip("* ").startswith("3.00 [")
    )
    assert (mean, low, high) == pytest.approx((3.0, 2.87, 3.13), abs=0.03)
    assert "The originals have DNSMOS P.808 4.50 and DistillMOS 4.00" in scores
    assert "Not scored in 1 of 3 runs: DistillMOS: uv sync --extra distillmos." in scores
    assert "Audio, listeners' votes (DistillMOS):** best is improved mean flow in 1 of 1 settings." in text
    # Level in both other metrics, and better in the panel's.
    assert "DistillMOS +1.00" in text[text.index("When does improved mean flow replace") : text.index("What was run")]
    for name in ("distillmos", "dnsmos_p808"):
        assert (tmp_path / "report" / "figures" / f"trade-off-audio-{name}.png").is_file()
    assert "mel distance against DistillMOS on Audio, by method and rate." in text


def test_results_without_a_panel_make_the_report_that_they_made(tmp_path: Path) -> None:
    results = REPOSITORY / "documentation" / "research" / "results" / "small"
    assert not any(row.get("distillmos") for row in read_rows(results, "results"))
    study = Study(tmp_path / "results")
    study.run(identity("codec", "autoencoder", "convnet", "mdct", "audio"), mel=0.2, frechet_distance=6.0)
    write_report(study.write(), tmp_path / "report")
    text = (tmp_path / "report" / "report.md").read_text()
    assert "MOS" not in text
    assert "Not scored" not in text


def test_a_table_of_an_earlier_version_gets_the_new_columns(tmp_path: Path) -> None:
    path = tmp_path / "results.csv"
    names = ("preset", "task", "method", "architecture", "tokenization", "dataset", "name")
    old = (*names, "seed", "mel")
    append_rows(path, old, [dict.fromkeys(names, "x") | {"seed": 0, "mel": 0.5}])
    with path.open("ab") as file:
        file.write(b"cut sho")
    append_rows(path, (*names, "seed", "mel", "pesq", "distillmos"), [dict.fromkeys(names, "y") | {"distillmos": 3.0}])
    first, second = read_rows(tmp_path, "results")
    assert (first["name"], first["mel"], first["distillmos"]) == ("x", "0.5", "")
    assert (second["name"], second["mel"], second["distillmos"]) == ("y", "", "3")
    with pytest.raises(InputError, match="other columns"):
        append_rows(path, old, [{"seed": 1}])
