"""A progress line with rate and time left."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager


class TrainingProgress:
    """Shows the step, the rate, the time left and the figure that validation goes by."""

    def __init__(self, progress, task):  # rich is imported only where a progress bar is shown
        self._progress = progress
        self._task = task

    def update(self, step: int, figures: Mapping[str, float]) -> None:
        """Move to this step."""
        text = f"{figures['steps_per_second']:.2f} steps/s, objective {figures['objective']:.4f}"
        self._progress.update(self._task, completed=step, figures=text)


@contextmanager
def training_progress(description: str, first_step: int, total: int) -> Iterator[TrainingProgress]:
    """The progress line of a run, on standard error."""
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        Progress,
        TextColumn,
        TimeElapsedColumn,
        TimeRemainingColumn,
    )

    columns = (
        TextColumn("{task.description}"),
        BarColumn(bar_width=20),
        MofNCompleteColumn(),
        TextColumn("{task.fields[figures]}"),
        TimeElapsedColumn(),
        TextColumn("left"),
        TimeRemainingColumn(elapsed_when_finished=False),
    )
    with Progress(*columns, console=Console(stderr=True)) as progress:
        yield TrainingProgress(progress, progress.add_task(description, completed=first_step, total=total, figures=""))
