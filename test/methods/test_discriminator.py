"""The discriminators and what is made of their scores: losses in closed form, and what each score sees."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from fixtures.adversarial_models import TINY, noise
from flax import nnx

from meanflow_audio_codec.models.discriminator import (
    COMPRESSION_FLOOR,
    AudioDiscriminator,
    ImageDiscriminator,
    Judgement,
    compress,
)
from meanflow_audio_codec.models.methods.adversarial import discriminator_loss, feature_matching_loss, generator_loss


def rngs() -> nnx.Rngs:
    return nnx.Rngs(params=jax.random.key(0))


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
