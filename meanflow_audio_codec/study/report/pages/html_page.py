"""The report as one HTML file: figures and recordings inside it, nothing loaded from elsewhere."""

import base64
import html
from itertools import count

from meanflow_audio_codec.study.report.pages.commentary import markdown_to_html
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
    Player,
    Recordings,
    Table,
)
from meanflow_audio_codec.study.report.pages.page_style import STYLE

PIXELS_PER_PIXEL = 0.72  # of the page per pixel of a figure
WIDE = 60  # characters from which an entry may run over several lines

PAGE = """<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{title}</title>
<link rel="icon" href="data:,">
<style>{style}</style>
</head>
<body>
<h1>{title}</h1>
<main>
{body}
</main>
</body>
</html>
"""


def to_html(title: str, blocks: Blocks) -> str:
    """The whole file; a list of the sections stands before the first of them."""
    numbers = count(1)
    body, sections = [], []
    place = next((i for i, block in enumerate(blocks) if _is_section(block)), len(blocks))
    for block in blocks:
        if isinstance(block, Heading) and _is_section(block):
            name = f"section-{next(numbers)}"
            sections.append(f'<li><a href="#{name}">{html.escape(block.text)}</a></li>')
            body.append(f'<h2 id="{name}">{html.escape(block.text)}</h2>')
        else:
            body.append(_block(block))
    if sections:
        body.insert(place, f"<nav><ol>{''.join(sections)}</ol></nav>")
    return PAGE.format(title=html.escape(title), style=STYLE, body="\n".join(body))


def _is_section(block: Block) -> bool:
    return isinstance(block, Heading) and block.level == 2


def _block(block: Block) -> str:
    match block:
        case Heading():
            return f"<h{block.level}>{html.escape(block.text)}</h{block.level}>"
        case Paragraph():
            return f"<p>{_paragraph(block)}</p>"
        case Bullets():
            return f"<ul>{''.join(f'<li>{_paragraph(item)}</li>' for item in block.items)}</ul>"
        case Table():
            return _table(block)
        case Picture():
            return _picture(block)
        case Gallery():
            return f'<div class="gallery">{"".join(_picture(picture) for picture in block.pictures)}</div>'
        case Recordings():
            players = "".join(_player(player) for player in block.players)
            return f'<div class="clips"><h4>{html.escape(block.title)}</h4>{players}</div>'
        case Details():
            inner = "\n".join(_block(part) for part in block.blocks)
            return f"<details><summary>{html.escape(block.summary)}</summary>\n{inner}\n</details>"
        case Commentary():
            return f'<div class="commentary">{markdown_to_html(block.text)}</div>'


def _paragraph(paragraph: Paragraph) -> str:
    lead = f"<strong>{html.escape(paragraph.lead)}</strong> " if paragraph.lead else ""
    return lead + html.escape(paragraph.text)


def _table(table: Table) -> str:
    def row(cells: tuple[Entry, ...]) -> str:
        return f"<tr>{''.join(_entry(entry, column < table.num_left) for column, entry in enumerate(cells))}</tr>"

    heads = "".join(
        f'<th scope="col"{_class("left" if column < table.num_left else "")}>{html.escape(heading)}</th>'
        for column, heading in enumerate(table.headings)
    )
    bodies = []
    for group in table.groups:
        title = f'<tr class="group"><th colspan="{len(table.headings)}">{html.escape(group.title)}</th></tr>'
        bodies.append(f"<tbody>{title if group.title else ''}{''.join(row(cells) for cells in group.rows)}</tbody>")
    caption = f'<p class="caption">{html.escape(table.caption)}</p>' if table.caption else ""
    return f'<div class="scroll"><table><thead><tr>{heads}</tr></thead>{"".join(bodies)}</table></div>{caption}'


def _entry(entry: Entry, left: bool) -> str:
    names = [name for name, chosen in (("left", left), ("wide", len(entry.text) > WIDE), (entry.tone, True)) if chosen]
    text = html.escape(entry.text)
    return f"<td{_class(*names)}>{f'<b>{text}</b>' if entry.bold else text}</td>"


def _class(*names: str) -> str:
    text = " ".join(name for name in names if name)
    return f' class="{text}"' if text else ""


def _picture(picture: Picture) -> str:
    png = picture.path.read_bytes()
    data = base64.b64encode(png).decode("ascii")
    caption = f"<figcaption>{html.escape(picture.caption)}</figcaption>" if picture.caption else ""
    description = html.escape(picture.description)
    # The width stands in the header of the file; at one scale, the text of all figures is equally large.
    width = round(int.from_bytes(png[16:20], "big") * PIXELS_PER_PIXEL)
    return f'<figure><img alt="{description}" width="{width}" src="data:image/png;base64,{data}">{caption}</figure>'


def _player(player: Player) -> str:
    data = base64.b64encode(player.flac).decode("ascii")
    label = html.escape(player.label)
    return f'<label>{label}<audio controls preload="none" src="data:audio/flac;base64,{data}"></audio></label>'
