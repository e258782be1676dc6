"""Training a sampler against discriminators of audio: who learns from what, and what a run leaves behind."""

import json
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from fixtures.adversarial_models import noise, signal_of, sounds
from fixtures.computation import loss_of

from meanflow_audio_codec.configs.adversarial_sampler import AdversarialSamplerConfig, SpectrogramDiscriminatorConfig
from meanflow_audio_codec.configs.experiment import ExperimentConfig, OptimizerConfig
from meanflow_audio_codec.configs.serialization import apply_overrides
from meanflow_audio_codec.errors import InputError
from meanflow_audio_codec.inference.pretrained import load_pretrained
from meanflow_audio_codec.models.codec_model import CodecModel
from meanflow_audio_codec.models.conditioning import Conditioning
from meanflow_audio_codec.models.methods.adversarial import discriminator_loss, feature_matching_loss, generator_loss
from meanflow_audio_codec.models.methods.adversarial_sampler import AdversarialSampler
from meanflow_audio_codec.models.methods.sampling import sample
from meanflow_audio_codec.models.velocity import Velocity
from meanflow_audio_codec.trainers.checkpoint import Checkpoints
from meanflow_audio_codec.trainers.experiment import Experiment, build_experiment
from meanflow_audio_codec.trainers.loop import train
from meanflow_audio_codec.trainers.optimizer import make_optimizer
from meanflow_audio_codec.trainers.spectral_loss import multi_resolution_mel_loss
from meanflow_audio_codec.trainers.state import TrainState, initial_state
from meanflow_audio_codec.trainers.step import TrainStep, make_train_step

METHOD = AdversarialSamplerConfig(
    mel_windows=(16, 32),
    start_step=2,
    adversarial_weight=0.7,
    feature_matching_weight=0.4,
    default_temperature=0.5,
    discriminator=SpectrogramDiscriminatorConfig(window_lengths=(16, 40), width=4, num_blocks=1),
)


def configuration(**training: Any) -> ExperimentConfig:
    config = sounds(METHOD, prior=True)
    return config.model_copy(
        update={
            "optimizer": OptimizerConfig(learning_rate=1e-2, warmup_steps=0, weight_decay=0.1),
            "training": config.training.model_copy(update=training),
        }
    )


@cache
def experiment() -> Experiment:
    return build_experiment(configuration(), None)


def randomized(model: CodecModel) -> CodecModel:
    random = np.random.default_rng(0)
    return jax.tree.map(lambda leaf: jnp.asarray(0.3 * random.standard_normal(leaf.shape), jnp.float32), model)


def equal(one: Any, other: Any) -> bool:
    return all(np.array_equal(a, b) for a, b in zip(jax.tree.leaves(one), jax.tree.leaves(other), strict=True))


# The method.


def test_the_draw_is_one_evaluation_from_noise_at_the_temperature_of_training() -> None:
    """Of u(z, 0, 1) = z / 4 the draw is 3/4 z; against x = 0 its squared error is (3/4 of the temperature)^2."""
    method = AdversarialSampler(METHOD)

    def quarter(z: jax.Array, r: jax.Array, t: jax.Array, conditioning: Conditioning) -> Velocity:
        assert not np.any(r)
        assert np.all(t == 1.0)
        return Velocity(mean=z / 4.0, instantaneous=None)

    z = noise(3, 5, 16)
    steps, temperature = method.default_num_steps, method.default_temperature
    assert (steps, temperature, method.num_evaluations(1, guided=False)) == (1, 0.5, 1)
    draw = sample(method, quarter, z, Conditioning(), num_steps=steps, temperature=temperature)
    np.testing.assert_allclose(draw, 0.375 * z, rtol=1e-6)
    loss, metrics = method.loss(
        quarter, jnp.zeros((64, 50, 16)), Conditioning(), jnp.ones((1, 1, 16)), jax.random.key(0)
    )
    assert float(loss) == pytest.approx(0.375**2, rel=0.02)
    assert float(metrics["unweighted_loss"]) == float(loss)


