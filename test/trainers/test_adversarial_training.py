"""Training against a discriminator: when it begins, how either side is optimised, and what is left of it in the end."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from fixtures.adversarial_models import TINY, flat, parts, pictures, signal_of
from fixtures.computation import loss_of
from safetensors.numpy import load_file

from meanflow_audio_codec.configs.experiment import OptimizerConfig
from meanflow_audio_codec.configs.methods import AdversarialConfig, AutoencoderConfig
from meanflow_audio_codec.inference.pretrained import load_pretrained
from meanflow_audio_codec.models.methods.adversarial import Adversarial
from meanflow_audio_codec.trainers.checkpoint import Checkpoints
from meanflow_audio_codec.trainers.experiment import Experiment, build_experiment
from meanflow_audio_codec.trainers.loop import train
from meanflow_audio_codec.trainers.optimizer import make_optimizer
from meanflow_audio_codec.trainers.state import TrainState, initial_state
from meanflow_audio_codec.trainers.step import TrainStep, make_train_step


def step_of(experiment: Experiment) -> tuple[TrainStep, TrainState]:
    config = experiment.config
    optimizer = make_optimizer(config.optimizer, config.training.num_steps, config.method)
    model = jax.tree.map(jnp.copy, experiment.model)  # a step consumes the state it is given
    return make_train_step(loss_of(experiment), optimizer, config.training), initial_state(model, optimizer)


def equal(first: Any, second: Any) -> bool:
    return all(np.array_equal(a, b) for a, b in zip(jax.tree.leaves(first), jax.tree.leaves(second), strict=True))


@pytest.fixture(scope="module")
def of_pictures() -> Experiment:
    return build_experiment(pictures(), None)


@pytest.fixture(scope="module")
def autoencoder() -> Experiment:
    return build_experiment(pictures(AutoencoderConfig()), None)


# The start.


def test_the_networks_start_as_those_of_the_autoencoder(of_pictures: Experiment, autoencoder: Experiment) -> None:
    assert autoencoder.model.discriminator is None
    assert equal(of_pictures.model.without_discriminator(), autoencoder.model)


def test_before_its_first_step_the_adversary_changes_nothing(of_pictures: Experiment, autoencoder: Experiment) -> None:
    """Two steps of plain regression, bit for bit for the discriminator; then both sides move."""
    adversarial = replace(of_pictures, method=Adversarial(AdversarialConfig(start_step=2, discriminator=TINY)))
    (step, state), (plain_step, plain) = step_of(adversarial), step_of(autoencoder)
    for number in range(3):
        batch = signal_of(adversarial, number)
        state, metrics = step(state, batch, None, jax.random.key(0))
        plain, plain_metrics = plain_step(plain, batch, None, jax.random.key(0))
        same_networks = np.allclose(flat(state.model.without_discriminator()), flat(plain.model), atol=1e-5)
        same_discriminator = equal(state.model.discriminator, adversarial.model.discriminator)
        assert (same_networks, same_discriminator) == ((True, True) if number < 2 else (False, False))
        assert float(metrics["reconstruction_loss"]) == pytest.approx(
            float(plain_metrics["reconstruction_loss"]), rel=1e-4
        )


# The optimiser.


def test_the_discriminator_is_clipped_and_averaged_apart(of_pictures: Experiment) -> None:
    """Huge gradients elsewhere do not shrink its own; its first moment takes up half of a gradient at once."""
    config = OptimizerConfig(learning_rate=0.1, warmup_steps=0, schedule="constant", weight_decay=0.0)
    optimizer = make_optimizer(config, 10, AdversarialConfig(learning_rate_share=0.25, discriminator=TINY))
    gradient = jax.tree.map(lambda leaf: jnp.full_like(leaf, 1e3), of_pictures.model)
    gradient.discriminator = jax.tree.map(lambda leaf: jnp.full_like(leaf, 1e-3), gradient.discriminator)
    updates, state = jax.jit(optimizer.update)(gradient, optimizer.init(of_pictures.model), of_pictures.model)
    networks, discriminator = parts(updates)
    np.testing.assert_allclose(networks, -0.1, rtol=1e-3)
    np.testing.assert_allclose(discriminator, -0.25 * 0.1, rtol=1e-3)
    moments = {
        jax.tree_util.keystr(path): leaf
        for path, leaf in jax.tree_util.tree_leaves_with_path(state)
        if ".mu." in jax.tree_util.keystr(path)
    }
    of_discriminator = {name: leaf for name, leaf in moments.items() if ".mu.discriminator" in name}
    assert len(of_discriminator) == len(jax.tree.leaves(of_pictures.model.discriminator))
    np.testing.assert_allclose(flat(of_discriminator), 0.5e-3, rtol=1e-4)
    others = flat([leaf for name, leaf in moments.items() if name not in of_discriminator])
    assert np.linalg.norm(others) == pytest.approx(0.1, rel=1e-4)


def test_other_methods_keep_their_optimiser(autoencoder: Experiment) -> None:
    """Clipping without state, then two moments of every weight, a count, and the schedule's count."""
    state = make_optimizer(OptimizerConfig(), 10, AutoencoderConfig()).init(autoencoder.model)
    names = [jax.tree_util.keystr(path) for path, _ in jax.tree_util.tree_leaves_with_path(state)]
    assert len(names) == 2 * len(jax.tree.leaves(autoencoder.model)) + 2
    assert not any("discriminator" in name or "inner_state" in name for name in names)


