"""`-` for standard input and output, so that commands can stand in a pipe."""

import os
import shutil
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from meanflow_audio_codec.datasets.complete_file import complete_file
from meanflow_audio_codec.errors import InputError

STANDARD_STREAM = Path("-")
# What comes from a pipe or goes into one is kept in memory up to this size, and in a temporary file beyond it.
SPOOL_BYTES = 64 << 20
_PIECE = 1 << 16


@contextmanager
def opened_input(path: Path) -> Iterator[IO[bytes]]:
    """The input file at its start, or all of standard input; seekable.

    Raises:
        InputError: it cannot be read, or standard input is a terminal.
    """
    if path != STANDARD_STREAM:
        try:
            file = path.open("rb")
        except FileNotFoundError:
            raise InputError(f"{path}: no such file") from None
        except OSError as error:
            raise InputError(f"{path}: cannot be read ({error.strerror})") from None
        with file:
            yield file
        return
    if sys.stdin.isatty():
        raise InputError("-: standard input is a terminal; pipe or redirect a file into it")
    with tempfile.SpooledTemporaryFile(max_size=SPOOL_BYTES) as spool:
        while piece := sys.stdin.buffer.read(_PIECE):
            spool.write(piece)
        spool.seek(0)
        yield spool


def check_standard_output() -> None:
    """Refuse to write binary data to a terminal.

    Raises:
        InputError: standard output is one.
    """
    if sys.stdout.isatty():
        raise InputError("-: standard output is a terminal; redirect it to a file or into another program")


@contextmanager
def opened_output(path: Path) -> Iterator[IO[bytes]]:
    """A seekable file that takes its name, or goes to standard output, once the block ends without an error.

    Raises:
        InputError: it cannot be written.
    """
    if path == STANDARD_STREAM:
        with tempfile.SpooledTemporaryFile(max_size=SPOOL_BYTES) as spool:
            yield spool
            spool.seek(0)
            shutil.copyfileobj(spool, sys.stdout.buffer, _PIECE)
            sys.stdout.buffer.flush()
        return
    try:
        with complete_file(path) as file:
            yield file
    except OSError as error:
        raise InputError(f"{path}: cannot be written ({error.strerror})") from error


def silence_standard_output() -> None:
    """After its reader went away: what is still buffered must not raise a second error when the program ends."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
