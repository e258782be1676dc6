"""The adversarial method: losses in closed form, who is moved by which gradient, and what is left of it in the end."""

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from flax import nnx
from safetensors.numpy import load_file

from meanflow_audio_codec.codec.pretrained import load_pretrained
from meanflow_audio_codec.configs.data import GaussianConfig, SyntheticAudioConfig
from meanflow_audio_codec.configs.experiment import ExperimentConfig, OptimizerConfig, TrainingConfig
from meanflow_audio_codec.configs.methods import AdversarialConfig, AutoencoderConfig, MethodConfig
from meanflow_audio_codec.configs.networks import (
    ConvNeXtConfig,
    DiscriminatorConfig,
    EncoderConfig,
    FSQConfig,
    PriorConfig,
    VelocityNetConfig,
)
from meanflow_audio_codec.configs.tokens import ChannelStatisticsConfig, GainShapeConfig, MDCTConfig, ReshapeConfig
from meanflow_audio_codec.models.codec_model import CodecModel
from meanflow_audio_codec.models.conditioning import Conditioning
from meanflow_audio_codec.models.discriminator import (
    COMPRESSION_FLOOR,
    AudioDiscriminator,
    ImageDiscriminator,
    Judgement,
    compress,
)
from meanflow_audio_codec.models.methods.adversarial import (
    Adversarial,
    discriminator_loss,
    feature_matching_loss,
    generator_loss,
)
from meanflow_audio_codec.trainers.checkpoint import Checkpoints
from meanflow_audio_codec.trainers.experiment import Experiment, build_experiment
from meanflow_audio_codec.trainers.loop import train
from meanflow_audio_codec.trainers.optimizer import make_optimizer
from meanflow_audio_codec.trainers.state import TrainState, initial_state
from meanflow_audio_codec.trainers.step import LossFunction, TrainStep, make_loss, make_train_step

NETWORK = ConvNeXtConfig(width=8, num_blocks=1, kernel_size=3, expansion=1)
TINY = DiscriminatorConfig(width=4, num_blocks=1, hop_lengths=(8, 20))
FAST = OptimizerConfig(learning_rate=1e-2, warmup_steps=1)


def rngs() -> nnx.Rngs:
    return nnx.Rngs(params=jax.random.key(0))


def noise(*shape: int, seed: int = 0) -> jax.Array:
    return jax.random.normal(jax.random.key(seed), shape)


def sounds(method: MethodConfig | None = None, *, prior: bool = False) -> ExperimentConfig:
    """Sounds of 160 samples, of whose 11 frames of 16 bins the networks see 5."""
    return ExperimentConfig(
        dataset=SyntheticAudioConfig(crop_samples=160),
        segment_tokens=5,
        tokenizer=MDCTConfig(hop_length=16),
        normalization=GainShapeConfig(num_bands=4),
        encoder=EncoderConfig(architecture=NETWORK),
        bottleneck=FSQConfig(levels=(5, 4)),
        prior=PriorConfig(architecture=NETWORK) if prior else None,
        decoder=VelocityNetConfig(architecture=NETWORK, condition_width=8, num_time_frequencies=4),
        method=method or AdversarialConfig(discriminator=TINY),
        training=TrainingConfig(batch_size=4, prior_loss_weight=0.0),
    )


def pictures(method: MethodConfig | None = None, optimizer: OptimizerConfig = FAST) -> ExperimentConfig:
    """Noise of 8 x 8 pixels in 4 tokens; four steps."""
    return ExperimentConfig(
        name="pictures",
        dataset=GaussianConfig(shape=(8, 8)),
        tokenizer=ReshapeConfig(patch=4),
        normalization=ChannelStatisticsConfig(fit_batches=2),
        encoder=EncoderConfig(architecture=NETWORK),
        bottleneck=FSQConfig(levels=(5, 4)),
        decoder=VelocityNetConfig(architecture=NETWORK, condition_width=8, num_time_frequencies=4),
        method=method or AdversarialConfig(discriminator=TINY),
        optimizer=optimizer,
        training=TrainingConfig(
            num_steps=4, batch_size=8, log_every=1, validate_every=1, validation_batches=1, checkpoint_every=4
        ),
    )


def loss_of(experiment: Experiment) -> LossFunction:
    return make_loss(
        experiment.tokenizer,
        experiment.segment_tokenizer,
        experiment.normalizer,
        experiment.method,
        experiment.config.training,
    )


