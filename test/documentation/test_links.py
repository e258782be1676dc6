"""Every relative link of the pages leads to a file, and every anchor to a heading of it."""

import re
from functools import cache
from pathlib import Path

import pytest
from pages import PAGES, ROOT

FENCE = re.compile(r"^(```|~~~).*?^\1", re.MULTILINE | re.DOTALL)
LINK = re.compile(r"\[[^\]\[]*\]\(\s*<?([^)\s>]+)>?(?:\s+\"[^\"]*\")?\s*\)")
MOST_LINES = 150


def without_code(text: str) -> str:
    return re.sub(r"`[^`\n]*`", "", FENCE.sub("", text))


def anchor_of(heading: str) -> str:
    """The anchor that GitHub makes of a heading: lower case, without marks, spaces as hyphens."""
    text = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", heading.strip())
    return re.sub(r"[^\w\- ]", "", text.lower()).replace(" ", "-")


@cache
def anchors(page: Path) -> frozenset[str]:
    headings = re.findall(r"^#{1,6} +(.+?) *#*$", FENCE.sub("", page.read_text(encoding="utf-8")), re.MULTILINE)
    found: set[str] = set()
    for anchor in map(anchor_of, headings):
        candidates = (f"{anchor}-{number}" if number else anchor for number in range(len(headings)))
        found.add(next(each for each in candidates if each not in found))
    return frozenset(found)


def broken_links(page: Path) -> list[str]:
    broken = []
    for target in LINK.findall(without_code(page.read_text(encoding="utf-8"))):
        if re.match(r"[a-z][a-z0-9+.-]*:", target):
            continue
        path, _, anchor = target.partition("#")
        file = (page.parent / path).resolve() if path else page
        if path.startswith("/") or not file.exists() or ROOT not in file.parents:
            broken.append(f"{target}: no such file")
        elif anchor and (file.suffix != ".md" or anchor not in anchors(file)):
            broken.append(f"{target}: no such heading")
    return broken


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_and_anchors_lead_somewhere(page: Path) -> None:
    assert not broken_links(page)


def test_a_broken_link_is_noticed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(globals(), "ROOT", tmp_path)
    (tmp_path / "other.md").write_text("# A `name`, twice\n## Two words\n## Two words\n```sh\n# no heading\n```\n")
    page = tmp_path / "page.md"
    page.write_text(
        "[a](other.md#a-name-twice) [b](other.md#two-words-1) [c](other.md#no-heading) [d](gone.md) "
        "[e](https://example.org/x.md) `[f](code.md)`\n"
    )
    assert broken_links(page) == ["other.md#no-heading: no such heading", "gone.md: no such file"]


def test_every_page_is_reached_from_the_index() -> None:
    """Links, followed from documentation/README.md, lead to every page of the documentation."""
    reached, waiting = set(), [ROOT / "documentation" / "README.md"]
    while waiting:
        page = waiting.pop()
        if page in reached or page.suffix != ".md" or not page.exists():
            continue
        reached.add(page)
        targets = LINK.findall(without_code(page.read_text(encoding="utf-8")))
        waiting += [(page.parent / target.partition("#")[0]).resolve() for target in targets if ":" not in target]
    assert not [str(page.relative_to(ROOT)) for page in PAGES if "documentation" in page.parts and page not in reached]


@pytest.mark.parametrize("page", sorted((ROOT / "documentation/user_guide").glob("*.md")), ids=lambda page: page.name)
def test_pages_of_the_user_guide_are_short(page: Path) -> None:
    assert len(page.read_text(encoding="utf-8").splitlines()) <= MOST_LINES


def test_no_mention_of_a_page_in_code_is_stale() -> None:
    """A page that a docstring or a comment names exists."""
    for file in [*ROOT.glob("meanflow_audio_codec/**/*.py"), *ROOT.glob("test/**/*.py")]:
        for name in re.findall(r"documentation/[\w/]+\.md", file.read_text(encoding="utf-8")):
            assert (ROOT / name).exists(), f"{file.relative_to(ROOT)} names {name}"