def game_of(
    step: int, scale: float = 1.0, weights: tuple[float, float] = (0.7, 0.4)
) -> tuple[jax.Array, jax.Array, dict[str, jax.Array]]:
    """Gradients at the draw and at the discriminator, and the figures; the tokens are the samples."""
    adversarial, matching = weights
    config = METHOD.model_copy(update={"adversarial_weight": adversarial, "feature_matching_weight": matching})
    method, original, draw = AdversarialSampler(config), noise(2, 160), noise(2, 10, 16, seed=1)
    discriminator = jax.tree.map(lambda leaf: scale * leaf, experiment().model.discriminator)

    def mel_distance(signal: jax.Array) -> jax.Array:
        return jnp.mean((signal - original) ** 2)  # any distance will do

    @jax.jit
    def gradients(discriminator: Any, draw: jax.Array) -> Any:
        def total(discriminator: Any, draw: jax.Array) -> Any:
            of_decoder, of_discriminator, metrics = method.game(
                discriminator, original, draw, lambda tokens: tokens.reshape(2, 160), mel_distance, jnp.array(step)
            )
            return of_decoder + of_discriminator, metrics

        return jax.grad(total, argnums=(1, 0), has_aux=True)(discriminator, draw)

    (at_draw, at_discriminator), metrics = gradients(discriminator, draw)
    return at_draw, at_discriminator, metrics


def test_before_its_start_the_decoder_has_the_mel_distance_alone_and_the_discriminator_learns() -> None:
    at_draw, at_discriminator, metrics = game_of(METHOD.start_step - 1)
    draw, original = noise(2, 10, 16, seed=1), noise(2, 160).reshape(2, 10, 16)
    np.testing.assert_allclose(at_draw, 2.0 * (draw - original) / draw.size, rtol=1e-4, atol=1e-8)
    # All but the last bias, on which both hinges pull alike.
    assert all(bool(leaf.any()) for leaf in jax.tree.leaves(at_discriminator) if leaf.ndim > 1)
    assert float(metrics["objective"]) == -(METHOD.start_step - 1)


@pytest.mark.parametrize("weights", [(0.7, 0.0), (1e-6, 0.4)])
def test_weights_are_sizes_of_gradients_beside_that_of_the_mel_distance(weights: tuple[float, float]) -> None:
    """Whatever the scale of the discriminator, and in the direction of the loss each is the weight of."""
    draw, original = noise(2, 10, 16, seed=1), noise(2, 160)
    regression = 2.0 * (draw - original.reshape(draw.shape)) / draw.size
    for scale in (1.0, 10.0):
        push = game_of(METHOD.start_step, scale, weights)[0] - regression
        size = float(optax.tree.norm(push) / optax.tree.norm(regression))
        assert size == pytest.approx(sum(weights), rel=1e-3)
        discriminator = jax.tree.map(lambda leaf, scale=scale: scale * leaf, experiment().model.discriminator)

        def direction(tokens: jax.Array, discriminator: Any = discriminator) -> jax.Array:
            of_fake = discriminator(tokens.reshape(2, 160), original)
            if weights[1] == 0.0:
                return generator_loss("hinge", of_fake)
            return feature_matching_loss(discriminator(original, original), of_fake)

        gradient = jax.jit(jax.grad(direction))(draw)
        cosine = jnp.vdot(push, gradient) / (optax.tree.norm(push) * optax.tree.norm(gradient))
        assert float(cosine) == pytest.approx(1.0, abs=1e-4)


# The loss of a whole model.


def test_what_is_judged_is_what_decoding_puts_out() -> None:
    """Figures of the loss from codes that were decoded apart, with the step's own noise and temperature."""
    given = experiment()
    model, batch, key = randomized(given.model), signal_of(given, 0), jax.random.key(3)
    _, metrics = jax.jit(loss_of(given))(model, batch, None, key, jnp.array(5))

    @jax.jit
    def apart(model: CodecModel) -> tuple[jax.Array, ...]:
        tokens = given.tokenizer.tokenize(batch)[:, 3:8]
        draw_key, _, noise_key = jax.random.split(key, 3)
        normalizer, temperature = given.normalizer, jnp.float32(METHOD.default_temperature)
        x, side = normalizer.draw(tokens, draw_key)
        full = normalizer.features(normalizer.in_full_detail(side))
        latent = model.encode(x, full, normalizer.num_kept(side)).latent
        condition = model.condition(latent, normalizer.features(side))
        prediction = condition.prediction
        assert prediction is not None
        z = temperature * jax.random.normal(noise_key, x.shape)
        ones = jnp.ones(len(x))
        residual = z - model.decoder(z, 0.0 * ones, ones, Conditioning(local=condition.features)).mean
        restored = normalizer.restore_energy(prediction.restore(residual), prediction.mean_square, temperature)
        decoded = normalizer.denormalize(restored, side)
        real, fake = (given.segment_tokenizer.detokenize(each) for each in (tokens, decoded))
        assert model.discriminator is not None
        of_real, of_fake = model.discriminator(real, real), model.discriminator(fake, real)
        return (
            multi_resolution_mel_loss(real, fake, 16_000, METHOD.mel_windows),
            generator_loss("hinge", of_fake),
            feature_matching_loss(of_real, of_fake),
            discriminator_loss("hinge", of_real, of_fake),
        )

    names = ("mel_distance", "adversarial_loss", "feature_matching_loss", "discriminator_loss")
    for name, value in zip(names, apart(model), strict=True):
        assert float(metrics[name]) == pytest.approx(float(value), rel=1e-4), name


