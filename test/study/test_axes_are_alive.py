"""Every axis of the study changes what is computed: real optimiser steps of its smallest cells."""

from functools import cache
from itertools import combinations
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from fixtures.computation import loss_of

from meanflow_audio_codec.models.methods.base import Metrics
from meanflow_audio_codec.study.cells import ARCHITECTURES, METHODS, TOKENIZATIONS, codec_cells
from meanflow_audio_codec.trainers.experiment import build_experiment
from meanflow_audio_codec.trainers.optimizer import make_optimizer
from meanflow_audio_codec.trainers.state import initial_state
from meanflow_audio_codec.trainers.step import make_train_step
from meanflow_audio_codec.trainers.validation import labels_of

START = {"method": "autoencoder", "architecture": "convnet", "tokenization": "reshape", "dataset": "mnist"}
AXES = {
    "method": METHODS,
    "architecture": ARCHITECTURES,
    "tokenization": TOKENIZATIONS,
    "dataset": ("mnist", "audio"),
}


class Outcome(NamedTuple):
    """Weights before and after two steps, and the loss of the next: the first losses are those of silent networks."""

    before: list[np.ndarray]
    after: list[np.ndarray]
    loss: float


@cache
def trained(**axes: str) -> Outcome:
    """Of the smallest cell with these values of its axes, from seed 0.

    The learning rate of the first step is zero, for the rate warms up.
    """
    (cell,) = (cell for cell in codec_cells("smoke") if axes.items() <= cell.model_dump().items())
    config = cell.config(seed=0)
    experiment = build_experiment(config, None)
    optimizer = make_optimizer(config.optimizer, config.training.num_steps, config.method)
    step = make_train_step(loss_of(experiment), optimizer, config.training)
    state = initial_state(experiment.model, optimizer)
    weights: list[list[np.ndarray]] = []
    metrics: Metrics = {}
    for number in range(3):
        weights.append([np.array(leaf) for leaf in jax.tree.leaves(state.model)])
        batch = experiment.training_data.batch(number)
        state, metrics = step(state, jnp.asarray(batch.signal), labels_of(config, batch), jax.random.key(0))
    return Outcome(weights[0], weights[2], float(metrics["loss"]))


def same(first: list[np.ndarray], second: list[np.ndarray]) -> bool:
    return len(first) == len(second) and all(map(np.array_equal, first, second))


@pytest.mark.parametrize(("axis", "values"), AXES.items(), ids=AXES)
def test_every_value_of_an_axis_trains_other_weights_under_another_loss(axis: str, values: tuple[str, ...]) -> None:
    outcomes = {value: trained(**(START | {axis: value})) for value in values}
    for outcome in outcomes.values():
        assert not same(outcome.before, outcome.after)
        assert np.isfinite(outcome.loss)
    for one, other in combinations(values, 2):
        assert not same(outcomes[one].after, outcomes[other].after), (one, other)
        assert outcomes[one].loss != outcomes[other].loss, (one, other)
        if axis == "method":  # the same weights at first, so nothing but the method makes the difference
            assert same(outcomes[one].before, outcomes[other].before), (one, other)
