"""The report of a made-up study: its numbers, its gaps, and that the page stands alone."""

import re
from pathlib import Path

import numpy as np
import pytest
from fixtures.made_up_study import HOSTILE, Page, Study, identity, plain

from meanflow_audio_codec.study.report.build import write_report

ITEMS = {"mnist": 12, "audio": 6}
# Mean distortion (MSE, mel) and Fréchet distance of each method: what the report has to find again.
TRUTH = {
    "autoencoder": (0.04, 40.0),
    "flow-matching": (0.06, 6.0),
    "improved-mean-flow": (0.05, 8.0),
    "adversarial": (0.055, 9.0),
}
SEED_OFFSETS = (-0.0006, 0.0006)


def item_scores(dataset: str, distortion: float) -> dict[str, np.ndarray]:
    difficulty = np.linspace(0.5, 1.5, ITEMS[dataset])
    name = "mse" if dataset == "mnist" else "mel"
    return {name: (distortion * difficulty).astype(np.float32)}


def whole_study(directory: Path) -> Study:
    """Both datasets, convnet with the MDCT, two seeds; one seed diverged, one cell failed, one setting swept."""
    study = Study(directory)
    random = np.random.default_rng(0)
    images = random.uniform(-1, 1, (10, 28, 28)).astype(np.float32)
    clips = 0.3 * random.standard_normal((2, 4_000)).astype(np.float32)
    audio = {"sample_rate": np.int32(16_000), "lengths": np.array([4_000, 3_000], np.int32)}
    for dataset in ("mnist", "audio"):
        metric = "mse" if dataset == "mnist" else "mel"
        signals = {"signals": images} if dataset == "mnist" else {"signals": clips, **audio}
        np.savez(directory / "samples" / f"reference-{dataset}.npz", **signals)
        for method, (distortion, frechet) in TRUTH.items():
            for task, better in (("codec", 1.0), ("codec-high-rate", 0.5)):
                who = identity(task, method, "convnet", "mdct", dataset)
                for seed, offset in enumerate(SEED_OFFSETS if task == "codec" else (0.0,)):
                    if (method, dataset, seed) == ("adversarial", "audio", 1):
                        study.run(who, seed, status="diverged", reason="the loss is not finite at step 7")
                        continue
                    value = better * (distortion + offset)
                    study.run(
                        who,
                        seed,
                        items=item_scores(dataset, value),
                        samples=signals if seed == 0 else None,
                        bits_per_item=51.25 / better,
                        frechet_distance=better * (frechet + 100 * offset),
                        **{metric: value},
                    )
                    if method == "flow-matching" and seed == 0 and task == "codec":
                        for count in (1, 2, 4):
                            study.setting(who, num_evaluations=count, frechet_distance=8.0 / count, **{metric: value})
                        study.setting(who, temperature=0.5, frechet_distance=20.0, **{metric: 0.9 * value})
        study.run(identity("codec", "mean-flow", "convnet", "mdct", dataset), status="failed", reason=HOSTILE)
        raised = identity("codec-learning-rate", "autoencoder", "convnet", "mdct", dataset)
        study.run(raised, frechet_distance=60.0, **{metric: 0.06})
        variant = identity("codec-ablation", "improved-mean-flow-prior", "convnet", "mdct", dataset)
        study.run(variant, items=item_scores(dataset, 0.045), frechet_distance=7.0, **{metric: 0.045})
    labels = {"labels": np.arange(10, dtype=np.int32)}
    made = identity("generation", "mean-flow", "convnet", "mdct", "mnist")
    study.run(made, samples={"signals": images, **labels}, accuracy=0.875, frechet_distance=3.0)
    words = identity("generation", "mean-flow", "convnet", "mdct", "words")
    study.run(words, samples={"signals": clips, "labels": np.arange(2, dtype=np.int32), **audio}, accuracy=0.5)
    return study


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("study")
    output = folder / "report"
    output.mkdir()
    (output / "commentary.md").write_text("## In short\n\nAll is **well**: `a<b`.\n")
    write_report(whole_study(folder / "results").write(), output)
    return output


def read_markdown(report: Path) -> str:
    return plain((report / "report.md").read_text())


def table_row(markdown: str, heading: str, group: str, name: str) -> dict[str, str]:
    """A row by column heading, from the first table after `heading`."""
    lines = markdown[markdown.index(heading) :].splitlines()
    lines = [line for line in lines if line.startswith("|")]
    titles = [text.strip() for text in lines[0].strip("|").split(" | ")]
    after = next(index for index, line in enumerate(lines) if line.startswith(f"| **{group}**"))
    line = next(line for line in lines[after:] if line.startswith(f"| {name} |"))
    return dict(zip(titles, (text.strip() for text in line[2:-2].split(" | ")), strict=True))


# Its numbers.


def test_the_table_holds_means_and_deviations(report: Path) -> None:
    """Two seeds 0.0012 apart: deviation 0.0012 / sqrt 2; the best is bold."""
    markdown = read_markdown(report)
    scores = markdown[markdown.index("## Scores of all codec cells") :]
    row = table_row(scores, "### MNIST", "convnet · MDCT", "autoencoder")
    assert row["MSE ↓"] == "**0.0400 ± 0.0008**"
    assert row["Fréchet distance ↓"] == "40.00 ± 0.08"
    assert (row["seeds"], row["bits/item"], row["parameters (10⁶)"], row["training (min)"]) == (
        "2",
        "51.2",
        "1.20",
        "**1.5**",
    )
    assert table_row(scores, "### MNIST", "convnet · MDCT", "flow matching")["Fréchet distance ↓"] == "**6.00 ± 0.08**"
    assert table_row(scores, "### MNIST", "convnet · MDCT", "mean flow")["seeds"] == "0 (1 failed)"
    adversarial = table_row(scores, "### Audio", "convnet · MDCT", "adversarial")
    assert (adversarial["seeds"], adversarial["mel distance ↓"]) == ("1 (1 diverged)", "0.054")
    assert "**Not run.** convnet · reshape, MLP · MDCT" in scores