def step_of(experiment: Experiment) -> tuple[TrainStep, TrainState]:
    config = experiment.config
    optimizer = make_optimizer(config.optimizer, config.training.num_steps, config.method)
    model = jax.tree.map(jnp.copy, experiment.model)  # a step consumes the state it is given
    return make_train_step(loss_of(experiment), optimizer, config.training), initial_state(model, optimizer)


def signal_of(experiment: Experiment, step: int) -> jax.Array:
    return jnp.asarray(experiment.training_data.batch(step).signal)


def randomized(model: CodecModel) -> CodecModel:
    """No weight zero: a fresh decoder says zero and passes nothing back."""
    random = np.random.default_rng(0)
    return jax.tree.map(lambda leaf: jnp.asarray(0.3 * random.standard_normal(leaf.shape), jnp.float32), model)


def flat(tree: Any) -> np.ndarray:
    return np.concatenate([np.asarray(leaf, np.float64).ravel() for leaf in jax.tree.leaves(tree)])


def equal(first: Any, second: Any) -> bool:
    return all(np.array_equal(a, b) for a, b in zip(jax.tree.leaves(first), jax.tree.leaves(second), strict=True))


# The losses.


def constant(*scores: float) -> list[Judgement]:
    """One view per score, of growing size."""
    return [Judgement(jnp.full((2, 3 + i, 4 + i), score), ()) for i, score in enumerate(scores)]


def test_hinge_losses_of_constant_scores() -> None:
    """Scores beyond the margin do not count; views of any size count the same."""
    assert float(discriminator_loss("hinge", constant(0.25), constant(-0.5))) == pytest.approx(0.75 + 0.5)
    assert float(discriminator_loss("hinge", constant(3.0), constant(-2.0))) == 0.0
    assert float(discriminator_loss("hinge", constant(3.0, 0.0), constant(-2.0, 0.0))) == pytest.approx((0.0 + 2.0) / 2)
    assert float(generator_loss("hinge", constant(-0.5, 2.5))) == pytest.approx(-1.0)


def test_least_squares_losses_of_constant_scores() -> None:
    """Real scores are pulled to 1, the discriminator pulls others to 0 and the generator to 1."""
    value = discriminator_loss("least-squares", constant(0.5, 1.0), constant(2.0, 0.0))
    assert float(value) == pytest.approx(((0.25 + 4.0) + 0.0) / 2)
    assert float(generator_loss("least-squares", constant(3.0, 1.0))) == pytest.approx((4.0 + 0.0) / 2)


def test_feature_matching_is_a_relative_difference() -> None:
    features = (noise(2, 6, 5, 4), noise(2, 3, 3, 4, seed=1))
    real = [Judgement(jnp.zeros((2, 3, 3)), features)]
    assert float(feature_matching_loss(real, real)) == 0.0
    for scale in (1.0, 100.0):  # a discriminator that scales its features changes nothing
        scaled = [Judgement(jnp.zeros((2, 3, 3)), tuple(scale * f for f in features))]
        louder = [Judgement(jnp.zeros((2, 3, 3)), tuple(1.3 * scale * f for f in features))]
        assert float(feature_matching_loss(scaled, louder)) == pytest.approx(0.3, rel=1e-4)


# The discriminators.


def test_compression_is_a_square_root_with_a_bounded_slope() -> None:
    x = jnp.array([0.04, 1.0, 25.0])
    np.testing.assert_allclose(compress(x), jnp.sqrt(x), rtol=1e-3)
    np.testing.assert_allclose(compress(-x), -compress(x))
    assert float(jax.grad(lambda x: compress(x))(0.0)) == pytest.approx(COMPRESSION_FLOOR**-0.5)


@pytest.fixture(scope="module")
def audio() -> Callable[..., list[Judgement]]:
    return jax.jit(AudioDiscriminator(TINY, rngs=rngs()))


def test_every_resolution_sees_a_difference(audio: Callable[..., list[Judgement]]) -> None:
    """And has scores of its own: one per two frames and two bins after the stride."""
    signal = noise(2, 160)
    before, after = audio(signal, signal), audio(signal.at[:, 80].add(0.5), signal)
    assert [judgement.scores.shape for judgement in before] == [(2, 11, 4), (2, 5, 10)]
    for old, new in zip(before, after, strict=True):
        assert len(old.features) == TINY.num_blocks
        assert bool((jnp.abs(old.scores - new.scores).max(axis=(1, 2)) > 1e-4).all())


