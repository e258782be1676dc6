"""Hooks of the documentation's site (mkdocs.yml): a page of the programming interface, and links to code."""

import os
import re
from pathlib import Path
from typing import Any

REFERENCE = "api.md"
# What a program that uses the codec imports.
OBJECTS = (
    "codec.codec.Codec",
    "codec.tokens.Tokens",
    "codec.streaming.encoder.StreamingEncoder",
    "codec.streaming.decoder.StreamingDecoder",
    "codec.packets.StreamPacket",
    "codec.files.packet_streams",
    "codec.files.whole_files",
    "codec.files.excerpt",
    "codec.container",
    "errors.InputError",
    "inference.pretrained",
    "inference.generation",
)
LINK = re.compile(r"(?<!!)\[([^\]\[]*)\]\(([^)\s:#]+)(#[^)\s]*)?\)")


def reference() -> str:
    """The page that mkdocstrings fills with the docstrings of the public objects."""
    parts = "".join(f"\n::: meanflow_audio_codec.{name}\n" for name in OBJECTS)
    return f"# Python reference\n\nHow the parts are used: [Python](user_guide/python.md).\n{parts}"


def with_links_to_code(markdown: str, page: str, repository_url: str) -> str:
    """The text of `page`, a path below `documentation/`, with links that leave it made links to the repository.

    Without the repository's address the file is named behind the text of the link.
    """

    def replaced(match: re.Match[str]) -> str:
        text, target, anchor = match[1], match[2], match[3] or ""
        path = os.path.normpath(Path("documentation", page).parent / target)
        if Path(path).parts[0] == "documentation":
            return match[0]
        if repository_url:
            return f"[{text}]({repository_url.rstrip('/')}/blob/main/{path}{anchor})"
        return f"{text} (`{path}`)"

    return LINK.sub(replaced, markdown)


def on_config(config: Any) -> Any:
    """Link every page to its source where the repository's address is known."""
    if config.repo_url:
        config.edit_uri = "edit/main/documentation/"
    return config


def on_files(files: Any, *, config: Any) -> Any:
    """Add the page of the programming interface."""
    from mkdocs.structure.files import File  # pyright: ignore[reportMissingImports]

    files.append(File.generated(config, REFERENCE, content=reference()))
    return files


def on_page_markdown(markdown: str, *, page: Any, config: Any, files: Any) -> str:
    """Turn links that leave the pages into links to the repository."""
    del files
    return with_links_to_code(markdown, page.file.src_uri, config.repo_url or "")
