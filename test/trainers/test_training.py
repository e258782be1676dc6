"""Training: it learns, resumes to the bit, stops and fails cleanly, logs, and exports what it trained."""

import json
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jax
import numpy as np
import pytest
from fixtures.tiny_training import tiny

from meanflow_audio_codec.configs.experiment import OptimizerConfig
from meanflow_audio_codec.configs.methods import AutoencoderConfig
from meanflow_audio_codec.configs.serialization import to_json
from meanflow_audio_codec.errors import InputError
from meanflow_audio_codec.inference.pretrained import load_pretrained
from meanflow_audio_codec.trainers.checkpoint import Checkpoints
from meanflow_audio_codec.trainers.experiment import build_experiment
from meanflow_audio_codec.trainers.loop import TrainingDivergedError, train
from meanflow_audio_codec.trainers.state import TrainState


@dataclass(frozen=True)
class Run:
    directory: Path
    state: TrainState


@pytest.fixture(scope="module")
def reference(tmp_path_factory: pytest.TempPathFactory) -> Run:
    """All 200 steps without interruption."""
    directory = tmp_path_factory.mktemp("reference") / "run"
    return Run(directory, train(tiny(), directory, None))


def entries(directory: Path) -> list[dict[str, Any]]:
    """The log, strictly: NaN and Infinity are not JSON."""

    def refuse(constant: str) -> None:
        raise AssertionError(f"{constant} in {directory}/metrics.jsonl")

    text = (directory / "metrics.jsonl").read_text(encoding="utf-8")
    return [json.loads(line, parse_constant=refuse) for line in text.splitlines()]


def reproducible(directory: Path) -> list[dict[str, Any]]:
    """The log without what depends on the clock and on the machine."""
    measured = {"steps_per_second", "peak_memory_mib"}
    return [{name: value for name, value in entry.items() if name not in measured} for entry in entries(directory)]


def assert_same_state(first: TrainState, second: TrainState) -> None:
    """Weights, averages, moments and counters, bit for bit."""
    pairs = zip(*(jax.tree_util.tree_leaves_with_path(state) for state in (first, second)), strict=True)
    for (path, left), (other_path, right) in pairs:
        assert path == other_path
        np.testing.assert_array_equal(left, right, err_msg=jax.tree_util.keystr(path))
        assert left.dtype == right.dtype


def assert_same_run(resumed: Run, reference: Run) -> None:
    assert_same_state(resumed.state, reference.state)
    assert reproducible(resumed.directory) == reproducible(reference.directory)
    weights = [(run.directory / "model" / "model.safetensors").read_bytes() for run in (resumed, reference)]
    assert weights[0] == weights[1]


# Learning.


def test_the_loss_falls_towards_the_known_minimum(reference: Run) -> None:
    """From E (e - x)^2 = 2 for a network that says zero, towards 1.79 = E Var(e - x | z_t) for white unit tokens."""
    objective = [entry["objective"] for entry in entries(reference.directory) if entry["kind"] == "validation"]
    assert len(objective) == 5
    assert objective[-1] == pytest.approx(1.79, abs=0.15)
    first = entries(reference.directory)[0]
    assert first["step"] == 1
    assert first["velocity_loss"] == pytest.approx(2.0, abs=0.3)
    assert first["objective"] == first["velocity_loss_at_equal_times"]


def test_every_step_moves_every_weight_and_the_average(reference: Run) -> None:
    before = build_experiment(tiny(), None).model
    for state in (reference.state.model, reference.state.ema_model):
        moved = jax.tree.map(lambda old, new: bool((old != new).any()), before, state)
        assert all(jax.tree.leaves(moved))
    assert int(reference.state.step) == 200


# The log and the exported model.


def test_the_log_has_one_entry_per_step_and_validation(reference: Run) -> None:
    log = entries(reference.directory)
    assert [entry["step"] for entry in log if entry["kind"] == "train"] == list(range(1, 201))
    assert [entry["step"] for entry in log if entry["kind"] == "validation"] == [40, 80, 120, 160, 200]
    assert {"loss", "objective", "velocity_loss", "gradient_norm", "steps_per_second", "peak_memory_mib"} <= set(log[0])
    boards = list((reference.directory / "tensorboard").glob("events.out.tfevents.*"))
    assert len(boards) == 1
    assert boards[0].stat().st_size > 10_000


def test_the_run_directory_describes_itself(reference: Run) -> None:
    directory = reference.directory
    assert (directory / "config.json").read_text(encoding="utf-8") == to_json(tiny())
    state = json.loads((directory / "normalizer.json").read_text(encoding="utf-8"))
    np.testing.assert_allclose(state["scale"], 0.5, rtol=0.15)
    assert sorted(int(path.name) for path in (directory / "checkpoints").iterdir() if path.name.isdigit()) == [
        50,
        100,
        150,
        200,
    ]
    assert not list(directory.glob("**/*.tmp"))


def test_the_exported_model_is_the_best_average(reference: Run) -> None:
    """Weights to float16, normaliser and configuration exactly."""
    pretrained = load_pretrained(reference.directory / "model")
    assert pretrained.config == tiny()
    best = Checkpoints(reference.directory / "best", keep=1).restore(reference.state)[0]
    validations = [entry for entry in entries(reference.directory) if entry["kind"] == "validation"]
    assert int(best.step) == min(validations, key=lambda entry: entry["objective"])["step"]
    pairs = zip(jax.tree.leaves(pretrained.model), jax.tree.leaves(best.ema_model), strict=True)
    for stored, averaged in pairs:
        np.testing.assert_array_equal(stored, np.asarray(averaged).astype(np.float16).astype(np.float32))
    experiment = build_experiment(tiny(), None)
    assert pretrained.normalizer == experiment.normalizer
    assert pretrained.entropy == {}