def test_the_level_of_a_recording_does_not_matter_but_that_of_its_reconstruction_does(
    audio: Callable[..., list[Judgement]],
) -> None:
    signal = noise(2, 160)
    reference, louder, apart = audio(signal, signal), audio(0.03 * signal, 0.03 * signal), audio(0.5 * signal, signal)
    for here, there, elsewhere in zip(reference, louder, apart, strict=True):
        np.testing.assert_allclose(here.scores, there.scores, atol=1e-4)
        assert float(jnp.abs(here.scores - elsewhere.scores).max()) > 1e-3


def test_silence_has_finite_scores_and_gradients(audio: Callable[..., list[Judgement]]) -> None:
    silence = jnp.zeros((1, 160))
    gradient = jax.jit(jax.grad(lambda signal: generator_loss("hinge", audio(signal, silence))))(silence)
    assert bool(jnp.isfinite(gradient).all())


def test_every_score_of_an_image_sees_a_patch() -> None:
    discriminator = jax.jit(ImageDiscriminator(TINY, rngs=rngs()))
    image = noise(1, 28, 28)
    [before], [after] = discriminator(image, image), discriminator(image.at[0, 2, 2].add(1.0), image)
    changed = np.abs(before.scores - after.scores)[0] > 1e-6
    assert changed.shape == (14, 14)
    assert changed[1, 1]
    assert not changed[3:].any()
    assert not changed[:, 3:].any()


@pytest.mark.parametrize("kind", ["audio", "image"])
def test_every_weight_of_the_discriminator_learns(kind: str) -> None:
    build, shape = {"audio": (AudioDiscriminator, (2, 160)), "image": (ImageDiscriminator, (2, 28, 28))}[kind]
    real, fake = noise(*shape), noise(*shape, seed=1)

    def loss(discriminator: Any) -> jax.Array:
        return discriminator_loss("least-squares", discriminator(real, real), discriminator(fake, real))

    gradient = jax.jit(jax.grad(loss))(build(TINY, rngs=rngs()))
    assert all(bool(leaf.any()) for leaf in jax.tree.leaves(gradient))


# The game: who is moved by what.


@pytest.fixture(scope="module")
def of_sounds() -> Experiment:
    return build_experiment(sounds(), None)


@pytest.fixture(scope="module")
def of_pictures() -> Experiment:
    return build_experiment(pictures(), None)


@pytest.fixture(scope="module")
def autoencoder() -> Experiment:
    return build_experiment(pictures(AutoencoderConfig()), None)


def parts(gradient: CodecModel) -> tuple[np.ndarray, np.ndarray]:
    return flat(gradient.without_discriminator()), flat(gradient.discriminator)


def signals_of(experiment: Experiment, model: CodecModel, batch: jax.Array) -> tuple[jax.Array, jax.Array]:
    """Original and reconstruction of the middle tokens, by the codec's own parts."""
    tokens = experiment.tokenizer.tokenize(batch)[:, 3:8]
    x, side = experiment.normalizer.normalize(tokens)
    local = model.condition(
        model.encode(x, experiment.normalizer.features(side)).latent, experiment.normalizer.features(side)
    ).features
    zeros, ones = jnp.zeros(len(x)), jnp.ones(len(x))
    decoded = -model.decoder(jnp.zeros_like(x), zeros, ones, Conditioning(local=local)).mean
    return tuple(
        experiment.segment_tokenizer.detokenize(experiment.normalizer.denormalize(values, side))
        for values in (x, decoded)
    )


