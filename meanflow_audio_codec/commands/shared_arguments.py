"""Arguments that several commands take, with one meaning everywhere."""

import argparse
from collections.abc import Iterable
from pathlib import Path

from meanflow_audio_codec.commands.standard_streams import is_stream, opened_output
from meanflow_audio_codec.datasets.complete_file import link_target
from meanflow_audio_codec.errors import InputError


def add_model(parser: argparse.ArgumentParser, default: str = "speech-16k") -> None:
    """--model."""
    parser.add_argument("--model", default=default, help=f"built-in model or model folder (default {default})")


def add_model_of_file(parser: argparse.ArgumentParser) -> None:
    """--model, where files say themselves which one they need."""
    parser.add_argument(
        "--model", help="built-in model or model folder (default: the built-in model that the file names)"
    )


def add_bitrate(parser: argparse.ArgumentParser) -> None:
    """--bitrate."""
    parser.add_argument(
        "--bitrate",
        type=float,
        metavar="KBPS",
        help="kbit/s of payload, all channels together (default: the model's; some models have one rate only)",
    )


def add_decoding(parser: argparse.ArgumentParser) -> None:
    """--num-steps, --temperature, --seed."""
    parser.add_argument("--num-steps", type=int, help="network evaluations of the decoder (default: the model's, 1)")
    parser.add_argument(
        "--temperature", type=float, help="0: closest waveform, 1: natural texture (default: the model's)"
    )
    parser.add_argument("--seed", type=int, help="of the decoder's noise (default: the file's)")


def add_metrics(parser: argparse.ArgumentParser) -> None:
    """--metrics."""
    parser.add_argument(
        "--metrics",
        default="si_sdr,lsd,mel,estoi,pesq",
        metavar="LIST",
        help="comma-separated; an unknown one lists all",
    )


def add_force(parser: argparse.ArgumentParser) -> None:
    """--force."""
    parser.add_argument("--force", action="store_true", help="overwrite existing output")


def add_strict(parser: argparse.ArgumentParser) -> None:
    """--strict."""
    parser.add_argument(
        "--strict", action="store_true", help="refuse recordings that end earlier or later than they say"
    )


def add_json(parser: argparse.ArgumentParser) -> None:
    """--json."""
    parser.add_argument("--json", action="store_true", help="print JSON")


def check_output(path: Path, suffixes: Iterable[str], force: bool) -> None:
    """Refuse, before any work, an output that could not be written or would overwrite something.

    Named pipes and devices are written to as they are.

    Raises:
        InputError: an unknown suffix, the file exists and `force` is not set, or its folder does not exist.
    """
    if is_stream(path):
        return
    if path.suffix.lower() not in suffixes:
        hint = "; standard output is -" if path == Path("/dev/stdout") else ""
        raise InputError(f"{path}: unknown suffix {path.suffix!r}; use {', '.join(suffixes)}{hint}")
    try:
        if path.is_dir():
            raise InputError(f"{path}: is a folder; name a file")
        if path.exists() and not force:
            raise InputError(f"{path}: exists; choose another name, or --force to overwrite it")
        folder = link_target(path).parent
        if not folder.is_dir():
            raise InputError(f"{folder}: no such folder; make it first")
    except OSError as error:  # such as a name that is too long
        raise InputError(f"{path}: cannot be written ({error.strerror})") from error


def write_bytes(path: Path, content: bytes) -> None:
    """Write an output file whole or not at all.

    Raises:
        InputError: it cannot be written.
    """
    with opened_output(path) as file:
        file.write(content)
