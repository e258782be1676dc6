"""Channel statistics: unit variance after fitting, exact inverse, and no division by zero."""

import json

import jax.numpy as jnp
import numpy as np
import pytest

from meanflow_audio_codec.configs.tokens import ChannelStatisticsConfig, GainShapeConfig
from meanflow_audio_codec.preprocessing.gain_shape import GainShapeNormalizer
from meanflow_audio_codec.preprocessing.normalization import (
    ChannelNormalizer,
    TokenNormalizer,
    build_normalizer,
    fit_channel_normalizer,
)
from meanflow_audio_codec.preprocessing.specs import SignalSpec, TokenSpec

SPEC, AUDIO = TokenSpec((6,), 5), SignalSpec((24,), 16_000)


def batches(count: int = 4) -> list[jnp.ndarray]:
    """Channels of means 0 ... 4 and standard deviations 1 ... 5."""
    random = np.random.default_rng(0)
    values = np.arange(5) + np.arange(1, 6) * random.standard_normal((count, 8, 6, 5))
    return [jnp.asarray(batch, jnp.float32) for batch in values]


def test_the_training_tokens_become_standard() -> None:
    """Mean 0 and variance 1 per channel over all batches together, not per batch."""
    normalizer = fit_channel_normalizer(batches())
    tokens = jnp.concatenate(batches())
    normalised, side = normalizer.normalize(tokens)
    assert side.shape == (32, 6, 0)
    np.testing.assert_allclose(np.mean(normalised, axis=(0, 1)), 0.0, atol=1e-5)
    np.testing.assert_allclose(np.std(normalised, axis=(0, 1)), 1.0, atol=1e-5)
    np.testing.assert_allclose(normalizer.denormalize(normalised, side), tokens, rtol=0, atol=2e-6)
    assert normalizer.features(side).shape == (32, 6, 0)


def test_a_constant_channel_stays_finite_and_comes_back() -> None:
    """The border of an image: it gets a twentieth of the overall scale."""
    tokens = jnp.concatenate(batches()).at[..., 2].set(-1.0)
    normalizer = fit_channel_normalizer([tokens])
    assert normalizer.scale[2] == pytest.approx(0.05 * float(np.std(np.asarray(tokens, np.float64))), rel=1e-6)
    normalised, side = normalizer.normalize(tokens)
    np.testing.assert_allclose(normalised[..., 2], 0.0, atol=1e-6)
    np.testing.assert_allclose(normalizer.denormalize(normalised, side), tokens, rtol=0, atol=2e-6)


def test_all_zero_tokens_are_fitted_without_division_by_zero() -> None:
    normalizer = fit_channel_normalizer([jnp.zeros((2, 6, 5))])
    normalised, _ = normalizer.normalize(jnp.zeros((2, 6, 5)))
    assert not normalised.any()


def test_the_fitted_state_survives_json() -> None:
    """The run folder and the model folder keep it as JSON; values are exact."""
    normalizer = fit_channel_normalizer(batches())
    state = json.loads(json.dumps(normalizer.state()))
    assert build_normalizer(ChannelStatisticsConfig(), SPEC, AUDIO, state) == normalizer


def test_channels_count_the_same_and_there_is_no_side_information() -> None:
    normalizer = ChannelNormalizer(mean=(0.0,) * 5, scale=(1.0,) * 5)
    assert isinstance(normalizer, TokenNormalizer)
    assert normalizer.side_levels == ()
    _, side = normalizer.normalize(jnp.ones((2, 6, 5)))
    np.testing.assert_array_equal(normalizer.loss_weight(side) * jnp.ones((2, 6, 5)), np.ones((2, 6, 5)))


@pytest.mark.parametrize("state", [{}, {"mean": [0.0] * 5}, {"mean": [0.0] * 5, "scale": [1.0] * 4}])
def test_a_state_of_another_size_is_an_error(state: dict[str, list[float]]) -> None:
    with pytest.raises(ValueError, match="mean and scale of 5 channels each"):
        build_normalizer(ChannelStatisticsConfig(), SPEC, AUDIO, state)


def test_gain_shape_is_built_for_audio_only() -> None:
    normalizer = build_normalizer(GainShapeConfig(num_bands=3, step_db=2.0), TokenSpec((6,), 16), AUDIO, {})
    assert isinstance(normalizer, GainShapeNormalizer)
    assert isinstance(normalizer, TokenNormalizer)
    assert (normalizer.num_bins, normalizer.sample_rate, normalizer.num_bands, normalizer.step_db) == (
        16,
        16_000,
        3,
        2.0,
    )
    with pytest.raises(ValueError, match="needs audio"):
        build_normalizer(GainShapeConfig(), SPEC, SignalSpec((4, 5)), {})


def test_a_shared_scale_keeps_the_squared_error_of_the_signal() -> None:
    """Channels of very different scale: all are divided by the same number, which makes their mean variance one."""
    rng = np.random.default_rng(0)
    tokens = jnp.asarray(rng.standard_normal((4, 50, 3)) * [5.0, 1.0, 0.01] + [1.0, 2.0, 3.0], jnp.float32)
    normalizer = fit_channel_normalizer([tokens], shared_scale=True)
    x, _ = normalizer.normalize(tokens)
    assert len(set(normalizer.scale)) == 1
    np.testing.assert_allclose(np.asarray(x).var(axis=(0, 1)).mean(), 1.0, rtol=1e-5)
    np.testing.assert_allclose(np.asarray(x).mean(axis=(0, 1)), 0.0, atol=1e-5)


def test_compression_is_inverted_and_evens_out_loudness() -> None:
    rng = np.random.default_rng(1)
    tokens = jnp.asarray(rng.standard_normal((2, 40, 3)) * [100.0, 1.0, 0.01], jnp.float32)
    normalizer = fit_channel_normalizer([tokens], 0.5)
    x, side = normalizer.normalize(tokens)
    np.testing.assert_allclose(normalizer.denormalize(x, side), tokens, rtol=1e-4, atol=1e-6)
    expected = np.sign(tokens) * np.sqrt(np.abs(tokens))
    np.testing.assert_allclose(x * np.asarray(normalizer.scale) + np.asarray(normalizer.mean), expected, atol=1e-4)
