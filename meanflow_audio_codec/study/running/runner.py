"""Runs cells on several processes, skips what is finished, and records what fails."""

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from queue import Empty, Queue
from typing import Any

from meanflow_audio_codec.errors import InputError
from meanflow_audio_codec.study.cells import StudyCell
from meanflow_audio_codec.study.config_hash import config_hash
from meanflow_audio_codec.study.results import RESULT_COLUMNS, SWEEP_COLUMNS, Shard, append_rows, identity, read_rows
from meanflow_audio_codec.study.running.cell_run import run_directory

# For the end of a step and for a checkpoint, when the study is told to stop; a killed run goes on from an older one.
STOP_SECONDS = 60.0
UNOPTIMISED = (
    "--xla_backend_optimization_level=0 --xla_llvm_disable_expensive_passes=true --xla_cpu_use_fusion_emitters=false"
)


@dataclass(frozen=True)
class Run:
    """One cell with one seed."""

    cell: StudyCell
    seed: int

    @property
    def name(self) -> str:
        """For messages and logs."""
        return f"{self.cell.name} seed {self.seed}"


def runs_of(cells: Iterable[StudyCell], num_seeds: int | None, shard: Shard) -> list[Run]:
    """The runs of a shard: the first seed of every cell before the second of any."""
    cells = list(cells)
    seeds = {cell: cell.num_seeds if num_seeds is None else num_seeds for cell in cells}
    most = max(seeds.values(), default=0)
    runs = [Run(cell, seed) for seed in range(most) for cell in cells if seed < seeds[cell]]
    return runs[shard.index - 1 :: shard.count]


def finished_runs(directory: Path) -> set[tuple[str, int, str]]:
    """Name, seed and configuration hash of the runs that need not be repeated: diverged ones are results too."""
    rows = read_rows(directory, "results")
    return {
        (row["name"], int(row["seed"]), row["config_hash"]) for row in rows if row["status"] in ("finished", "diverged")
    }


def run_study(
    runs: list[Run],
    directory: Path,
    data_directory: Path | None,
    *,
    jobs: int,
    shard: Shard,
    report: Callable[[str], None],
) -> bool:
    """Run what is not finished yet; `report` is told each outcome. Returns whether no run failed.

    An exception, such as a signal may raise, stops every process at its next step; the same command goes on from there.
    Processes also stop if this one is killed.

    Raises:
        InputError: the data cannot be found, or the directory holds something else.
    """
    try:
        directory.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(f"{directory}: cannot be made ({error.strerror}); choose another --output-dir") from error
    finished = finished_runs(directory)
    waiting: Queue[Run] = Queue()
    for run in runs:
        if (run.cell.name, run.seed, config_hash(run.cell.config(run.seed))) not in finished:
            waiting.put(run)
    total, done = waiting.qsize(), 0
    report(f"{total} of {len(runs)} runs to do, {len(runs) - total} finished before")
    outcomes: Queue[tuple[Run, dict[str, Any]]] = Queue()
    stop = threading.Event()
    workers = [
        _Worker(number, jobs, directory, data_directory, waiting, outcomes, stop) for number in range(min(jobs, total))
    ]
    start, success = time.perf_counter(), True
    for worker in workers:
        worker.start()
    try:
        while any(worker.is_alive() for worker in workers) or not outcomes.empty():
            try:
                run, answer = outcomes.get(timeout=0.5)
            except Empty:
                continue
            if "input_error" in answer:
                raise InputError(answer["input_error"])
            row = answer["row"]
            append_rows(directory / f"results{shard.suffix}.csv", RESULT_COLUMNS, [row])
            append_rows(directory / f"sweep{shard.suffix}.csv", SWEEP_COLUMNS, answer["sweep"])
            done += 1
            success = success and row["status"] != "failed"
            left = (time.perf_counter() - start) / done * (total - done)
            report(f"[{done}/{total}] {run.name}: {_outcome(row)}; about {_duration(left)} left")
    finally:
        stop.set()
        for worker in workers:
            worker.interrupt()
        deadline = time.monotonic() + STOP_SECONDS
        for worker in workers:
            worker.join(max(0.0, deadline - time.monotonic()))
        for worker in workers:
            worker.kill()
            worker.join()
    return success


