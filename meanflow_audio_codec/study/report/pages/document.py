"""The report as a list of blocks, which `markdown` and `html` each turn into their file."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

Tone = Literal["", "better", "worse", "missing"]


@dataclass(frozen=True)
class Entry:
    """One cell of a table: plain text, its weight, and what it says."""

    text: str
    bold: bool = False
    tone: Tone = ""


@dataclass(frozen=True)
class Heading:
    """Level 2 opens a section of the page, levels 3 and 4 parts of it."""

    text: str
    level: int = 2


@dataclass(frozen=True)
class Paragraph:
    """Plain text; `lead` stands before it in bold."""

    text: str
    lead: str = ""


@dataclass(frozen=True)
class Bullets:
    """A list of short paragraphs."""

    items: tuple[Paragraph, ...]


@dataclass(frozen=True)
class Rows:
    """Rows of a table under a common heading; an empty one has none."""

    title: str
    rows: tuple[tuple[Entry, ...], ...]


@dataclass(frozen=True)
class Table:
    """Groups of rows below column headings; the first `num_left` columns are text, the others numbers."""

    headings: tuple[str, ...]
    groups: tuple[Rows, ...]
    caption: str = ""
    num_left: int = 1

    def __post_init__(self) -> None:
        """Check that every row is complete."""
        if any(len(row) != len(self.headings) for group in self.groups for row in group.rows):
            raise ValueError(f"a row has not {len(self.headings)} entries, one per heading {self.headings}")


@dataclass(frozen=True)
class Picture:
    """A PNG file below the output directory, what it shows in words, and the text below it."""

    path: Path
    description: str
    caption: str = ""


@dataclass(frozen=True)
class Gallery:
    """Small pictures side by side."""

    pictures: tuple[Picture, ...]


@dataclass(frozen=True)
class Player:
    """A recording as a FLAC file, with its label."""

    label: str
    flac: bytes


@dataclass(frozen=True)
class Recordings:
    """Players that belong together, such as one clip through every method."""

    title: str
    players: tuple[Player, ...]


@dataclass(frozen=True)
class Details:
    """Blocks that a reader opens if they want them."""

    summary: str
    blocks: "tuple[Block, ...]"


@dataclass(frozen=True)
class Commentary:
    """Markdown written by hand."""

    text: str


Block = Heading | Paragraph | Bullets | Table | Picture | Gallery | Recordings | Details | Commentary
Blocks = Sequence[Block]


def entries(*texts: str) -> tuple[Entry, ...]:
    """A row of plain entries."""
    return tuple(Entry(text) for text in texts)


def missing(what: str) -> Paragraph:
    """Says that something was not run."""
    return Paragraph(what, "Not run.")
