"""The gradients of the adversarial method: which loss moves which weights, how far, and from which tokens."""

from dataclasses import replace

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from fixtures.adversarial_models import TINY, flat, noise, parts, pictures, signal_of, sounds
from fixtures.computation import loss_of
from fixtures.one_rate import one_rate

from meanflow_audio_codec.configs.methods import AdversarialConfig, AutoencoderConfig
from meanflow_audio_codec.configs.tokens import ReshapeConfig
from meanflow_audio_codec.models.codec_model import CodecModel
from meanflow_audio_codec.models.conditioning import Conditioning
from meanflow_audio_codec.models.discriminator import AudioDiscriminator
from meanflow_audio_codec.models.methods.adversarial import Adversarial, discriminator_loss, generator_loss
from meanflow_audio_codec.trainers.experiment import Experiment, build_experiment
from meanflow_audio_codec.trainers.step import make_loss


@pytest.fixture(scope="module")
def of_sounds() -> Experiment:
    return build_experiment(sounds(), None)


@pytest.fixture(scope="module")
def of_pictures() -> Experiment:
    return build_experiment(pictures(), None)


def randomized(model: CodecModel) -> CodecModel:
    """No weight zero: a fresh decoder says zero and passes nothing back."""
    random = np.random.default_rng(0)
    return jax.tree.map(lambda leaf: jnp.asarray(0.3 * random.standard_normal(leaf.shape), jnp.float32), model)


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
        update={"tokenizer": ReshapeConfig(patch=16), "normalization": one_rate(1, 2)}
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