class _Worker(threading.Thread):
    """Feeds one process at a time; a process that dies is a failed run, and a new one takes its place."""

    def __init__(
        self,
        number: int,
        count: int,
        directory: Path,
        data_directory: Path | None,
        waiting: "Queue[Run]",
        outcomes: "Queue[tuple[Run, dict[str, Any]]]",
        stop: threading.Event,
    ):
        super().__init__(daemon=True)
        self._number, self._count = number, count
        self._directory, self._data_directory = directory, data_directory
        self._waiting, self._outcomes, self._stop_request = waiting, outcomes, stop
        self._process: subprocess.Popen[str] | None = None
        # No process is started any more once the others were told to stop.
        self._starting = threading.Lock()

    def run(self) -> None:
        """Work until nothing is left."""
        while not self._stop_request.is_set():
            try:
                run = self._waiting.get_nowait()
            except Empty:
                break
            answer = self._perform(run)
            if answer is None:  # interrupted
                break
            self._outcomes.put((run, answer))
            if run.cell.preset != "smoke":  # so that peak memory is that of one run
                self._end_process()
        self._end_process()

    def interrupt(self) -> None:
        """Ask the process to stop at its next step; the request to stop must have been made."""
        with self._starting:
            if self._process is not None and self._process.poll() is None:
                self._process.send_signal(signal.SIGTERM)

    def kill(self) -> None:
        """End the process if it still runs."""
        if self._process is not None and self._process.poll() is None:
            self._process.kill()

    def _perform(self, run: Run) -> dict[str, Any] | None:
        with self._starting:
            if self._stop_request.is_set():
                return None
            process = self._process = self._process or self._new_process(smoke=run.cell.preset == "smoke")
        log = self._directory / "logs" / f"{run_directory(self._directory, run.cell, run.seed).name}.log"
        task = {
            "cell": run.cell.model_dump(),
            "seed": run.seed,
            "directory": str(self._directory),
            "data_directory": None if self._data_directory is None else str(self._data_directory),
            "log": str(log),
        }
        line = ""
        try:
            assert process.stdin is not None
            assert process.stdout is not None
            process.stdin.write(json.dumps(task) + "\n")
            process.stdin.flush()
            line = process.stdout.readline()
        except BrokenPipeError:
            pass
        if line.endswith("\n"):
            answer = json.loads(line)
            return None if answer.get("interrupted") else answer
        code = process.wait()
        self._process = None
        if self._stop_request.is_set():
            return None
        row = identity(run.cell) | {
            "seed": run.seed,
            "config_hash": config_hash(run.cell.config(run.seed)),
            "status": "failed",
            "reason": f"the process ended with code {code}; see logs/{log.name}",
        }
        return {"row": row, "sweep": []}

    def _new_process(self, *, smoke: bool) -> "subprocess.Popen[str]":
        environment = dict(os.environ)
        # Runs of the same cell with other seeds compile the same programs.
        environment.setdefault("JAX_COMPILATION_CACHE_DIR", str(self._directory.resolve() / ".compilation-cache"))
        environment.setdefault("JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS", "0.5")
        if smoke:  # the programs run for a moment only: most of the time would go into optimising them
            flags = environment.get("XLA_FLAGS", "")
            environment["XLA_FLAGS"] = f"{flags} {UNOPTIMISED}".strip()
        if self._count > 1:
            environment.setdefault("XLA_PYTHON_CLIENT_PREALLOCATE", "false")  # several processes share an accelerator
        process = subprocess.Popen(
            [sys.executable, "-m", "meanflow_audio_codec.study.running.worker", str(os.getpid())],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env=environment,
            start_new_session=True,  # an interrupt at the terminal reaches it through this process, once
        )
        if hasattr(os, "sched_setaffinity"):
            cores = sorted(os.sched_getaffinity(0))
            share = cores[self._number % len(cores) :: self._count] or cores
            os.sched_setaffinity(process.pid, share)
        return process

    def _end_process(self) -> None:
        if self._process is not None and self._process.stdin is not None:
            self._process.stdin.close()
            self._process.wait()
        self._process = None


def _outcome(row: dict[str, Any]) -> str:
    if row["status"] != "finished":
        return f"{row['status']} ({row['reason']})"
    shown = ("mse", "mel", "pesq", "accuracy", "frechet_distance")
    figures = ", ".join(f"{name} {row[name]:.4g}" for name in shown if row.get(name) not in (None, ""))
    return f"{_duration(row['training_seconds'] + row['evaluation_seconds'])}; {figures}"


def _duration(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes:02d} min" if hours else f"{minutes} min {rest:02d} s"
