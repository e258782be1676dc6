"""How far a download or the unpacking of an archive is."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager


@contextmanager
def byte_progress(description: str, done: int, total: int) -> Iterator[Callable[[int], None]]:
    """A bar with rate and remaining time on standard error, if that is a terminal.

    What it gives is to be called with the number of bytes that are done by now.
    """
    from rich.console import Console
    from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn, TransferSpeedColumn

    console = Console(stderr=True)
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        DownloadColumn(),
        TransferSpeedColumn(),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=console, disable=not console.is_terminal, transient=True) as progress:
        bar = progress.add_task(description, completed=done, total=total)

        def advance_to(position: int) -> None:
            progress.update(bar, completed=position)

        yield advance_to
