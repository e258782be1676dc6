"""Hand-written Markdown as HTML: headings, paragraphs, lists, tables, code, emphasis and links; all else is text."""

import html
import re

FENCED = re.compile(r"^```[^\n]*\n(.*?)^```\s*$", flags=re.DOTALL | re.MULTILINE)
LINK = re.compile(r"\[([^\]]*)\]\(((?:https?:|\#|mailto:)[^)\s]*|[\w./-]+)\)")
CODE = re.compile(r"`([^`]+)`")
STRONG = re.compile(r"\*\*(.+?)\*\*")
EMPHASIS = re.compile(r"(?<!\w)[*_](?!\s)(.+?)(?<!\s)[*_](?!\w)")
BULLET = re.compile(r"\s*(?:[-*+]|1[.)])\s+")
ITEM = re.compile(r"\s*(?:[-*+]|\d+[.)])\s+")
TABLE_RULE = re.compile(r"\|?\s*:?-{3,}:?\s*(\|\s*:?-{3,}:?\s*)*\|?\s*")


def markdown_to_html(text: str) -> str:
    """The HTML of a Markdown text; HTML within it is shown, not obeyed."""
    parts = []
    for index, part in enumerate(FENCED.split(text)):
        if index % 2:
            parts.append(f"<pre>{html.escape(part.rstrip())}</pre>")
        else:
            parts += [_block(block) for block in re.split(r"\n\s*\n", part.strip()) if block]
    return "\n".join(parts)


def _block(block: str) -> str:
    lines = block.splitlines()
    if match := re.match(r"(#{1,4})\s+(.*)", lines[0]):
        # The page has its own title; a section of a commentary ranks below the page's sections.
        level = max(3, min(4, len(match.group(1)) + 1))
        heading = f"<h{level}>{_inline(match.group(2))}</h{level}>"
        rest = "\n".join(lines[1:])
        return f"{heading}\n{_block(rest)}" if rest else heading
    if len(lines) > 1 and TABLE_RULE.fullmatch(lines[1]):
        return _table(lines)
    if ITEM.match(lines[0]):
        return _list(lines)
    # A list may follow a paragraph without an empty line.
    first = next((index for index, line in enumerate(lines) if BULLET.match(line)), len(lines))
    if first < len(lines):
        return f"{_block(chr(10).join(lines[:first]))}\n{_list(lines[first:])}"
    return f"<p>{_inline(' '.join(line.strip() for line in lines))}</p>"


def _list(lines: list[str]) -> str:
    items: list[str] = []
    for line in lines:
        if ITEM.match(line):
            items.append(ITEM.sub("", line, count=1))
        else:
            items[-1] += " " + line.strip()
    kind = "ol" if lines[0].strip()[0].isdigit() else "ul"
    return f"<{kind}>{''.join(f'<li>{_inline(item)}</li>' for item in items)}</{kind}>"


def _table(lines: list[str]) -> str:
    rows = [
        [cell.strip() for cell in re.split(r"(?<!\\)\|", line.strip().strip("|"))] for line in [lines[0], *lines[2:]]
    ]
    head = "".join(f'<th class="left">{_inline(cell)}</th>' for cell in rows[0])
    body = "".join(f"<tr>{''.join(map(_cell, row))}</tr>" for row in rows[1:])
    return f'<div class="scroll"><table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table></div>'


def _cell(text: str) -> str:
    return f'<td class="left">{_inline(text)}</td>'


def _inline(text: str) -> str:
    """Code first: nothing within it is markup."""
    parts = CODE.split(text)
    return "".join(
        f"<code>{html.escape(part)}</code>" if index % 2 else _emphasis(part) for index, part in enumerate(parts)
    )


def _emphasis(text: str) -> str:
    text = html.escape(text)
    text = LINK.sub(r'<a href="\2">\1</a>', text)
    return EMPHASIS.sub(r"<em>\1</em>", STRONG.sub(r"<strong>\1</strong>", text))