def test_effects_have_the_right_sign(report: Path) -> None:
    """Flow matching: 0.02 more distortion, 34 less Fréchet distance than the autoencoder."""
    markdown = read_markdown(report)
    row = table_row(markdown, "## Effects with", "Methods", "flow matching - autoencoder")
    assert row["MSE ↓"].startswith("**+0.0200 \\[+0.0")
    assert row["MSE ↓"].endswith("(worse)")
    assert row["Fréchet distance ↓"].startswith("**-34.00 \\[-3")
    assert row["Fréchet distance ↓"].endswith("(better)")
    variant = table_row(markdown, "## Ablations", "convnet · MDCT", "improved mean flow, prior")
    assert variant["mel distance ↓"].startswith("**-0.005 ")
    assert variant["Fréchet distance ↓"] == "-1.00°"


def test_answers_follow_the_numbers(report: Path) -> None:
    answers = read_markdown(report)
    answers = answers[answers.index("## Answers") : answers.index("## What was run")]
    assert (
        "**MNIST, distortion (MSE):** best is autoencoder in 1 of 1 settings. In convnet · MDCT: autoencoder 0.0400"
        in answers
    )
    assert "51.2 bits per item" in answers
    assert "**MNIST, perception (Fréchet distance):** best is flow matching in 1 of 1 settings." in answers
    # Lower distortion and lower Fréchet distance than the adversary, each by more than the seeds differ.
    assert "**MNIST, convnet · MDCT, lower rate:** Yes: better in both." in answers
    assert "**Not run.** The cells it needs have not finished." in answers  # one tokenization only
    # Of seven comparisons of methods those with mean flow are not run; the others have two metrics each.
    assert "Of 10 effects measured on both" in answers


def test_stability_counts_and_compares(report: Path) -> None:
    markdown = read_markdown(report)
    stability = markdown[markdown.index("## Stability") :]
    row = table_row(stability, "### MNIST", "convnet · MDCT", "autoencoder")
    assert (row["diverged"], row["spread of MSE"]) == ("0 of 2", "2.1 %")
    assert table_row(stability, "### Audio", "convnet · MDCT", "adversarial")["diverged"] == "**1 of 2**"


def test_counts_and_reasons_of_what_is_missing(report: Path) -> None:
    markdown = read_markdown(report)
    assert "29 finished of 32 recorded" in markdown
    assert "| codec | MNIST | 26 | 8 | 0 | 1 | 21 |" in markdown
    assert "the loss is not finite at step 7" in markdown
    assert "<script>" not in markdown
    assert "out of memory \\<script\\>alert(1)\\</script\\> \\| see" in markdown


# The page.


def test_the_page_stands_alone(report: Path) -> None:
    text = (report / "report.html").read_text()
    page = Page(text)
    assert page.loaded
    assert all(address.startswith("data:") for address in page.loaded)
    assert "script" not in page.tags
    assert not re.search(r"@import|url\(", text)
    assert HOSTILE in page.text
    assert {"img", "audio", "details", "nav"} <= set(page.tags)
    assert sum(address.startswith("data:image/png") for address in page.loaded) == len(
        list(report.glob("figures/*.png"))
    )
    assert all((report / name).is_file() for name in re.findall(r"\]\((figures/[^)]*)\)", read_markdown(report)))


def test_commentary_stands_before_the_answers(report: Path) -> None:
    text = (report / "report.html").read_text()
    assert 0 < text.index("All is <strong>well</strong>: <code>a&lt;b</code>.") < text.index("<nav>")
    assert read_markdown(report).index("All is **well**") < read_markdown(report).index("## Answers")


# Hardly anything to report.


def test_one_finished_cell_makes_a_report(tmp_path: Path) -> None:
    study = Study(tmp_path / "results")
    study.run(identity("codec", "autoencoder", "mlp", "reshape", "mnist"), mse=0.25, frechet_distance=3.0)
    write_report(study.write(), tmp_path / "report")
    markdown = read_markdown(tmp_path / "report")
    assert table_row(markdown, "## Scores of all", "MLP · reshape", "autoencoder")["MSE ↓"] == "0.2500"
    assert table_row(markdown, "## Scores of all", "MLP · reshape", "flow matching")["seeds"] == "not run"
    for section in (
        "Effects with",
        "Quality against",
        "Stability",
        "Learning rate",
        "Generation",
        "The same test items",
        "Ablations",
    ):
        assert "**Not run.**" in markdown[markdown.index(f"## {section}") :].split("\n## ")[0]
    assert "nan" not in markdown.lower()


def test_a_study_without_a_finished_run_makes_a_report(tmp_path: Path) -> None:
    study = Study(tmp_path / "results")
    study.run(identity("codec", "autoencoder", "mlp", "mdct", "audio"), status="failed", reason="no data")
    write_report(study.write(), tmp_path / "report")
    assert "0 finished of 1 recorded" in read_markdown(tmp_path / "report")
