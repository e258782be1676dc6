"""Many files: on several processes if wanted, with progress, and without stopping at those that fail."""

import argparse
import json
import sys
import time
from collections.abc import Callable, Generator, Iterator
from contextlib import closing, contextmanager
from functools import partial
from typing import Any, Protocol, runtime_checkable

from meanflow_audio_codec.commands.batches.file_tasks import FileTask, Plan
from meanflow_audio_codec.datasets.complete_file import remove_temporary_files
from meanflow_audio_codec.errors import InputError
from meanflow_audio_codec.processes.process_pool import ProcessEndedError, in_processes


@runtime_checkable
class FileWorker(Protocol):
    """Makes one file of another; made once per process from the command's arguments."""

    def prepare(self) -> None:
        """Load what all files need."""
        ...

    def __call__(self, task: FileTask) -> dict[str, Any]:
        """Do one; the result has at least `seconds` of audio."""
        ...


WorkerFactory = Callable[[argparse.Namespace], FileWorker]
Outcome = tuple[dict[str, Any] | None, str]


def add_jobs(parser: argparse.ArgumentParser) -> None:
    """--jobs."""
    parser.add_argument("--jobs", type=int, default=1, help="processes that work on several files (default 1)")


def check_jobs(jobs: int) -> None:
    """Refuse a number of processes that is none.

    Raises:
        InputError: it is below 1.
    """
    if jobs < 1:
        raise InputError(f"--jobs must be at least 1, not {jobs}")


def run_batch(plan: Plan, factory: WorkerFactory, arguments: argparse.Namespace, done_word: str) -> int:
    """Work through a plan, print what came of it, and return the exit code: 1 if a file failed.

    Raises:
        InputError: what all files need, such as the model, cannot be loaded.
    """
    start = time.perf_counter()
    for path, reason in plan.left_out:
        print(f"{path}: left out, {reason}", file=sys.stderr)
    worker = factory(arguments)
    if plan.tasks:
        worker.prepare()
    done: list[dict[str, Any]] = []
    failed = [(str(path), message) for path, message in plan.failed]
    several = arguments.jobs > 1
    with (
        closing(_in_processes(plan.tasks, factory, arguments) if several else _here(plan.tasks, worker)) as outcomes,
        _progress(plan.tasks, done_word) as advance,
    ):
        for task, (figures, message) in outcomes:
            if figures is None:
                failed.append((str(task.input), message))
            else:
                done.append(figures)
            advance(task, 0.0 if figures is None else figures["seconds"])
    elapsed = time.perf_counter() - start
    failed.sort()
    for path, message in failed:
        print(f"failed: {message if path in message else f'{path}: {message}'}", file=sys.stderr)
    seconds = sum(figures["seconds"] for figures in done)
    if arguments.json:
        report = {
            "done": sorted(done, key=lambda figures: figures["output"]),
            "skipped": [str(path) for path in plan.skipped],
            "failed": [{"input": path, "error": message} for path, message in failed],
            "seconds": seconds,
            "elapsed_seconds": elapsed,
        }
        print(json.dumps(report))
    else:
        skipped = f", {len(plan.skipped)} skipped (their outputs exist; --force writes them anew)"
        print(
            f"{len(done)} {done_word}{skipped if plan.skipped else ''}, {len(failed)} failed; "
            f"{seconds:.1f} s of audio in {elapsed:.1f} s, {seconds / max(elapsed, 1e-9):.1f} x real time"
        )
    return 1 if failed else 0


def _attempt(worker: FileWorker, task: FileTask) -> Outcome:
    try:
        return worker(task), ""
    except InputError as error:
        return None, str(error)
    except Exception as error:  # a fault of the program must not stop the other files either
        return None, f"unexpected {type(error).__name__}: {' '.join(str(error).split())[:200]}"


def _here(tasks: list[FileTask], worker: FileWorker) -> Generator[tuple[FileTask, Outcome], None, None]:
    for task in tasks:
        yield task, _attempt(worker, task)


def _worker_of_process(factory: WorkerFactory, arguments: argparse.Namespace) -> Callable[[FileTask], Outcome]:
    return partial(_attempt, factory(arguments))


def _remove_temporary_file(task: FileTask, process: int) -> None:
    remove_temporary_files(task.output, process)


def _in_processes(
    tasks: list[FileTask], factory: WorkerFactory, arguments: argparse.Namespace
) -> Generator[tuple[FileTask, Outcome], None, None]:
    start = partial(_worker_of_process, factory, arguments)
    with closing(in_processes(start, tasks, arguments.jobs, tidy_up=_remove_temporary_file)) as answers:
        for _, task, answer in answers:
            if isinstance(answer, ProcessEndedError):
                yield task, (None, "its process was killed, perhaps for memory; try fewer --jobs")
            else:
                yield task, answer


@contextmanager
def _progress(tasks: list[FileTask], done_word: str) -> Iterator[Callable[[FileTask, float], None]]:
    """A line with rate and remaining time on standard error, if that is a terminal."""
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

    sizes = {task: task.input.stat().st_size if task.input.is_file() else 0 for task in tasks}
    console = Console(stderr=True)
    columns = (
        TextColumn("{task.fields[files]} files " + done_word),
        BarColumn(),
        TextColumn("{task.fields[rate]}"),
        TimeRemainingColumn(elapsed_when_finished=True),
    )
    start = time.perf_counter()
    files, seconds = 0, 0.0
    with Progress(*columns, console=console, disable=not console.is_terminal, transient=True) as progress:
        # By bytes, not files: long recordings take longer.
        bar = progress.add_task("", total=sum(sizes.values()), files=f"0/{len(tasks)}", rate="")

        def advance(task: FileTask, audio_seconds: float) -> None:
            nonlocal files, seconds
            files += 1
            seconds += audio_seconds
            rate = f"{seconds / (time.perf_counter() - start):.1f} x real time"
            progress.update(bar, advance=sizes[task], files=f"{files}/{len(tasks)}", rate=rate)

        yield advance
