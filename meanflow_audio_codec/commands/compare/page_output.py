"""Pages as output files: written, measured and shown."""

import argparse
import json
from pathlib import Path

from meanflow_audio_codec.commands.shared_arguments import write_bytes
from meanflow_audio_codec.errors import InputError

PAGE_SUFFIXES = (".html",)


def add_open(parser: argparse.ArgumentParser) -> None:
    """--open."""
    parser.add_argument("--open", action="store_true", help="show the page in the browser")


def write_page(path: Path, content: bytes, *, json_wanted: bool, show: bool) -> None:
    """Write a page, say how large it is, and open it if that is wanted.

    Raises:
        InputError: it cannot be written.
    """
    from meanflow_audio_codec.listening.page import size_note

    write_bytes(path, content)
    print(
        json.dumps({"output": str(path), "bytes": len(content)})
        if json_wanted
        else f"{path}: {size_note(len(content))}"
    )
    if show:
        import webbrowser

        if not webbrowser.open(path.resolve().as_uri()):
            raise InputError(f"{path}: is written, but no browser was found; open it yourself")
