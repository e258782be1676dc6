"""Lines on standard error."""

import contextlib
import re
import sys

# What would begin a new line or steer a terminal, and halves of letters that stand for bytes of no encoding.
_UNSEEN = re.compile("[\\x00-\\x1f\\x7f-\\x9f\\u2028\\u2029\\ud800-\\udfff]")


def one_line(text: str) -> str:
    """A text from outside, such as a file's name, with what cannot be seen escaped."""
    return _UNSEEN.sub(lambda match: repr(match.group())[1:-1], text)


def tell(text: str) -> None:
    """A line on standard error; if that is closed or full, nobody is there to be told."""
    if sys.stderr is not None:
        with contextlib.suppress(OSError):
            sys.stderr.write(f"{one_line(text)}\n")
            sys.stderr.flush()
