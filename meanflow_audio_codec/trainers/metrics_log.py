"""Training figures as JSON lines and as TensorBoard scalars."""

import json
import math
import os
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from meanflow_audio_codec.datasets.complete_file import complete_file


class MetricsLog:
    """Appends one JSON object per entry; entries after the step that a run resumes from are dropped first.

    TensorBoard's file is written here and not by a thread of its library, in which a full disk would go unnoticed.
    """

    def __init__(self, run_directory: Path, resume_step: int):
        from tensorboardX.proto.event_pb2 import SessionLog  # pyright: ignore[reportAttributeAccessIssue]  # generated code
        from tensorboardX.record_writer import RecordWriter

        self._path = run_directory / "metrics.jsonl"
        self._drop_after(resume_step)
        self._file = self._path.open("a", encoding="utf-8")
        boards = run_directory / "tensorboard"
        boards.mkdir(exist_ok=True)
        self._board = RecordWriter(str(boards / f"events.out.tfevents.{time.time_ns() // 10**9}.{resume_step}"))
        self._write_event(file_version="brain.Event:2")
        if resume_step:  # TensorBoard then hides what an earlier file has of these steps
            self._write_event(step=resume_step + 1, file_version="brain.Event:2")
            self._write_event(step=resume_step + 1, session_log=SessionLog(status=SessionLog.START))

    def _drop_after(self, step: int) -> None:
        if not self._path.exists():
            return
        kept = []
        for line in self._path.read_text(encoding="utf-8").splitlines():
            try:
                entry = json.loads(line)
            except json.JSONDecodeError:  # the line being written when the run was killed
                continue
            if entry["step"] <= step:
                kept.append(line + "\n")
        with complete_file(self._path) as file:
            file.write("".join(kept).encode())

    def write(self, step: int, figures: Mapping[str, float], *, prefix: str = "train") -> None:
        """One entry: figures after this many steps; null stands for one that is not finite, which JSON cannot write.

        Raises:
            OSError: it cannot be written.
        """
        from tensorboardX.summary import scalar

        entry = {name: value if math.isfinite(value) else None for name, value in figures.items()}
        self._file.write(json.dumps({"step": step, "kind": prefix, **entry}, allow_nan=False) + "\n")
        self._file.flush()
        for name, value in figures.items():
            self._write_event(step=step, summary=scalar(f"{prefix}/{name}", value))
        self._board.flush()

    def sync(self) -> None:
        """Return when all entries are on the disk: a checkpoint must not be there without those before it."""
        os.fsync(self._file.fileno())

    def _write_event(self, **fields: Any) -> None:
        from tensorboardX.proto.event_pb2 import Event  # pyright: ignore[reportAttributeAccessIssue]  # generated code

        self._board.write(Event(wall_time=time.time(), **fields).SerializeToString())

    def close(self) -> None:
        """Close both logs."""
        try:
            self._file.close()
        finally:
            self._board.close()
