"""The report of a made-up study: its numbers, its gaps, and that the page stands alone."""

import re
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest
from made_up_study import Study, identity, plain

from meanflow_audio_codec.errors import InputError
from meanflow_audio_codec.study.report.build import write_report
from meanflow_audio_codec.study.report.commentary import markdown_to_html
from meanflow_audio_codec.study.report.document import Entry, Heading, Paragraph, Rows, Table
from meanflow_audio_codec.study.report.html_page import to_html
from meanflow_audio_codec.study.report.markdown import escape, to_markdown
from meanflow_audio_codec.study.report.numbers import interval_text, number, spread
from meanflow_audio_codec.study.report.recordings import recordings
from meanflow_audio_codec.study.report.records import read_results
from meanflow_audio_codec.study.report.sections.generation import by_label
from meanflow_audio_codec.study.report.sections.samples import cut
from meanflow_audio_codec.study.report.sections.scores import score_table
from meanflow_audio_codec.study.report.sweeps import curve

HOSTILE = 'out of memory <script>alert(1)</script> | see "x" & [y](http://evil.example/z) `a`'
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


# The whole report.


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


class Page(HTMLParser):
    """Everything a browser would load, all text, and all tags."""

    def __init__(self, text: str):
        super().__init__()
        self.loaded: list[str] = []
        self.tags: list[str] = []
        self.text = ""
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.loaded += [
            value or "" for name, value in attrs if name in ("src", "srcset") or (name, tag) == ("href", "link")
        ]

    def handle_data(self, data: str) -> None:
        self.text += data


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


# Reading.


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


# Parts.


@pytest.mark.parametrize(
    ("value", "decimals", "text"),
    [
        (0.12345, 3, "0.123"),
        (-0.12345, 3, "-0.123"),
        (0.0, 3, "0.000"),
        (0.000012, 3, "1.2e-5"),
        (123.456, 2, "123.5"),
        (23520.4, 1, "23\N{THIN SPACE}520"),
        (None, 2, "-"),
        (float("inf"), 2, "∞"),
    ],
)
def test_numbers(value: float | None, decimals: int, text: str) -> None:
    assert plain(number(value, decimals)) == text


def test_spread_and_interval_share_their_digits() -> None:
    assert spread([1.0, 2.0, 3.0], 2) == "2.00 ± 1.00"
    assert spread([0.5], 2) == "0.50"
    assert spread([0.5, 0.5002], 2) == "0.50 ± 0.000"
    assert plain(interval_text(-0.005, -0.011, -0.0004, 3)) == "-0.0050 [-0.0110, -0.0004]"
    assert plain(interval_text(0.0, -1.0, 1.0, 1)) == "+0.0 [-1.0, +1.0]"
    assert interval_text(2.0, float("nan"), float("nan"), 1) == "+2.0"


def test_both_writers_show_hostile_text(tmp_path: Path) -> None:
    blocks = [Heading(HOSTILE), Paragraph(HOSTILE, HOSTILE), Table((HOSTILE,), (Rows(HOSTILE, ((Entry(HOSTILE),),)),))]
    page = Page(to_html(HOSTILE, blocks))
    assert "script" not in page.tags
    assert page.loaded == ["data:,"]
    markdown = to_markdown(HOSTILE, blocks, tmp_path)
    assert all(line.count("|") - line.count("\\|") == 2 for line in markdown.splitlines() if line.startswith("|"))
    assert escape("a\nb") == "a b"


def test_commentary_is_markdown_and_nothing_more() -> None:
    text = """# Title
Some *text* with [a link](https://example.org/a) and [none](javascript:alert(1)) <b>raw</b>.

In order:
1. one
2. two `x|y`
   goes on

| a | b |
| --- | ---: |
| 1 | **2** |

```python
if a < b:

    pass
```
"""
    result = markdown_to_html(text)
    assert result.startswith('<h3>Title</h3>\n<p>Some <em>text</em> with <a href="https://example.org/a">a link</a>')
    assert 'href="javascript' not in result
    assert "&lt;b&gt;raw&lt;/b&gt;" in result
    assert "<p>In order:</p>\n<ol><li>one</li><li>two <code>x|y</code> goes on</li></ol>" in result
    assert '<td class="left"><strong>2</strong></td>' in result
    assert "<pre>if a &lt; b:\n\n    pass</pre>" in result


def test_players_share_one_gain() -> None:
    """What is too loud lowers all versions alike; what is not finite is silent."""
    import io

    import soundfile

    tone = np.sin(np.arange(1_600) / 10).astype(np.float32)
    clip = recordings(
        "clip", {"loud": 2 * tone, "quiet": 0.5 * tone, "broken": np.full(1_600, np.nan, np.float32)}, 16_000
    )
    decoded = {player.label: soundfile.read(io.BytesIO(player.flac))[0] for player in clip.players}
    assert np.abs(decoded["loud"]).max() == pytest.approx(0.9, abs=1e-3)
    np.testing.assert_allclose(decoded["loud"], 4 * decoded["quiet"], atol=2e-4)
    assert not decoded["broken"].any()


def test_samples_are_put_in_order() -> None:
    signals = np.arange(7.0)
    arrays = {"signals": signals, "labels": np.array([2, 0, 1, 1, 0, 2, 2])}
    assert by_label(arrays, 3).tolist() == [1, 2, 0, 4, 3, 5]
    assert by_label({"signals": signals}, 3).tolist() == signals.tolist()
    pieces = cut({"a": np.ones((2, 5))}, np.array([3, 5]))["a"]
    assert [len(piece) for piece in pieces] == [3, 5]
