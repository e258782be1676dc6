"""Residual vector quantisation: the latent is that of the codes, codebooks learn, every codebook kept refines."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from flax import nnx
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from meanflow_audio_codec.configs.networks import RVQConfig
from meanflow_audio_codec.models.bottlenecks.bottleneck import Bottleneck
from meanflow_audio_codec.models.bottlenecks.rvq import RVQ

CONFIG = RVQConfig(channels=6, num_codebooks=4, codebook_size=16, code_channels=3)
CODEBOOKS, SIZE = CONFIG.num_codebooks, CONFIG.codebook_size
QUANTISER = RVQ(CONFIG, rngs=nnx.Rngs(params=jax.random.key(0)))
quantise, rebuild = jax.jit(QUANTISER), jax.jit(QUANTISER.codes_to_latent)
# Sums of a few products in float32, in whatever order a compiler likes.
ROUNDING = 1e-5


def latents(seed: int = 0, shape: tuple[int, int] = (8, 64)) -> jax.Array:
    return jax.random.normal(jax.random.key(seed), (*shape, CONFIG.channels))


def squared_errors(quantiser: RVQ, latent: jax.Array) -> np.ndarray:
    """Mean squared error with the first 0, 1, 2 ... codebooks."""
    counts = jnp.arange(CODEBOOKS + 1)
    parts = jax.jit(jax.vmap(lambda count: quantiser(latent, jnp.full(latent.shape[:2], count)).latent))(counts)
    return np.asarray(((parts - latent) ** 2).mean(axis=(1, 2, 3)))


@settings(max_examples=25, deadline=None)
@given(
    latent=arrays(np.float32, (2, 3, CONFIG.channels), elements=st.floats(-50.0, 50.0, width=32)),
    num_kept=arrays(np.int32, (2, 3), elements=st.integers(0, CODEBOOKS)),
)
def test_the_decoder_rebuilds_the_latent_from_the_codes(latent: np.ndarray, num_kept: np.ndarray) -> None:
    """Of what is kept: codes that are left out may be any."""
    whole, part = quantise(jnp.asarray(latent)), quantise(jnp.asarray(latent), jnp.asarray(num_kept))
    for output in (whole, part):
        assert (np.asarray(output.codes) >= 0).all()
        assert (np.asarray(output.codes) < SIZE).all()
    np.testing.assert_allclose(rebuild(whole.codes), whole.latent, atol=ROUNDING)
    for codes in (whole.codes, part.codes):
        np.testing.assert_allclose(rebuild(codes, jnp.asarray(num_kept)), part.latent, atol=ROUNDING)
    kept = np.arange(CODEBOOKS) < num_kept[..., None]
    np.testing.assert_array_equal(part.codes, np.where(kept, whole.codes, SIZE // 2))


def test_what_is_kept_is_the_sum_of_its_entries() -> None:
    """In float64, with the nearest entry by angle of what the codebooks before have left: (12) of codec_design.md."""
    into, out, codebooks = (
        np.asarray(part[...], np.float64) for part in (QUANTISER.project_in, QUANTISER.project_out, QUANTISER.codebooks)
    )
    latent = latents(1, (1, 5))
    whole = quantise(latent)
    residual, total = np.asarray(latent, np.float64)[0], np.zeros((5, CONFIG.channels))
    for stage in range(CODEBOOKS):
        part = quantise(latent, jnp.full((1, 5), stage))
        np.testing.assert_allclose(part.latent[0], total, atol=ROUNDING)
        seen = residual @ into[stage]
        cosine = (seen @ codebooks[stage].T) / np.linalg.norm(seen, axis=1)[:, None]
        cosine /= np.linalg.norm(codebooks[stage], axis=1)
        np.testing.assert_array_equal(whole.codes[0, :, stage], cosine.argmax(axis=1))
        step = codebooks[stage][cosine.argmax(axis=1)] @ out[stage]
        residual, total = residual - step, total + step
    np.testing.assert_allclose(whole.latent[0], total, atol=ROUNDING)


def test_the_loss_is_that_of_its_definition() -> None:
    """Equation (13): with both weights, of the codebooks that are kept, a mean over all."""
    latent, num_kept = latents(2, (1, 7)), jnp.arange(7)[None] % (CODEBOOKS + 1)
    residual, expected = np.asarray(latent, np.float64)[0], 0.0
    codes = np.asarray(quantise(latent).codes)[0]
    for stage in range(CODEBOOKS):
        entry = np.asarray(QUANTISER.codebooks[stage], np.float64)[codes[:, stage]]
        distance = ((residual @ np.asarray(QUANTISER.project_in[stage], np.float64) - entry) ** 2).mean(axis=1)
        expected += 1.25 * (distance * (stage < np.asarray(num_kept)[0])).mean() / CODEBOOKS
        residual = residual - entry @ np.asarray(QUANTISER.project_out[stage], np.float64)
    assert float(quantise(latent, num_kept).loss) == pytest.approx(expected, rel=1e-5)


def test_what_a_loss_of_the_latent_trains() -> None:
    """Straight through: encoder and maps, never the entries, and nothing at all where no code is kept."""
    latent, target = latents(3), latents(4)

    def use(quantiser: RVQ, latent: jax.Array, kept: int) -> jax.Array:
        return (quantiser(latent, jnp.full(latent.shape[:2], kept)).latent * target).sum()

    gradient = jax.jit(jax.grad(use, argnums=(0, 1)), static_argnums=2)
    of_quantiser, of_latent = gradient(QUANTISER, latent, CODEBOOKS)
    assert not of_quantiser.codebooks[...].any()
    assert of_quantiser.project_out[...].any(axis=(1, 2)).all()
    assert of_latent.any(axis=-1).all()
    # One codebook alone: the gradient passes its two maps as if nothing were quantised.
    of_quantiser, of_latent = gradient(QUANTISER, latent, 1)
    np.testing.assert_allclose(
        of_latent, target @ QUANTISER.project_out[0].T @ QUANTISER.project_in[0].T, atol=ROUNDING
    )
    assert not of_quantiser.project_out[1:].any()
    assert not any(leaf.any() for leaf in jax.tree.leaves(gradient(QUANTISER, latent, 0)))


def test_what_its_own_loss_trains() -> None:
    """Entries in use move to what they stand for; without commitment nothing else moves the latent."""
    latent = latents(5)

    def loss(quantiser: RVQ, latent: jax.Array) -> jax.Array:
        return quantiser(latent, jnp.ones(latent.shape[:2], jnp.int32)).loss

    of_quantiser, of_latent = jax.jit(jax.grad(loss, argnums=(0, 1)))(QUANTISER, latent)
    code = np.asarray(quantise(latent).codes)[..., 0]
    np.testing.assert_array_equal(
        np.asarray(of_quantiser.codebooks[...]).any(axis=-1),
        np.stack([np.isin(np.arange(SIZE), code)] + [np.zeros(SIZE, bool)] * (CODEBOOKS - 1)),
    )
    assert of_latent.any()
    seen = latent @ QUANTISER.project_in[0]
    distance = QUANTISER.codebooks[0][code] - seen
    count = latent.shape[0] * latent.shape[1] * CONFIG.code_channels * CODEBOOKS
    expected = np.zeros((SIZE, CONFIG.code_channels))
    np.add.at(expected, code.ravel(), np.asarray(2.0 * distance / count).reshape(-1, CONFIG.code_channels))
    np.testing.assert_allclose(of_quantiser.codebooks[0], expected, atol=1e-7)


def test_fresh_codebooks_use_most_of_their_entries() -> None:
    """Directions of a white latent are as isotropic as those of the entries."""
    codes = np.asarray(quantise(latents(6, (16, 64))).codes).reshape(-1, CODEBOOKS)
    assert all(len(np.unique(column)) >= 0.9 * SIZE for column in codes.T)


def test_every_codebook_lowers_the_error_once_trained() -> None:
    """By its own loss and the squared error, with the number of codebooks drawn for every token."""
    optimizer = optax.adam(1e-2)

    def loss(quantiser: RVQ, key: jax.Array) -> jax.Array:
        latent_key, count_key = jax.random.split(key)
        latent = jax.random.normal(latent_key, (8, 32, CONFIG.channels))
        output = quantiser(latent, jax.random.randint(count_key, (8, 32), 0, CODEBOOKS + 1))
        return ((output.latent - latent) ** 2).mean() + output.loss

    @jax.jit
    def train(quantiser: RVQ) -> RVQ:
        def step(state: tuple, key: jax.Array) -> tuple:
            quantiser, moments = state
            updates, moments = optimizer.update(jax.grad(loss)(quantiser, key), moments)
            return (optax.apply_updates(quantiser, updates), moments), None

        keys = jax.random.split(jax.random.key(7), 200)
        return jax.lax.scan(step, (quantiser, optimizer.init(quantiser)), keys)[0][0]

    latent = latents(8)
    before, after = squared_errors(QUANTISER, latent), squared_errors(train(QUANTISER), latent)
    assert (np.diff(after) < 0.0).all()
    assert after[-1] < 0.6 * before[-1]


def test_it_is_a_bottleneck_of_parameters_alone() -> None:
    assert isinstance(QUANTISER, Bottleneck)
    assert (QUANTISER.channels, QUANTISER.levels) == (6, (SIZE,) * CODEBOOKS)
    _, parameters, rest = nnx.split(QUANTISER, nnx.Param, ...)
    assert not jax.tree.leaves(rest)
    assert sum(leaf.size for leaf in jax.tree.leaves(parameters)) == CODEBOOKS * (2 * 6 * 3 + SIZE * 3)
