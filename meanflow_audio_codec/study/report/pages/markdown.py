"""The report as Markdown: tables as GitHub reads them, figures as files beside it."""

import re
from pathlib import Path

from meanflow_audio_codec.study.report.pages.document import (
    Block,
    Blocks,
    Bullets,
    Commentary,
    Details,
    Entry,
    Gallery,
    Heading,
    Paragraph,
    Picture,
    Recordings,
    Table,
)

# What would otherwise begin markup, HTML or a new table column.
SPECIAL = re.compile(r"([\\`*_\[\]<>|#~])")


def to_markdown(title: str, blocks: Blocks, folder: Path) -> str:
    """The whole file, to be written into `folder`."""
    return "\n\n".join([f"# {escape(title)}", *(_block(block, folder) for block in blocks)]) + "\n"


def escape(text: str) -> str:
    """Plain text as Markdown on one line."""
    return SPECIAL.sub(r"\\\1", " ".join(text.split()))


def _block(block: Block, folder: Path) -> str:
    match block:
        case Heading():
            return f"{'#' * block.level} {escape(block.text)}"
        case Paragraph():
            return _paragraph(block)
        case Bullets():
            return "\n".join(f"- {_paragraph(item)}" for item in block.items)
        case Table():
            return _table(block)
        case Picture():
            return _picture(block, folder)
        case Gallery():
            return "\n\n".join(_picture(picture, folder) for picture in block.pictures)
        case Recordings():
            labels = ", ".join(escape(player.label) for player in block.players)
            return f"{escape(block.title)}: to be heard in `report.html` ({labels})."
        case Details():
            inner = [_block(part, folder) for part in block.blocks]
            # The blank line makes GitHub read what follows as Markdown.
            return "\n\n".join([f"<details><summary>{escape(block.summary)}</summary>", *inner, "</details>"])
        case Commentary():
            return block.text.strip()


def _paragraph(paragraph: Paragraph) -> str:
    lead = f"**{escape(paragraph.lead)}** " if paragraph.lead else ""
    return lead + escape(paragraph.text)


def _table(table: Table) -> str:
    width = len(table.headings)
    lines = [[escape(heading) for heading in table.headings]]
    lines.append(["---" if column < table.num_left else "---:" for column in range(width)])
    for group in table.groups:
        if group.title:
            lines.append([f"**{escape(group.title)}**"] + [""] * (width - 1))
        lines += [[_entry(entry) for entry in row] for row in group.rows]
    text = "\n".join(f"| {' | '.join(line)} |" for line in lines)
    return f"{text}\n\n{escape(table.caption)}" if table.caption else text


def _entry(entry: Entry) -> str:
    text = f"**{escape(entry.text)}**" if entry.bold and entry.text else escape(entry.text)
    return f"{text} ({entry.tone})" if entry.tone in ("better", "worse") else text


def _picture(picture: Picture, folder: Path) -> str:
    text = f"![{escape(picture.description)}]({picture.path.relative_to(folder).as_posix()})"
    return f"{text}\n\n{escape(picture.caption)}" if picture.caption else text
