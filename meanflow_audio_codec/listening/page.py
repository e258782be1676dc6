"""One HTML file with everything in it: style, scripts, sounds and pictures; nothing is loaded from elsewhere."""

import html
import json
from importlib.resources import files
from typing import Any

# What the browser is told to refuse: every address but those inside the page.
POLICY = (
    "default-src 'none'; img-src data:; media-src data: blob:; style-src 'unsafe-inline'; script-src 'unsafe-inline'"
)
LARGE_BYTES = 50_000_000  # a page above this size takes long to open

PAGE = """<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="{policy}">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="generator" content="meanflow-codec">
<title>{title}</title>
<link rel="icon" href="data:,">
<style>
{style}</style>
</head>
<body>
{body}
<noscript><p>This page plays its sounds by JavaScript: allow it for this file.</p></noscript>
<script type="application/json" id="data">{data}</script>
<script>
{script}</script>
</body>
</html>
"""


def html_page(title: str, body: str, data: Any, *, styles: tuple[str, ...], scripts: tuple[str, ...]) -> str:
    """The page: `body` is HTML, `data` becomes JSON, styles and scripts are names of files in `assets`."""
    # A "<" would end the element of the script early, wherever it stands in a name.
    encoded = json.dumps(data, ensure_ascii=False, allow_nan=False).replace("<", "\\u003c")
    return PAGE.format(
        policy=html.escape(POLICY),
        title=html.escape(title),
        style="".join(_asset(name) for name in styles),
        script="".join(_asset(name) for name in scripts),
        body=body,
        data=encoded,
    )


def size_note(num_bytes: int) -> str:
    """The size of a page for people, and what to do where it is large."""
    size = f"{num_bytes / 1e6:.1f} MB"
    if num_bytes <= LARGE_BYTES:
        return size
    return f"{size}: large for a page; take fewer or shorter recordings, or fewer versions"


def _asset(name: str) -> str:
    return files("meanflow_audio_codec.listening").joinpath("assets", name).read_text(encoding="utf-8")
