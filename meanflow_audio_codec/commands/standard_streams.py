"""Standard input, output and error: `-` in a pipe, and streams that are closed, full or cannot hold every letter."""

import contextlib
import io
import json
import os
import stat
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

from meanflow_audio_codec.datasets.complete_file import complete_file
from meanflow_audio_codec.datasets.remarks import tell
from meanflow_audio_codec.datasets.spooled_file import PipeReader, SpooledFile, seekable
from meanflow_audio_codec.errors import InputError

STANDARD_STREAM = Path("-")
_PIECE = 1 << 16


class ClosedStream(io.TextIOBase):
    """In place of a standard output or error that was closed before the program began: takes all and keeps nothing."""

    def write(self, text: str, /) -> int:
        """Nothing."""
        return len(text)


def prepare_standard_streams() -> None:
    """Make the standard streams what all commands may rely on.

    Letters that an encoding lacks are escaped. Where a stream is closed, its number is taken, so that no file of the
    program gets it and what libraries print to standard error; texts for it are dropped.
    """
    with contextlib.suppress(OSError):
        number = os.open(os.devnull, os.O_RDWR)
        while number <= 2:
            os.set_inheritable(number, True)
            number = os.dup(number)
        os.close(number)
    for name in ("stdout", "stderr"):
        stream = getattr(sys, name)
        if stream is None:
            setattr(sys, name, ClosedStream())
        elif hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="backslashreplace")


def settle_standard_streams() -> None:
    """Write what is still buffered; what cannot be written must not fail once more when the program ends."""
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except (OSError, ValueError):
            with contextlib.suppress(OSError, ValueError):
                nowhere = os.open(os.devnull, os.O_WRONLY)
                os.dup2(nowhere, stream.fileno())
                os.close(nowhere)


def tell_error(program: str, message: str) -> None:
    """Why a command came to nothing, on one line of standard error."""
    tell(f"{program}: {message}")


def is_stream(path: Path) -> bool:
    """Whether it is a named pipe, a process substitution or a device, which is written to and not replaced."""
    try:
        mode = path.stat().st_mode
    except OSError:
        return False
    return stat.S_ISFIFO(mode) or stat.S_ISCHR(mode) or stat.S_ISSOCK(mode)


def carries_messages(output: Path) -> bool:
    """Whether standard output is free for messages: it is not where it, or another stream, carries a file."""
    return output != STANDARD_STREAM and not is_stream(output)


def tell_figures(output: Path, figures: dict[str, Any] | str) -> None:
    """What was made of one file, as a text or as JSON: on standard error where standard output carries the file."""
    text = figures if isinstance(figures, str) else json.dumps(figures)
    if carries_messages(output):
        print(text)
    else:
        tell(text)


@contextmanager
def opened_input(path: Path) -> Iterator[IO[bytes]]:
    """The input file at its start, or standard input; seekable, whatever kind of file it is.

    Raises:
        InputError: it cannot be read, or standard input is a terminal or closed.
    """
    with contextlib.ExitStack() as stack:
        if path == STANDARD_STREAM:
            if sys.stdin is None or sys.stdin.closed:
                raise InputError("-: standard input is closed; name a file, or pipe or redirect one into it")
            if sys.stdin.isatty():
                raise InputError("-: standard input is a terminal; pipe or redirect a file into it")
            file: Any = PipeReader(sys.stdin.buffer, "standard input")
            stack.callback(file.close)
        else:
            try:
                opened = stack.enter_context(path.open("rb"))
            except FileNotFoundError:
                raise InputError(f"{path}: no such file") from None
            except OSError as error:
                raise InputError(f"{path}: cannot be read ({error.strerror})") from None
            file = stack.enter_context(seekable(opened, str(path)))
        yield file


def check_standard_output() -> None:
    """Refuse to write binary data to a terminal, or to nowhere.

    Raises:
        InputError: standard output is a terminal or closed.
    """
    if isinstance(sys.stdout, ClosedStream):
        raise InputError("-: standard output is closed; redirect it to a file or into another program, or name a file")
    if sys.stdout.isatty():
        raise InputError("-: standard output is a terminal; redirect it to a file or into another program")


@contextmanager
def opened_output(path: Path) -> Iterator[IO[bytes]]:
    """A seekable file that takes its name, or goes to a stream, once the block ends without an error.

    Raises:
        BrokenPipeError: who read the stream went away.
        InputError: it cannot be written.
    """
    if path == STANDARD_STREAM:
        with _spool() as spool:
            yield spool
            with _writing_errors("standard output"):
                _copy(spool, sys.stdout.buffer)
    elif is_stream(path):
        with _spool() as spool:
            yield spool
            with _writing_errors(str(path)), path.open("wb") as stream:
                _copy(spool, stream)
    else:
        with _writing_errors(str(path)), complete_file(path) as file:
            yield file


@contextmanager
def _spool() -> Iterator[Any]:
    spool = SpooledFile()
    try:
        yield spool
    finally:
        spool.close()


@contextmanager
def _writing_errors(name: str) -> Iterator[None]:
    try:
        yield
    except BrokenPipeError:
        raise
    except OSError as error:
        raise InputError(f"{name}: cannot be written ({error.strerror or error})") from error


def _copy(source: Any, target: Any) -> None:
    """All of a file into a stream, which may take less at once than it is given."""
    source.seek(0)
    while piece := source.read(_PIECE):
        left = memoryview(piece)
        while left:
            left = left[target.write(left) or 0 :]
    target.flush()
