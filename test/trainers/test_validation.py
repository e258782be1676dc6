"""Validation: the averaged weights are judged, each batch with a key of its own, the same ones every time."""

from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from fixtures.tiny_training import tiny

from meanflow_audio_codec.trainers.experiment import build_experiment
from meanflow_audio_codec.trainers.metrics_log import MetricsLog
from meanflow_audio_codec.trainers.state import TrainState
from meanflow_audio_codec.trainers.validation import make_validation


@pytest.fixture
def log(tmp_path: Path):
    with_log = MetricsLog(tmp_path, 0)
    yield with_log
    with_log.close()


def state(experiment, raw: float, averaged: float, step: int = 3) -> TrainState:
    def filled(value: float):
        return jax.tree.map(lambda leaf: jnp.full_like(leaf, value), experiment.model)

    return TrainState(jnp.array(step), filled(raw), filled(averaged), ())


def test_the_averaged_weights_are_judged(log: MetricsLog) -> None:
    experiment = build_experiment(tiny(), None)

    def loss(model, signal, label, key, step):
        value = jax.tree.leaves(model)[0].mean()
        return jnp.zeros(()), {"objective": value + step}

    validate = make_validation(experiment, loss)
    assert validate(state(experiment, 7.0, 2.0), 3, log) == 5.0


def test_every_batch_has_a_key_of_its_own_and_the_same_every_time(log: MetricsLog) -> None:
    experiment = build_experiment(tiny(), None)
    seen: list[tuple[bytes, bytes]] = []

    def loss(model, signal, label, key, step):
        seen.append((np.asarray(jax.random.key_data(key)).tobytes(), np.asarray(signal).tobytes()))
        return jnp.zeros(()), {"objective": float(len(seen))}

    validate, count = make_validation(experiment, loss), experiment.config.training.validation_batches
    # The mean of 1 ... count.
    assert validate(state(experiment, 0.0, 0.0), 1, log) == pytest.approx((count + 1) / 2)
    validate(state(experiment, 0.0, 0.0), 2, log)
    assert seen[:count] == seen[count:]
    assert len({key for key, _ in seen}) == len({signal for _, signal in seen}) == count


def test_what_is_not_a_number_is_never_the_best(log: MetricsLog) -> None:
    experiment = build_experiment(tiny(), None)
    validate = make_validation(experiment, lambda *_: (jnp.zeros(()), {"objective": jnp.nan}))
    assert validate(state(experiment, 0.0, 0.0), 1, log) == float("inf")