def test_the_discriminator_learns_to_tell_a_decoder_that_stands_still() -> None:
    """From a loss of about 2, the hinge losses of scores around zero; the learning rates are told apart."""
    frozen = OptimizerConfig(learning_rate=1e-9, warmup_steps=0, schedule="constant")
    method = AdversarialConfig(learning_rate_share=3e7, discriminator=TINY)
    experiment = build_experiment(pictures(method, frozen), None)
    step, state = step_of(experiment)
    losses = []
    for number in range(30):
        state, metrics = step(state, signal_of(experiment, number), None, jax.random.key(0))
        losses.append(float(metrics["discriminator_loss"]))
    assert losses[0] > 1.5
    assert np.mean(losses[-5:]) < 0.6 * losses[0]
    assert float(metrics["discriminator_real"]) > float(metrics["discriminator_fake"])
    np.testing.assert_allclose(
        flat(state.model.without_discriminator()), flat(experiment.model.without_discriminator()), atol=1e-6
    )


# A run from end to end.


def test_a_resumed_run_is_the_same_to_the_bit(of_pictures: Experiment, tmp_path: Path) -> None:
    """Four steps, or two, a checkpoint read into a fresh state, and two more."""
    step, state = step_of(of_pictures)

    def advance(state: TrainState, first: int, last: int) -> TrainState:
        for number in range(first, last):
            state, _ = step(state, signal_of(of_pictures, number), None, jax.random.key(0))
        return state

    checkpoints = Checkpoints(tmp_path, keep=1)
    halfway = advance(state, 0, 2)
    checkpoints.save(halfway)
    through = advance(halfway, 2, 4)
    resumed = advance(checkpoints.restore(step_of(of_pictures)[1])[0], 2, 4)
    assert equal(resumed, through)
    assert not equal(through.model.discriminator, of_pictures.model.discriminator)


def test_the_published_model_is_the_last_one_without_its_adversary(tmp_path: Path) -> None:
    directory = tmp_path / "run"
    state = train(pictures(), directory, None)
    names = set(load_file(directory / "model" / "model.safetensors"))
    assert {name.split(".")[0] for name in names} == {"encoder", "decoder"}
    pretrained = load_pretrained(directory / "model")
    assert pretrained.model.discriminator is None
    assert pretrained.config == pictures()
    for stored, averaged in zip(
        jax.tree.leaves(pretrained.model), jax.tree.leaves(state.ema_model.without_discriminator()), strict=True
    ):
        np.testing.assert_array_equal(stored, np.asarray(averaged).astype(np.float16).astype(np.float32))
    log = [json.loads(line) for line in (directory / "metrics.jsonl").read_text(encoding="utf-8").splitlines()]
    assert [entry["objective"] for entry in log if entry["kind"] == "validation"] == [-1.0, -2.0, -3.0, -4.0]
    figures = {"adversarial_loss", "feature_matching_loss", "discriminator_real", "discriminator_fake"}
    trained = next(entry for entry in log if entry["kind"] == "train")
    assert figures | {"discriminator_loss", "discriminator_gradient_norm"} <= set(trained)