# Interruption.


def test_a_run_cut_off_after_a_checkpoint_resumes_to_the_bit(reference: Run, tmp_path: Path) -> None:
    """As a power failure leaves it: later checkpoints lost, half a line in the log, half a checkpoint on the disk."""
    directory = tmp_path / "run"
    shutil.copytree(reference.directory, directory)
    shutil.rmtree(directory / "model")
    for step in (150, 200):
        shutil.rmtree(directory / "checkpoints" / str(step))
    unfinished = directory / "checkpoints" / "150.orbax-checkpoint-tmp" / "state"
    unfinished.mkdir(parents=True)
    (unfinished / "half").write_bytes(b"\0" * 100)
    log = directory / "metrics.jsonl"
    lines = log.read_text(encoding="utf-8").splitlines(keepends=True)
    log.write_text("".join(lines[:130]) + lines[130][:25], encoding="utf-8")
    assert_same_run(Run(directory, train(tiny(), directory, None)), reference)


def test_a_finished_run_stays_as_it_is(reference: Run, tmp_path: Path) -> None:
    """The same command again trains nothing and exports the same model."""
    directory = tmp_path / "run"
    shutil.copytree(reference.directory, directory)
    shutil.rmtree(directory / "model")
    assert_same_run(Run(directory, train(tiny(), directory, None)), reference)


def wait_for_step(directory: Path, step: int, still_running: Callable[[], bool]) -> None:
    """Until the log has an entry of this step."""
    log = directory / "metrics.jsonl"
    deadline = time.monotonic() + 300.0
    while not (log.exists() and log.read_bytes().count(b'"kind": "train"') >= step):
        assert still_running()
        assert time.monotonic() < deadline
        time.sleep(0.002)


def test_a_killed_process_resumes_to_the_bit(reference: Run, tmp_path: Path) -> None:
    """SIGKILL between two checkpoints, from the command line; resumed in another process."""
    directory, config = tmp_path / "run", tmp_path / "tiny.json"
    config.write_text(to_json(tiny()), encoding="utf-8")
    command = [sys.executable, "-m", "meanflow_audio_codec", "train", "--config", config, "--run-dir", directory]
    # At low priority, so that the watcher below is served first.
    process = subprocess.Popen(["nice", "-n", "10", *map(str, command)], stderr=subprocess.PIPE)
    try:
        wait_for_step(directory, 60, lambda: process.poll() is None)
    finally:
        process.kill()
        _, errors = process.communicate()
    assert process.returncode == -signal.SIGKILL, errors.decode()
    assert not (directory / "model").exists()
    assert_same_run(Run(directory, train(tiny(), directory, None)), reference)


@pytest.fixture
def safe_sigterm() -> Iterator[list[int]]:
    """Signals that reach the test itself, which would otherwise end it."""
    received: list[int] = []

    def handler(number: int, frame: object) -> None:
        received.append(number)

    previous = signal.signal(signal.SIGTERM, handler)
    yield received
    signal.signal(signal.SIGTERM, previous)


def test_a_termination_signal_stops_after_the_step_with_a_checkpoint(
    reference: Run, tmp_path: Path, safe_sigterm: list[int], capsys: pytest.CaptureFixture[str]
) -> None:
    directory = tmp_path / "run"

    def terminate() -> None:
        wait_for_step(directory, 20, lambda: True)
        os.kill(os.getpid(), signal.SIGTERM)

    thread = threading.Thread(target=terminate, daemon=True)
    thread.start()
    state = train(tiny(), directory, None)
    thread.join()
    stopped = int(state.step)
    assert safe_sigterm == []
    assert 20 <= stopped < 200
    assert f"stopped after step {stopped}" in capsys.readouterr().err
    assert_same_state(Checkpoints(directory / "checkpoints", keep=1).restore(state)[0], state)
    assert entries(directory)[-1]["step"] == stopped
    assert not (directory / "model").exists()
    os.kill(os.getpid(), signal.SIGTERM)  # the handler from before is back
    assert safe_sigterm == [signal.SIGTERM]
    assert_same_run(Run(directory, train(tiny(), directory, None)), reference)


# Failure.


def test_divergence_is_an_error_that_leaves_only_finite_checkpoints(tmp_path: Path) -> None:
    optimizer = OptimizerConfig(learning_rate=1e30, warmup_steps=0, schedule="constant")
    directory = tmp_path / "run"
    with pytest.raises(TrainingDivergedError) as raised:
        train(tiny(optimizer, checkpoint_every=2).model_copy(update={"method": AutoencoderConfig()}), directory, None)
    message = str(raised.value)
    assert "not finite after step 2" in message
    assert "there is no checkpoint yet" in message
    assert "lower optimizer.learning_rate" in message
    assert "\n" not in message
    assert not any(path.name.isdigit() for path in (directory / "checkpoints").iterdir())
    last = entries(directory)[-1]  # null, since JSON has no NaN
    assert last["step"] == 2
    assert None in last.values()


def test_a_directory_that_is_not_this_run_is_refused(reference: Run, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="run of another configuration"):
        train(tiny(num_steps=300), reference.directory, None)
    (tmp_path / "thesis.tex").write_text("important", encoding="utf-8")
    with pytest.raises(InputError, match="not empty and holds no training run"):
        train(tiny(), tmp_path, None)
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.tex"]


def test_labels_that_the_data_does_not_have_are_an_error(tmp_path: Path) -> None:
    config = tiny()
    decoder = config.decoder.model_copy(update={"num_classes": 5})
    with pytest.raises(InputError, match="num_classes is 5, but the data has 0 classes"):
        train(config.model_copy(update={"decoder": decoder}), tmp_path / "run", None)
