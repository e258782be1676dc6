"""Training figures as JSON lines and as TensorBoard scalars."""

import json
import math
import os
from collections.abc import Mapping
from pathlib import Path


class MetricsLog:
    """Appends one JSON object per entry; entries after the step that a run resumes from are dropped first."""

    def __init__(self, run_directory: Path, resume_step: int):
        from tensorboardX import SummaryWriter

        self._path = run_directory / "metrics.jsonl"
        self._drop_after(resume_step)
        self._file = self._path.open("a", encoding="utf-8")
        self._board = SummaryWriter(
            str(run_directory / "tensorboard"), purge_step=resume_step + 1 if resume_step else None
        )

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
        temporary = self._path.with_suffix(".tmp")
        temporary.write_text("".join(kept), encoding="utf-8")
        os.replace(temporary, self._path)

    def write(self, step: int, figures: Mapping[str, float], *, prefix: str = "train") -> None:
        """One entry: figures after this many steps; null stands for one that is not finite, which JSON cannot write."""
        entry = {name: value if math.isfinite(value) else None for name, value in figures.items()}
        self._file.write(json.dumps({"step": step, "kind": prefix, **entry}, allow_nan=False) + "\n")
        self._file.flush()
        for name, value in figures.items():
            self._board.add_scalar(f"{prefix}/{name}", value, step)

    def close(self) -> None:
        """Flush and close both logs."""
        self._file.close()
        self._board.close()