def test_each_side_receives_its_own_gradient_alone(of_sounds: Experiment) -> None:
    """The discriminator that of its loss; the others that of the regression plus a multiple of the generator's."""
    model, batch = randomized(of_sounds.model), signal_of(of_sounds, 0)

    def gradients(feature_matching_weight: float) -> list[tuple[np.ndarray, np.ndarray]]:
        """Before the adversary's first step, and after it."""
        config = AdversarialConfig(
            adversarial_weight=0.7,
            feature_matching_weight=feature_matching_weight,
            start_step=5,
            discriminator=TINY,
        )
        gradient = jax.jit(jax.grad(loss_of(replace(of_sounds, method=Adversarial(config))), has_aux=True))
        return [parts(gradient(model, batch, None, jax.random.key(0), jnp.array(step))[0]) for step in (4, 5)]

    (regression, nothing), (networks, discriminator) = gradients(0.0)
    assert not nothing.any()

    @jax.jit
    @jax.grad
    def of_generator(networks: CodecModel) -> jax.Array:
        real, fake = signals_of(of_sounds, networks, batch)
        return generator_loss("hinge", model.discriminator(fake, real))

    @jax.jit
    @jax.grad
    def of_discriminator(discriminator: AudioDiscriminator) -> jax.Array:
        real, fake = signals_of(of_sounds, model, batch)
        return discriminator_loss("hinge", discriminator(real, real), discriminator(fake, real))

    np.testing.assert_allclose(discriminator, flat(of_discriminator(model.discriminator)), rtol=1e-4, atol=1e-6)
    difference = networks - regression
    direction, _ = parts(of_generator(model))
    factor = (difference @ direction) / (direction @ direction)
    assert factor > 0.0
    np.testing.assert_allclose(difference, factor * direction, atol=1e-4 * np.abs(difference).max())
    # Feature matching is the generator's alone.
    _, (both, same) = gradients(0.4)
    np.testing.assert_array_equal(same, discriminator)
    assert np.abs(both - networks).max() > 1e-3 * np.abs(networks).max()


@pytest.mark.parametrize("weights", [(0.7, 0.0), (1e-6, 0.4)])
def test_weights_are_sizes_of_gradients_relative_to_the_regression(
    of_pictures: Experiment, weights: tuple[float, float]
) -> None:
    """At the reconstruction, whatever the scale of the discriminator: here its scores and features are ten-fold."""
    adversarial_weight, feature_matching_weight = weights
    method = Adversarial(
        AdversarialConfig(
            adversarial_weight=adversarial_weight, feature_matching_weight=feature_matching_weight, discriminator=TINY
        )
    )
    x, reconstruction, weight = noise(2, 4, 16), noise(2, 4, 16, seed=1), jnp.ones((1, 1, 16))
    discriminator = jax.tree.map(lambda leaf: 10.0 * leaf, of_pictures.model.discriminator)

    def loss(reconstruction: jax.Array) -> jax.Array:
        game = method.game(
            discriminator, x, reconstruction, weight, of_pictures.segment_tokenizer.detokenize, jnp.array(0)
        )
        return game[0] + game[1]

    regression = 2.0 * (reconstruction - x) / x.size
    push = jax.jit(jax.grad(loss))(reconstruction) - regression
    size = optax.tree.norm(push) / optax.tree.norm(regression)
    assert float(size) == pytest.approx(sum(weights), rel=1e-3)


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


def test_a_prior_is_left_alone_by_the_adversary() -> None:
    """Its prediction is part of what is judged, but only decoder and features are moved by the judgement."""
    experiment = build_experiment(sounds(prior=True), None)
    gradient, metrics = jax.jit(jax.grad(loss_of(experiment), has_aux=True))(
        randomized(experiment.model), signal_of(experiment, 0), None, jax.random.key(0), jnp.array(3)
    )
    assert not any(bool(leaf.any()) for leaf in jax.tree.leaves((gradient.prior.mean, gradient.prior.log_scale)))
    assert all(bool(leaf.any()) for leaf in jax.tree.leaves((gradient.prior.backbone, gradient.discriminator)))
    assert float(metrics["objective"]) == -3.0


def test_a_segment_is_the_middle_of_a_signal() -> None:
    """The loss of a crop of 10 tokens, of which 5 are seen, is that of the five alone."""
    config = sounds(AutoencoderConfig()).model_copy(
        update={"tokenizer": ReshapeConfig(patch=16), "normalization": GainShapeConfig(num_bands=1)}
    )
    experiment = build_experiment(config, None)
    model, batch = randomized(experiment.model), noise(2, 160)
    assert experiment.tokenizer.spec.num_tokens == 10
    alone = make_loss(
        experiment.segment_tokenizer,
        experiment.segment_tokenizer,
        experiment.normalizer,
        experiment.method,
        config.training,
    )
    rest = (model, None, jax.random.key(0), jnp.array(0))
    of_crop = jax.jit(loss_of(experiment))(rest[0], batch, *rest[1:])[0]
    of_middle = jax.jit(alone)(rest[0], batch[:, 2 * 16 : 7 * 16], *rest[1:])[0]
    np.testing.assert_allclose(of_crop, of_middle, rtol=1e-6)
    with pytest.raises(ValueError, match="5 tokens, fewer than a segment, 10"):
        make_loss(
            experiment.segment_tokenizer,
            experiment.tokenizer,
            experiment.normalizer,
            experiment.method,
            config.training,
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