def test_a_prior_is_left_alone_by_the_adversary() -> None:
    """Its prediction is part of what is judged, but only decoder and features are moved by the judgement."""
    given = experiment()
    gradient, _ = jax.jit(jax.grad(loss_of(given), has_aux=True))(
        randomized(given.model), signal_of(given, 0), None, jax.random.key(0), jnp.array(3)
    )
    assert not any(bool(leaf.any()) for leaf in jax.tree.leaves((gradient.prior.mean, gradient.prior.log_scale)))
    assert all(bool(leaf.any()) for leaf in jax.tree.leaves(gradient.prior.backbone))
    assert any(bool(leaf.any()) for leaf in jax.tree.leaves(gradient.decoder))


# Steps and runs.


@cache
def step_of(frozen: tuple[str, ...] = ("encoder", "prior")) -> tuple[TrainStep, Any]:
    config = configuration(frozen_networks=frozen)
    given = replace(experiment(), config=config)
    optimizer = make_optimizer(config.optimizer, 10, config.method, frozen)
    return make_train_step(loss_of(given), optimizer, config.training), optimizer


def start() -> TrainState:
    return initial_state(jax.tree.map(jnp.copy, experiment().model), step_of()[1])


def advance(state: TrainState, first: int, last: int) -> TrainState:
    for number in range(first, last):
        state, _ = step_of()[0](state, signal_of(experiment(), number), None, jax.random.key(0))
    return state


def test_frozen_networks_stay_and_both_sides_of_the_game_move() -> None:
    before, after = experiment().model, advance(start(), 0, 3)
    for model in (after.model, after.ema_model):
        assert equal((model.encoder, model.bottleneck, model.prior), (before.encoder, before.bottleneck, before.prior))
        assert not equal(model.decoder, before.decoder)
        assert not equal(model.discriminator, before.discriminator)


def test_a_resumed_run_is_the_same_to_the_bit(tmp_path: Path) -> None:
    checkpoints = Checkpoints(tmp_path, keep=1)
    halfway = advance(start(), 0, 2)
    checkpoints.save(halfway)
    through = advance(halfway, 2, 4)
    assert equal(advance(checkpoints.restore(start())[0], 2, 4), through)


def test_a_run_leaves_a_sampler_without_its_adversary(tmp_path: Path) -> None:
    config = configuration(num_steps=3, log_every=1, validate_every=1, validation_batches=1)
    state = train(config, tmp_path / "run", None)
    pretrained = load_pretrained(tmp_path / "run" / "model")
    assert pretrained.config == config
    assert pretrained.model.discriminator is None
    assert isinstance(pretrained.method, AdversarialSampler)
    averaged = state.ema_model.without_discriminator()
    stored = [leaf.astype(np.float16).astype(np.float32) for leaf in map(np.asarray, jax.tree.leaves(averaged))]
    assert equal(pretrained.model, stored)
    log = [json.loads(line) for line in (tmp_path / "run" / "metrics.jsonl").read_text(encoding="utf-8").splitlines()]
    assert [entry["objective"] for entry in log if entry["kind"] == "validation"] == [-1.0, -2.0, -3.0]
    trained = next(entry for entry in log if entry["kind"] == "train")
    figures = {"mel_distance", "adversarial_loss", "feature_matching_loss", "discriminator_loss"}
    assert figures | {"discriminator_real", "discriminator_fake", "discriminator_gradient_norm"} <= set(trained)


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        (["method.mel_windows=[16,128]"], "128 samples are more than are decoded, 64"),
        (["method.discriminator.window_lengths=[96]"], "96 samples are more than are decoded, 64"),
        (["training.method_loss_weight=0.5"], "leave training.method_loss_weight at 1"),
        (['training.spectral_loss={"windows":[16,32]}'], "an adversarial one has its own losses"),
        (
            ["encoder=null", "bottleneck=null", "prior=null", 'normalization={"kind":"channel-statistics"}'],
            "needs audio and an encoder",
        ),
    ],
)
def test_what_cannot_be_judged_is_refused(settings: list[str], words: str) -> None:
    with pytest.raises(InputError, match=words):
        apply_overrides(configuration(), settings)


def test_images_are_left_to_the_other_adversary() -> None:
    config = configuration()
    images = {"dataset": {"kind": "gaussian", "shape": [8, 8]}, "segment_tokens": None}
    with pytest.raises(InputError, match="audio"):
        apply_overrides(config, [f"{name}={json.dumps(value)}" for name, value in images.items()])
