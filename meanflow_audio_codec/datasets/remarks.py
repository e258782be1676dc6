"""Lines on standard error."""

import contextlib
import sys


def tell(text: str) -> None:
    """A line on standard error; if that is closed or full, nobody is there to be told."""
    if sys.stderr is not None:
        with contextlib.suppress(OSError):
            sys.stderr.write(f"{text}\n")
            sys.stderr.flush()
