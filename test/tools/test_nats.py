"""Nats over the Gaussian: relative entropies that are known, and what may be asked of a model."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from fixtures.golden_files import speech_signal
from fixtures.tiny_models import scalable_codec

from meanflow_audio_codec.configs.methods import AutoencoderConfig
from meanflow_audio_codec.configs.tokens import BlockGainShapeConfig
from meanflow_audio_codec.errors import InputError
from meanflow_audio_codec.models.build import build_method
from meanflow_audio_codec.tools.benchmarks.ablations.nats import (
    bands,
    gained_nats,
    log_odds,
    nats_of_model,
    operating_point,
)


def gaussian_velocity(z: jax.Array, t: jax.Array, scale: float | jax.Array) -> jax.Array:
    """E[e - x | z] for x ~ N(0, scale^2): covariance of both over the variance of z."""
    variance = (1.0 - t) ** 2 * scale**2 + t**2
    return ((t - (1.0 - t) * scale**2) / variance)[:, None, None] * z


@pytest.mark.parametrize("scale", [0.5, 1.0, 1.6])
def test_the_right_velocity_of_a_gaussian_gains_its_relative_entropy(scale: float) -> None:
    """D(N(0, s^2) || N(0, 1)) = (s^2 - 1) / 2 - log s."""
    x = scale * jax.random.normal(jax.random.key(1), (64, 40, 8))
    gained = jax.jit(lambda x: gained_nats(lambda z, t: gaussian_velocity(z, t, scale), x, 40, jax.random.key(2)))(x)
    assert gained.shape == (64, 8)
    assert float(gained.mean()) == pytest.approx((scale**2 - 1.0) / 2.0 - np.log(scale), abs=0.01)


def test_a_wrong_velocity_gains_less_than_the_right_one_and_may_lose() -> None:
    """Of data of scale 0.5: under scale s it gains D(p || N(0, 1)) - D(p || N(0, s^2))."""
    x = 0.5 * jax.random.normal(jax.random.key(1), (64, 40, 8))

    def expected(scale: float) -> float:
        ratio = 0.5 / scale
        return (0.25 - 1.0) / 2.0 - np.log(0.5) - ((ratio**2 - 1.0) / 2.0 - np.log(ratio))

    @jax.jit
    def gained(x: jax.Array, scale: jax.Array) -> jax.Array:
        return gained_nats(lambda z, t: gaussian_velocity(z, t, scale), x, 40, jax.random.key(2)).mean()

    for scale in (0.4, 0.7, 1.5):
        assert float(gained(x, jnp.float32(scale))) == pytest.approx(expected(scale), abs=0.01)
    assert expected(1.5) < 0.0 < expected(0.7) < expected(0.5)


def test_times_are_spread_evenly_in_log_odds() -> None:
    places = log_odds(6)
    np.testing.assert_allclose(places, [-5.0, -3.0, -1.0, 1.0, 3.0, 5.0])


def test_bands_cover_every_coefficient_once() -> None:
    for channels, rate in ((320, 16_000), (512, 44_100), (8, 8_000)):
        *parts, whole = [chosen for _, chosen in bands(channels, rate)]
        indices = np.arange(channels)
        np.testing.assert_array_equal(np.concatenate([indices[part] for part in parts]), indices[whole])
    assert [name for name, _ in bands(320, 16_000)] == [
        "0 to 1 kHz",
        "1 to 2 kHz",
        "2 to 4 kHz",
        "4 to 8 kHz",
        "all",
    ]


def test_nats_of_a_model_depend_on_its_decoder_and_not_on_chance() -> None:
    pretrained = scalable_codec().pretrained
    normalization = pretrained.config.normalization
    assert isinstance(normalization, BlockGainShapeConfig)
    point = operating_point(pretrained, normalization.operating_points[1].bits_per_second / 1000.0)
    hop = pretrained.tokenizer.spec.channels
    signal = jnp.asarray(speech_signal()[None, : 23 * hop])  # 24 frames, in blocks of four
    first, again = (nats_of_model(pretrained, 4, point)(signal, jax.random.key(0)) for _ in range(2))
    np.testing.assert_array_equal(first, again)
    assert first.shape == (1, pretrained.tokenizer.spec.channels)
    decoder = jax.tree.map(lambda leaf: leaf + 0.1, pretrained.model.decoder)
    model = dataclasses.replace(pretrained).model
    other = type(model)(model.encoder, model.bottleneck, model.prior, decoder)
    changed = nats_of_model(dataclasses.replace(pretrained, model=other), 4, point)(signal, jax.random.key(0))
    assert float(jnp.abs(changed - first).max()) > 1e-3


def test_what_has_no_velocity_or_no_such_rate_is_refused() -> None:
    pretrained = scalable_codec().pretrained
    with pytest.raises(InputError, match="must be that of an operating point"):
        operating_point(pretrained, 7.7)
    with pytest.raises(InputError, match="must be that of an operating point"):
        operating_point(pretrained, None)
    method = build_method(AutoencoderConfig())
    config = pretrained.config.model_copy(update={"method": AutoencoderConfig()})
    with pytest.raises(InputError, match="autoencoder has no velocity"):
        nats_of_model(dataclasses.replace(pretrained, method=method, config=config), 4, 0)
