"""The one training loop."""

import math
import resource
import signal
import sys
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from types import FrameType

import jax
import jax.numpy as jnp
import numpy as np

from meanflow_audio_codec.configs.experiment import ExperimentConfig
from meanflow_audio_codec.datasets.prefetch import prefetch
from meanflow_audio_codec.errors import InputError
from meanflow_audio_codec.models.build import count_parameters
from meanflow_audio_codec.models.methods.base import Metrics
from meanflow_audio_codec.processes.stop_signals import STOP_SIGNALS
from meanflow_audio_codec.trainers.checkpoint import Checkpoints
from meanflow_audio_codec.trainers.experiment import Experiment, build_experiment
from meanflow_audio_codec.trainers.export import export_model
from meanflow_audio_codec.trainers.metrics_log import MetricsLog
from meanflow_audio_codec.trainers.optimizer import make_optimizer
from meanflow_audio_codec.trainers.progress import training_progress
from meanflow_audio_codec.trainers.run_files.run_directory import (
    check_run_directory,
    disk_problems_told,
    only_one_process,
    write_description,
)
from meanflow_audio_codec.trainers.state import TrainState, initial_state
from meanflow_audio_codec.trainers.step import make_loss, make_train_step
from meanflow_audio_codec.trainers.validation import labels_of, make_validation
from meanflow_audio_codec.trainers.warm_start import normalizer_to_keep, warm_start


class TrainingDivergedError(ArithmeticError):
    """A loss or gradient is not finite; the message names the last good checkpoint."""


def ignore_signal(number: int) -> None:
    """For callers to whom the step of the returned state says enough."""


def train(
    config: ExperimentConfig,
    run_directory: Path,
    data_directory: Path | None,
    *,
    initial_weights: str | Path | None = None,
    when_stopped: Callable[[int], None] = ignore_signal,
) -> TrainState:
    """Train, or go on training: a run directory that holds checkpoints is resumed, to the same result.

    A new run starts from random weights, or from `initial_weights`, a model's name or folder (see `warm_start`). A
    signal that stops programs ends it after the current step, with a checkpoint; then `when_stopped` is told which one
    it was, and the state is returned unless that raises.

    Raises:
        InputError: the run directory holds something else, the data cannot be found, or networks are frozen that start
            from random weights.
        TrainingDivergedError: a loss or gradient became infinite or NaN.
    """
    normalizer_state = check_run_directory(config, run_directory)
    if normalizer_state is None:  # a new run
        if config.training.frozen_networks and initial_weights is None:
            raise InputError("training.frozen_networks keeps weights that nobody trained: give a model by --init-from")
        if config.training.fresh_networks and initial_weights is None:
            raise InputError("training.fresh_networks is for a start from a model's weights: give one by --init-from")
        if initial_weights is not None:
            normalizer_state = normalizer_to_keep(config, initial_weights)
    experiment = build_experiment(config, data_directory, normalizer_state)
    for data in (experiment.training_data, experiment.validation_data):
        data.batch(0)  # what is wrong with the data is told before anything is written
    with disk_problems_told(run_directory):
        run_directory.mkdir(parents=True, exist_ok=True)
    with only_one_process(run_directory), disk_problems_told(run_directory):
        return _train(experiment, run_directory, initial_weights, when_stopped)


