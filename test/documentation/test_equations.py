"""The functions that the pages name beside equations exist, and the works of the bibliography are cited."""

import re
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest
from pages import ROOT

RESEARCH = ROOT / "documentation" / "research"
PAGES = (
    RESEARCH / "meanflow/meanflow_key_eqn.md",
    RESEARCH / "improved_meanflow/improved_meanflow_key_eqn.md",
    RESEARCH / "mdct/theory.md",
    RESEARCH / "mdct/mdctcodec_key_eqn.md",
    ROOT / "documentation/implementation/networks.md",
)
NAME = re.compile(r"`((?:models|preprocessing|datasets|references)\.[\w.]+)`")


def table(page: Path) -> str:
    """The section in which equations or networks stand beside the code."""
    text = page.read_text(encoding="utf-8")
    return re.search(r"^## The [^\n]* and the code\n(.*?)^## ", text, re.MULTILINE | re.DOTALL).group(1)  # type: ignore[union-attr]  # without a match the test fails, as it should


def resolve(name: str) -> Any:
    """What a dotted name below the package stands for: the longest module of it, then attributes."""
    parts = name.split(".")
    for length in range(len(parts), 0, -1):
        if (ROOT / "meanflow_audio_codec" / Path(*parts[:length])).with_suffix(".py").exists():
            value = import_module(".".join(["meanflow_audio_codec", *parts[:length]]))
            for attribute in parts[length:]:
                value = getattr(value, attribute)
            return value
    raise ModuleNotFoundError(name)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_the_code_beside_an_equation_exists(page: Path) -> None:
    names = [name for name in NAME.findall(page.read_text(encoding="utf-8")) if not name.startswith("references")]
    assert len(NAME.findall(table(page))) >= 4
    for name in names:
        assert callable(resolve(name)), name


@pytest.mark.parametrize("page", PAGES[:4], ids=lambda page: page.stem)
def test_numbers_beside_code_are_those_of_the_page(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    tags = set(re.findall(r"\\tag\{(\d+)\}", text))
    named = set(
        re.findall(r"\((\d+)\)", "".join(re.findall(r"^\| ((?:\(\d+\)(?:, )?)+) \|", table(page), re.MULTILINE)))
    )
    assert named
    assert named <= tags


def bibliography() -> str:
    return (RESEARCH / "bibliography.md").read_text(encoding="utf-8")


def entries() -> list[tuple[str, str]]:
    text = (RESEARCH / "references.bib").read_text(encoding="utf-8")
    return [(match[1], match[0]) for match in re.finditer(r"@\w+\{(\w+),.*?^\}", text, re.MULTILINE | re.DOTALL)]


def test_the_page_and_the_bibtex_name_the_same_works() -> None:
    keys = [key for key, _ in entries()]
    assert len(set(keys)) == len(keys)
    assert sorted(keys) == sorted(re.findall(r"\| `(\w+)` \|", bibliography()))
    for key, entry in entries():
        assert entry.count("{") == entry.count("}"), key
        assert all(f"{field} = {{" in entry for field in ("title", "author", "year")), key


def test_every_work_is_cited_where_the_bibliography_says() -> None:
    for key, entry in entries():
        row = next(line for line in bibliography().splitlines() if f"| `{key}` |" in line)
        number = re.search(r"eprint = \{([\d.]+)\}", entry)
        surname = re.search(r"author = \{(\w+)", entry).group(1)  # type: ignore[union-attr]  # without a match the test fails, as it should
        sought = number.group(1) if number else "6716" if key == "rfc6716" else surname
        assert sought in row
        pages = re.findall(r"\]\(([\w./]+\.md)", row.rsplit("|", 2)[1])
        assert pages
        for page in pages:
            text = (RESEARCH / page).read_text(encoding="utf-8")
            assert sought in text, f"{page} does not cite {key}"


def test_the_works_that_the_code_names_most_are_in_the_bibliography() -> None:
    """Networks, methods and quantisers come from works of the bibliography."""
    known = bibliography()
    for file in [
        *ROOT.glob("meanflow_audio_codec/models/backbones/*.py"),
        *ROOT.glob("documentation/implementation/networks.md"),
    ]:
        for number in re.findall(r"arXiv (\d{4}\.\d{5})", file.read_text(encoding="utf-8")):
            assert number in known or number == "1606.08415", f"{file.name}: {number}"
