"""A process that runs cells one after the other: tasks come as JSON lines on standard input, results leave likewise.

A process of its own, so that a crash costs one cell and peak memory is that cell's.
"""

import json
import os
import signal
import sys
import traceback
from pathlib import Path
from typing import Any

from meanflow_audio_codec.errors import InputError
from meanflow_audio_codec.processes.parent_watch import end_with_parent
from meanflow_audio_codec.processes.stop_signals import STOP_SIGNALS, StoppedError, stop_by_exception
from meanflow_audio_codec.study.cells import StudyCell


def main(parent: int) -> None:
    """Run tasks until the input ends, `parent` is gone, or SIGTERM comes: training then stops with a checkpoint."""
    for number in set(STOP_SIGNALS) - {signal.SIGTERM}:
        signal.signal(number, signal.SIG_IGN)  # the parent gets them, too, and ends its workers
    end_with_parent(parent, lambda: None)
    try:
        with stop_by_exception((signal.SIGTERM,)):
            _work()
    except StoppedError as error:
        os._exit(error.exit_code)  # at once: leaving the interpreter in good order takes seconds


def _work() -> None:
    # Whatever prints to standard output must not get between the results.
    results = os.fdopen(os.dup(sys.stdout.fileno()), "w", encoding="utf-8")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
    for line in sys.stdin:
        task = json.loads(line)
        log = Path(task["log"])
        log.parent.mkdir(parents=True, exist_ok=True)
        with log.open("ab") as file:
            os.dup2(file.fileno(), sys.stderr.fileno())
            os.dup2(file.fileno(), sys.stdout.fileno())
            answer = _run(task)
        results.write(json.dumps(answer) + "\n")
        results.flush()
        if answer.get("interrupted"):
            return


def _run(task: dict[str, Any]) -> dict[str, Any]:
    from meanflow_audio_codec.study.results import identity
    from meanflow_audio_codec.study.running.cell_run import InterruptedRunError, provenance, run_cell
    from meanflow_audio_codec.trainers.run_files.run_directory import RunDirectoryError

    cell, seed = StudyCell(**task["cell"]), int(task["seed"])
    data_directory = None if task["data_directory"] is None else Path(task["data_directory"])
    try:
        row, sweep = run_cell(cell, seed, Path(task["directory"]), data_directory)
    except InterruptedRunError:
        return {"interrupted": True}
    except Exception as error:  # a failure is a result: it is recorded with its reason, and the rest goes on
        if isinstance(error, InputError) and not isinstance(error, RunDirectoryError):
            return {"input_error": str(error)}  # all other cells would fail by it, too
        traceback.print_exc()
        reason = f"{type(error).__name__}: {error}".splitlines()[0][:300]
        failed = identity(cell) | provenance(cell.config(seed), seed) | {"status": "failed", "reason": reason}
        return {"row": failed, "sweep": []}
    return {"row": row, "sweep": sweep}


if __name__ == "__main__":
    main(int(sys.argv[1]))