def _train(
    experiment: Experiment,
    run_directory: Path,
    initial_weights: str | Path | None,
    when_stopped: Callable[[int], None],
) -> TrainState:
    config = experiment.config
    write_description(run_directory, config, experiment.normalizer.state())
    optimizer = make_optimizer(
        config.optimizer, config.training.num_steps, config.method, config.training.frozen_networks
    )
    loss_function = make_loss(
        experiment.tokenizer, experiment.segment_tokenizer, experiment.normalizer, experiment.method, config.training
    )
    train_step = make_train_step(loss_function, optimizer, config.training)
    validate = make_validation(experiment, jax.jit(loss_function))

    checkpoints = Checkpoints(run_directory / "checkpoints", config.training.keep_checkpoints)
    best = Checkpoints(run_directory / "best", keep=1)
    model = experiment.model
    if initial_weights is not None and checkpoints.latest_step() is None:
        start = warm_start(model, initial_weights, config.training.fresh_networks)
        model = start.model
        sys.stderr.write(
            f"start from {initial_weights}: {start.whole} arrays whole, {start.part} in part, {start.new} new\n"
        )
    state = initial_state(model, optimizer)
    best_objective = math.inf
    if checkpoints.latest_step() is not None:
        state, figures = checkpoints.restore(state)
        best_objective = figures["best_objective"]
    first_step = int(state.step)
    run_key = jax.random.key(config.training.seed)

    def log_training(step: int, metrics: Metrics) -> None:
        figures = {name: float(value) for name, value in metrics.items()}  # waits for the step to finish
        figures |= {"steps_per_second": rate.since_last(step), "peak_memory_mib": _peak_memory_mib()}
        log.write(step, figures)
        bad = [name for name, value in figures.items() if not math.isfinite(value)]
        if bad:
            raise TrainingDivergedError(
                f"{bad[0]} is not finite after step {step}; {_last_good(run_directory, checkpoints)}: "
                "lower optimizer.learning_rate"
            )
        progress.update(step, figures)

    num_parameters = count_parameters(experiment.model.without_discriminator())
    description = f"{config.name}: {num_parameters / 1e6:.2f} M parameters"
    total = config.training.num_steps
    with (
        closing(MetricsLog(run_directory, first_step)) as log,
        _stop_on_signal() as stop_requested,
        prefetch(experiment.training_data, first_step) as batches,
        training_progress(description, first_step, total) as progress,
    ):
        waiting: tuple[int, Metrics] | None = None
        rate = _Rate(first_step)
        for step in range(first_step + 1, total + 1):
            _, batch = next(batches)
            state, metrics = train_step(state, jnp.asarray(batch.signal), labels_of(config, batch), run_key)
            if waiting is not None:
                # Read the figures of an earlier step only now, with the next one already dispatched.
                log_training(*waiting)
                waiting = None
            if step % config.training.log_every == 0:
                waiting = (step, metrics)
            if step % config.training.validate_every == 0 or step == total:
                objective = validate(state, step, log)
                if objective < best_objective:
                    best_objective = objective
                    best.save(state, {"objective": objective})
            stop = stop_requested()
            if step % config.training.checkpoint_every == 0 or step == total or stop is not None:
                if waiting is not None:  # never keep a checkpoint of figures not yet known to be finite
                    log_training(*waiting)
                    waiting = None
                _check_finite(state, run_directory, checkpoints)
                log.sync()
                checkpoints.save(state, {"best_objective": best_objective})
            if stop is not None:
                sys.stderr.write(f"stopped after step {step}; the same command goes on from here\n")
                break
    stop = stop_requested()
    if stop is not None:
        when_stopped(stop)
    if int(state.step) == total:
        # The averaged weights with the lowest un-weighted validation losses, not necessarily the last.
        export_model(experiment, best.restore(state)[0].ema_model, run_directory / "model")
    return state


def _check_finite(state: TrainState, run_directory: Path, checkpoints: Checkpoints) -> None:
    if not all(bool(np.isfinite(leaf).all()) for leaf in jax.tree.leaves(state.model)):
        raise TrainingDivergedError(
            f"a weight is not finite after step {int(state.step)}; {_last_good(run_directory, checkpoints)}: "
            "lower optimizer.learning_rate"
        )


def _last_good(run_directory: Path, checkpoints: Checkpoints) -> str:
    step = checkpoints.latest_step()
    if step is None:
        return "there is no checkpoint yet"
    return f"the last good checkpoint is step {step} in {run_directory / 'checkpoints'}"


def _peak_memory_mib() -> float:
    """Largest resident size of this process so far, or of the accelerator's pool where it reports one."""
    statistics = jax.local_devices()[0].memory_stats()
    if statistics and "peak_bytes_in_use" in statistics:
        return statistics["peak_bytes_in_use"] / 2**20
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / 2**20 if sys.platform == "darwin" else peak / 2**10


class _Rate:
    """Steps per second between two looks at the clock."""

    def __init__(self, step: int):
        self._step, self._time = step, time.perf_counter()

    def since_last(self, step: int) -> float:
        steps, seconds = step - self._step, time.perf_counter() - self._time
        self._step, self._time = step, time.perf_counter()
        return steps / seconds


class _stop_on_signal:  # noqa: N801  # reads as a statement where it is used
    """Turns the first of the signals that stop a program into a request to stop after the current step."""

    def __enter__(self) -> Callable[[], int | None]:
        self._requested: int | None = None
        self._previous = {}
        for number in STOP_SIGNALS:
            if signal.getsignal(number) is signal.SIG_IGN:  # as nohup has it
                continue
            try:
                self._previous[number] = signal.signal(number, self._request)
            except ValueError:  # not in the main thread: the caller's handlers stay in force
                break
        return lambda: self._requested

    def _request(self, number: int, frame: FrameType | None) -> None:
        self._requested = number
        for each, handler in self._previous.items():
            signal.signal(each, handler)  # a second signal acts at once

    def __exit__(self, *_: object) -> None:
        for number, handler in self._previous.items():
            signal.signal(number, handler)
