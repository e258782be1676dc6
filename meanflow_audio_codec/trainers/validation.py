"""Validation: what checkpoints are compared by."""

import math
from collections.abc import Callable

import jax
import jax.numpy as jnp

from meanflow_audio_codec.configs.experiment import ExperimentConfig
from meanflow_audio_codec.datasets.base import Batch
from meanflow_audio_codec.trainers.experiment import Experiment
from meanflow_audio_codec.trainers.metrics_log import MetricsLog
from meanflow_audio_codec.trainers.state import TrainState
from meanflow_audio_codec.trainers.step import LossFunction


def labels_of(config: ExperimentConfig, batch: Batch) -> jax.Array | None:
    """The labels of a batch, if the networks use them."""
    return jnp.asarray(batch.label) if config.decoder.num_classes and batch.label is not None else None


def make_validation(
    experiment: Experiment, loss_function: LossFunction
) -> Callable[[TrainState, int, MetricsLog], float]:
    """Averages the un-weighted losses of the averaged weights over the same batches, noise and times every time."""
    config = experiment.config

    def validate(state: TrainState, step: int, log: MetricsLog) -> float:
        totals: dict[str, float] = {}
        count = config.training.validation_batches
        for index in range(count):
            batch = experiment.validation_data.batch(index)
            key = jax.random.fold_in(jax.random.key(config.training.seed + 1), index)
            signal, label = jnp.asarray(batch.signal), labels_of(config, batch)
            _, metrics = loss_function(state.ema_model, signal, label, key, state.step)
            for name, value in metrics.items():
                totals[name] = totals.get(name, 0.0) + float(value) / count
        log.write(step, totals, prefix="validation")
        return totals["objective"] if math.isfinite(totals["objective"]) else math.inf

    return validate
