"""How far the work on one long recording is."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

# Shorter recordings are done before a bar could be read.
SHORT_SECONDS = 60.0


@contextmanager
def recording_progress(seconds: float, *, shown: bool) -> Iterator[Callable[[float], None]]:
    """A bar with rate and remaining time on standard error, if that is a terminal and the recording is long.

    What it gives is to be called with the seconds of audio that are done, each time some are.
    """
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

    console = Console(stderr=True)
    disabled = not shown or seconds < SHORT_SECONDS or not console.is_terminal
    columns = (BarColumn(), TextColumn("{task.fields[rate]}"), TimeRemainingColumn(elapsed_when_finished=True))
    start, done = time.perf_counter(), 0.0
    with Progress(*columns, console=console, disable=disabled, transient=True) as progress:
        bar = progress.add_task("", total=seconds, rate="")

        def advance(more: float) -> None:
            nonlocal done
            done += more
            rate = done / max(time.perf_counter() - start, 1e-9)
            progress.update(bar, completed=done, rate=f"{rate:.1f} x real time")

        yield advance
