"""The files of a study that nothing was trained for, and its report as readers see it."""

import csv
from html.parser import HTMLParser
from pathlib import Path

import numpy as np

from meanflow_audio_codec.study.results import RESULT_COLUMNS, SWEEP_COLUMNS

HOSTILE = 'out of memory <script>alert(1)</script> | see "x" & [y](http://evil.example/z) `a`'


def identity(task: str, method: str, architecture: str, tokenization: str, dataset: str) -> dict[str, str]:
    names = (task, method, architecture, tokenization, dataset)
    columns = ("task", "method", "architecture", "tokenization", "dataset")
    return {"preset": "smoke", "name": "-".join(names), **dict(zip(columns, names, strict=True))}


class Study:
    """Writes the files of a study."""

    def __init__(self, directory: Path):
        self.directory = directory
        self.rows: list[dict] = []
        self.settings: list[dict] = []
        for name in ("items", "samples"):
            (directory / name).mkdir(parents=True)

    def run(self, who: dict[str, str], seed: int = 0, *, items: dict | None = None, samples: dict | None = None, **row):
        texts = {
            "reason": "",
            "git_revision": "abc123",
            "package_version": "0.1.0",
            "jax_version": "0.10",
            "device": "cpu",
        }
        figures = {"training_seconds": 90.0, "num_parameters": 1_200_000, "num_evaluations": 1, "temperature": 1.0}
        self.rows.append(who | {"seed": seed, "status": "finished", "solver": "euler"} | texts | figures | row)
        for folder, arrays in (("items", items), ("samples", samples)):
            if arrays is not None:
                np.savez(self.directory / folder / f"{who['name']}-seed{seed}.npz", **arrays)

    def setting(self, who: dict[str, str], seed: int = 0, **row) -> None:
        usual = {"solver": "euler", "temperature": 1.0, "num_evaluations": 1}
        self.settings.append(who | {"seed": seed} | usual | row)

    def write(self) -> Path:
        for name, columns, rows in (
            ("results-1-of-2", RESULT_COLUMNS, self.rows[::2]),
            ("results-2-of-2", RESULT_COLUMNS, self.rows[1::2]),
            ("sweep", SWEEP_COLUMNS, self.settings),
        ):
            with (self.directory / f"{name}.csv").open("w", newline="") as file:
                writer = csv.DictWriter(file, columns)
                writer.writeheader()
                writer.writerows(rows)
        return self.directory


def plain(text: str) -> str:
    """With the characters of a keyboard where the report has those of a printer."""
    return text.translate(
        {ord("\N{MINUS SIGN}"): "-", ord("\N{EN DASH}"): "-", ord("\N{MULTIPLICATION SIGN}"): "x", 0xA0: " "}
    )


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
