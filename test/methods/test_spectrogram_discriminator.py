"""The discriminator of spectrograms: what it looks at, and what each resolution sees."""

from collections.abc import Callable
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from fixtures.adversarial_models import noise
from flax import nnx

from meanflow_audio_codec.configs.adversarial_sampler import SpectrogramDiscriminatorConfig
from meanflow_audio_codec.models.discriminator import COMPRESSION_FLOOR, Judgement
from meanflow_audio_codec.models.methods.adversarial import discriminator_loss, generator_loss
from meanflow_audio_codec.models.spectrogram_discriminator import (
    SpectrogramDiscriminator,
    compressed_spectrogram,
    halved,
)

TINY = SpectrogramDiscriminatorConfig(window_lengths=(16, 40), width=4, num_blocks=2)


@pytest.fixture(scope="module")
def judge() -> Callable[..., list[Judgement]]:
    return jax.jit(SpectrogramDiscriminator(TINY, rngs=nnx.Rngs(0)))


def test_spectrograms_keep_phases_and_the_square_roots_of_magnitudes() -> None:
    """Of a cosine in the middle of a bin: the transform is half the window's sum, its phase turns from hop to hop."""
    window, amplitude, turns = 64, 3.0, 7
    signal = amplitude * jnp.cos(2.0 * jnp.pi * turns * jnp.arange(160) / window)[None]
    real, imaginary = np.moveaxis(np.asarray(compressed_spectrogram(signal, window)), -1, 0)
    assert real.shape == (1, 160 // 16 - 3, window // 2 + 1)
    magnitude = amplitude * window / 4.0 / np.sqrt(0.375 * window)
    expected = np.sqrt(magnitude) * np.exp(2j * np.pi * turns * np.arange(7) / 4.0)
    np.testing.assert_allclose(real[0, :, turns] + 1j * imaginary[0, :, turns], expected, atol=1e-4)


def test_white_noise_has_unit_mean_square_before_compression() -> None:
    """Compressed to the power of 1/2, the fourth power of a value's modulus is the power of the spectrum."""
    power = (compressed_spectrogram(noise(4, 20_000), 240) ** 2).sum(axis=-1) ** 2
    assert float(power[..., 1:-1].mean()) == pytest.approx(1.0, rel=0.02)


def test_the_slope_at_silence_is_bounded() -> None:
    slope = jax.jit(jax.grad(lambda signal: compressed_spectrogram(signal, 16).sum()))(jnp.zeros((1, 64)))
    assert bool(jnp.isfinite(slope).all())
    # Each sample lies in four frames, in each with at most the windows' weight in all bins, real and imaginary.
    assert float(jnp.abs(slope).max()) <= COMPRESSION_FLOOR**-0.5 * 4.0 * 2.0 * 9.0 / np.sqrt(0.375 * 16)


@pytest.mark.parametrize(("rows", "columns"), [(6, 8), (5, 9)])
def test_a_convolution_of_halved_planes_is_one_of_stride_two(rows: int, columns: int) -> None:
    plane, kernel = noise(2, rows, columns, 3), noise(2, 4, 12, 5, seed=1)
    convolve = partial(jax.lax.conv_general_dilated, dimension_numbers=("NHWC", "HWIO", "NHWC"))
    folded = convolve(halved(plane), kernel, (1, 1), "VALID")
    # Rows and columns of the blocks between those of the positions.
    unfolded = kernel.reshape(2, 4, 2, 2, 3, 5).transpose(0, 2, 1, 3, 4, 5).reshape(4, 8, 3, 5)
    padded = jnp.pad(plane, ((0, 0), (0, rows % 2), (0, columns % 2), (0, 0)))
    np.testing.assert_allclose(folded, convolve(padded, unfolded, (2, 2), "VALID"), rtol=1e-4, atol=1e-4)


def test_every_resolution_has_scores_and_features_of_its_own(judge: Callable[..., list[Judgement]]) -> None:
    """Frames: 160 / hop - 3; bins: window / 2 + 1; both halved twice, rounded up."""
    signal = noise(2, 160)
    before, after = judge(signal, signal), judge(signal.at[:, 80].add(0.5), signal)
    assert [judgement.scores.shape for judgement in before] == [(2, 10, 3), (2, 4, 6)]
    for old, new in zip(before, after, strict=True):
        assert [each.shape[-1] for each in old.features] == [TINY.width] * (TINY.num_blocks + 1)
        assert bool((jnp.abs(old.scores - new.scores).max(axis=(1, 2)) > 1e-4).all())


def test_levels_and_phases(judge: Callable[..., list[Judgement]]) -> None:
    """The recording's level does not matter; that of its reconstruction does, and so do signs."""
    signal = noise(2, 160)
    reference, louder = judge(signal, signal), judge(0.03 * signal, 0.03 * signal)
    apart, turned = judge(0.5 * signal, signal), judge(-signal, signal)
    for here, there, *others in zip(reference, louder, apart, turned, strict=True):
        np.testing.assert_allclose(here.scores, there.scores, atol=1e-4)
        assert all(float(jnp.abs(here.scores - other.scores).max()) > 1e-3 for other in others)


def test_silence_has_finite_scores_and_gradients(judge: Callable[..., list[Judgement]]) -> None:
    silence = jnp.zeros((1, 160))
    gradient = jax.jit(jax.grad(lambda signal: generator_loss("hinge", judge(signal, silence))))(silence)
    assert bool(jnp.isfinite(gradient).all())


def test_every_weight_learns() -> None:
    real, fake = noise(2, 160), noise(2, 160, seed=1)

    @jax.jit
    @jax.grad
    def gradient(discriminator: SpectrogramDiscriminator) -> jax.Array:
        return discriminator_loss("least-squares", discriminator(real, real), discriminator(fake, real))

    assert all(bool(leaf.any()) for leaf in jax.tree.leaves(gradient(SpectrogramDiscriminator(TINY, rngs=nnx.Rngs(0)))))
