"""One run of the study: train a cell with one seed, score it, describe it in a row."""

import json
import shutil
import subprocess
import time
from pathlib import Path
from typing import Any

import numpy as np

from meanflow_audio_codec.configs.experiment import ExperimentConfig
from meanflow_audio_codec.study.cells import StudyCell
from meanflow_audio_codec.study.config_hash import config_hash
from meanflow_audio_codec.study.results import identity
from meanflow_audio_codec.study.scoring.scores import Scores, main_setting, sweep_settings

Rows = tuple[dict[str, Any], list[dict[str, Any]]]


class InterruptedRunError(RuntimeError):
    """Training was told to stop; the same command goes on from its checkpoint."""


def run_directory(directory: Path, cell: StudyCell, seed: int) -> Path:
    """Where the run trains: named after its configuration too, so that a changed cell starts afresh."""
    return directory / "cells" / f"{cell.name}-seed{seed}-{config_hash(cell.config(seed))[:8]}"


def run_cell(cell: StudyCell, seed: int, directory: Path, data_directory: Path | None) -> Rows:
    """The result row and the sweep rows of a run; its items and samples are written below `directory`.

    Raises:
        InterruptedRunError: the process was told to stop.
        InputError: the data cannot be found.
    """
    from meanflow_audio_codec.trainers.loop import TrainingDivergedError, train

    config = cell.config(seed)
    run = run_directory(directory, cell, seed)
    row = identity(cell) | provenance(config, seed)
    try:
        train(config, run, data_directory, when_stopped=_interrupt)
    except TrainingDivergedError as error:
        return row | _training_figures(run) | {"status": "diverged", "reason": str(error)}, []
    start = time.perf_counter()
    sweep = sweep_settings(cell) if seed == 0 else []
    results = list(_scores(cell, run / "model", data_directory, [main_setting(cell), *sweep]))
    row |= _training_figures(run) | results[0].figures
    row |= {"status": "finished", "reason": "", "evaluation_seconds": time.perf_counter() - start}
    _write_arrays(directory / "items" / f"{cell.name}-seed{seed}.npz", results[0].per_item)
    if seed == 0:
        _write_samples(directory, cell, results[0], data_directory)
    # Kept: configuration, log and weights. Checkpoints are many times larger, and are for resuming.
    for folder in ("checkpoints", "best"):
        shutil.rmtree(run / folder, ignore_errors=True)
    return row, [identity(cell) | {"seed": seed} | scores.figures for scores in results] if seed == 0 else []


def _interrupt(number: int) -> None:
    raise InterruptedRunError


def provenance(config: ExperimentConfig, seed: int) -> dict[str, Any]:
    """What a row says of how it came about."""
    import jax

    from meanflow_audio_codec import __version__
    from meanflow_audio_codec.study.compute import flops_per_step, num_parameters

    return {
        "seed": seed,
        "config_hash": config_hash(config),
        "git_revision": _git_revision(),
        "package_version": __version__,
        "jax_version": jax.__version__,
        "device": jax.devices()[0].device_kind,
        "num_parameters": num_parameters(config),
        "flops_per_step": float(flops_per_step(config)),
        "num_steps": config.training.num_steps,
        "batch_size": config.training.batch_size,
    }


def _scores(cell: StudyCell, model: Path, data_directory: Path | None, settings: list):
    from meanflow_audio_codec.inference.pretrained import load_pretrained
    from meanflow_audio_codec.study.scoring.codec_scores import codec_scores
    from meanflow_audio_codec.study.scoring.generation_scores import generation_scores

    score = codec_scores if cell.is_codec else generation_scores
    return score(cell, load_pretrained(model), data_directory, settings)


def _training_figures(run: Path) -> dict[str, Any]:
    """Times and memory from the run's log, which a resumed run continues."""
    seconds, rates, memory, loss, last_step = 0.0, [], 0.0, None, 0
    log = run / "metrics.jsonl"
    for line in log.read_text(encoding="utf-8").splitlines() if log.exists() else ():
        entry = json.loads(line)
        if entry["kind"] == "train":
            seconds += (entry["step"] - last_step) / entry["steps_per_second"]
            last_step = entry["step"]
            rates.append(entry["steps_per_second"])
            memory = max(memory, entry["peak_memory_mib"])
        else:
            loss = entry["objective"]
    return {
        "training_seconds": seconds if rates else None,
        "steps_per_second": float(np.median(rates)) if rates else None,
        "peak_memory_mib": memory if rates else None,
        "final_training_loss": loss,
    }


def _write_samples(directory: Path, cell: StudyCell, scores: Scores, data_directory: Path | None) -> None:
    from meanflow_audio_codec.study.scoring.test_items import real_examples, test_signals

    if scores.signals is None:
        return
    arrays: dict[str, Any] = {"signals": scores.signals.astype(np.float32)}
    if scores.labels is not None:
        arrays["labels"] = scores.labels
    if scores.sample_rate is not None:
        arrays["sample_rate"] = np.int32(scores.sample_rate)
        arrays["lengths"] = np.full(len(scores.signals), scores.signals.shape[1], np.int32)
    _write_arrays(directory / "samples" / f"{cell.name}-seed0.npz", arrays)
    reference = directory / "samples" / f"reference-{cell.dataset}.npz"
    if not reference.exists():
        items = test_signals(cell, data_directory) if cell.is_codec else real_examples(cell, data_directory)
        originals = arrays | {"signals": items.signals[: len(scores.signals)].astype(np.float32)}
        if items.labels is not None:
            originals["labels"] = items.labels[: len(scores.signals)]
        _write_arrays(reference, originals)


def _write_arrays(path: Path, arrays: dict[str, Any]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.stem}.tmp.npz")
    np.savez_compressed(temporary, **arrays)
    temporary.replace(path)


def _git_revision() -> str:
    """The revision of the source tree, with + if it was changed since; empty outside a repository."""
    folder = Path(__file__).resolve().parents[1]

    def git(*arguments: str) -> str:
        try:
            process = subprocess.run(["git", "-C", str(folder), *arguments], capture_output=True, text=True, check=True)
        except (OSError, subprocess.CalledProcessError):
            return ""
        return process.stdout.strip()

    revision = git("rev-parse", "--short=12", "HEAD")
    changed = revision and git("status", "--porcelain", "--untracked-files=no", str(folder.parent))
    return revision + ("+" if changed else "")
