"""Scores written one by one, so that an evaluation that is stopped goes on where it was."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from meanflow_audio_codec.datasets.data_directory import CACHE_VARIABLE, cache_directory
from meanflow_audio_codec.errors import InputError
from meanflow_audio_codec.evaluators.clip_scores import ClipScores

ELSEWHERE = f"name a file by --results, or another cache folder by {CACHE_VARIABLE}"


class ResultFile:
    """JSON lines: first what all scores depend on, then the scores of one clip by one system each.

    Opening a file that is there takes over what it holds; a line cut short by the end of a program is dropped.

    Raises:
        InputError: it cannot be read or written, or it holds results of something else.
    """

    def __init__(self, path: Path, settings: Mapping[str, Any]):
        self.path = path
        self._scores: dict[tuple[str, str], ClipScores] = {}
        heading = json.dumps({"settings": dict(settings)}, sort_keys=True)
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            content = path.read_bytes() if path.exists() else b""
            whole = content[: content.rfind(b"\n") + 1]
            first, *lines = whole.decode().splitlines() or [""]
            if first != heading and not (f"{heading}\n".encode().startswith(content) and not whole):
                raise InputError(f"{path}: holds no results, or those of other settings; name another file")
            for line in lines:
                row = json.loads(line)
                scores = ClipScores(**row["scores"] | {"missing": tuple(row["scores"]["missing"])})
                self._scores[row["system"], scores.name] = scores
            self._file = path.open("ab")
            self._file.truncate(len(whole))
            if not whole:
                self._write(heading)
        except OSError as error:
            raise InputError(f"{path}: results cannot be kept there ({error.strerror}); {ELSEWHERE}") from error
        except (ValueError, KeyError, TypeError) as error:
            if isinstance(error, InputError):
                raise
            raise InputError(f"{path}: is damaged ({error}); delete it, or name another file") from error

    def __len__(self) -> int:
        """How many scores it holds."""
        return len(self._scores)

    def scores(self, system: str, clip: str) -> ClipScores | None:
        """Those of a clip by a system, if they were kept."""
        return self._scores.get((system, clip))

    def add(self, system: str, scores: ClipScores) -> None:
        """Keep these.

        Raises:
            InputError: they cannot be written.
        """
        self._scores[system, scores.name] = scores
        try:
            self._write(json.dumps({"system": system, "scores": asdict(scores)}))
        except OSError as error:
            raise InputError(f"{self.path}: results cannot be kept there ({error.strerror}); {ELSEWHERE}") from error

    def close(self) -> None:
        """Close the file."""
        self._file.close()

    def _write(self, line: str) -> None:
        self._file.write(f"{line}\n".encode())
        self._file.flush()


def cached_results(settings: Mapping[str, Any]) -> Path:
    """The file of the cache for the results of these settings."""
    digest = hashlib.sha256(json.dumps(dict(settings), sort_keys=True).encode()).hexdigest()
    return cache_directory() / "evaluations" / f"{digest[:32]}.jsonl"
