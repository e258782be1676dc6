"""Channel statistics: unit variance after fitting, exact inverse, and no division by zero."""

import json

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from fixtures.one_rate import one_rate

from meanflow_audio_codec.configs.decoding import DecodingConfig
from meanflow_audio_codec.configs.tokens import BlockGainShapeConfig, ChannelStatisticsConfig, OperatingPointConfig
from meanflow_audio_codec.preprocessing.block_gain_shape import BlockGainShapeNormalizer
from meanflow_audio_codec.preprocessing.channel_statistics import ChannelNormalizer, fit_channel_normalizer
from meanflow_audio_codec.preprocessing.normalization import build_normalizer, unfitted_state
from meanflow_audio_codec.preprocessing.normalizer import TokenNormalizer
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
    assert build_normalizer(ChannelStatisticsConfig(), DecodingConfig(), SPEC, AUDIO, state) == normalizer


def test_channels_count_the_same_and_there_is_no_side_information() -> None:
    normalizer = ChannelNormalizer(mean=(0.0,) * 5, scale=(1.0,) * 5)
    assert isinstance(normalizer, TokenNormalizer)
    assert normalizer.side_levels == ()
    _, side = normalizer.normalize(jnp.ones((2, 6, 5)))
    np.testing.assert_array_equal(normalizer.loss_weight(side, 1.0) * jnp.ones((2, 6, 5)), np.ones((2, 6, 5)))


@pytest.mark.parametrize("state", [{}, {"mean": [0.0] * 5}, {"mean": [0.0] * 5, "scale": [1.0] * 4}])
def test_a_state_of_another_size_is_an_error(state: dict[str, list[float]]) -> None:
    with pytest.raises(ValueError, match="mean and scale of 5 channels each"):
        build_normalizer(ChannelStatisticsConfig(), DecodingConfig(), SPEC, AUDIO, state)


def test_gain_shape_is_built_for_audio_only() -> None:
    config, spec = BlockGainShapeConfig(num_bands=3), TokenSpec((4,), 16)
    state = unfitted_state(config, spec)
    normalizer = build_normalizer(config, DecodingConfig(), spec, AUDIO, state)
    assert isinstance(normalizer, BlockGainShapeNormalizer)
    assert (normalizer.num_bins, normalizer.sample_rate, normalizer.config) == (16, 16_000, config)
    with pytest.raises(ValueError, match="needs its fitted basis"):
        build_normalizer(config, DecodingConfig(), spec, AUDIO, {})
    with pytest.raises(ValueError, match="needs audio"):
        build_normalizer(config, DecodingConfig(), spec, SignalSpec((4, 5)), state)


# What every kind promises.

SPEC_OF_BANDS = TokenSpec((8,), 16)


def kinds() -> list[TokenNormalizer]:
    rates = ((600, 20.0, 5), (1_200, 10.0, 9))
    several = BlockGainShapeConfig(
        num_bands=3,
        operating_points=tuple(
            OperatingPointConfig(bits_per_second=rate, envelope_step_db=step, num_digits=digits)
            for rate, step, digits in rates
        ),
    )
    configs = (ChannelStatisticsConfig(), one_rate(3, 7, block_frames=2), several)
    return [
        build_normalizer(config, DecodingConfig(), SPEC_OF_BANDS, AUDIO, unfitted_state(config, SPEC_OF_BANDS))
        for config in configs
    ]


@pytest.mark.parametrize("normalizer", kinds(), ids=["channels", "one-rate", "several-rates"])
def test_the_promises_of_a_normaliser(normalizer: TokenNormalizer) -> None:
    """Whatever the kind: shapes, alphabets, and that what is not needed changes nothing."""
    assert isinstance(normalizer, TokenNormalizer)
    tokens = jnp.asarray(np.random.default_rng(0).standard_normal((2, 8, 16)), jnp.float32)
    x, side, symbols = normalizer.normalize_at(tokens, max(len(normalizer.bit_rates) - 1, 0))
    np.testing.assert_array_equal(x, normalizer.normalize(tokens)[0])
    np.testing.assert_array_equal(side, normalizer.in_full_detail(side))
    assert symbols.shape == (2, 8, len(normalizer.symbol_levels))
    assert side.shape == (2, 8, len(normalizer.side_levels)) == normalizer.features(side).shape
    assert 8 % normalizer.block_frames == 0
    np.testing.assert_allclose(normalizer.denormalize(x, side), tokens, rtol=2e-6, atol=1e-7)
    decoded = np.stack([normalizer.side_of_symbols(np.asarray(each)) for each in symbols])
    assert np.abs(decoded - np.asarray(side)).max(initial=0) <= 1
    np.testing.assert_allclose(np.mean(normalizer.loss_weight(side, 1.0), axis=-1), 1.0, rtol=1e-5)
    assert normalizer.loudness(np.asarray(side)).shape == (2, 8)
    columns = normalizer.gain_columns
    assert columns.count <= side.shape[-1]
    drawn, drawn_side = normalizer.draw(tokens, jax.random.key(0))
    # One rate has nothing to draw, and no code is left out.
    assert (normalizer.num_kept(side) is None) == (columns.detail is None) == (not normalizer.bit_rates)
    if not normalizer.bit_rates:
        np.testing.assert_array_equal(drawn, x)
        np.testing.assert_array_equal(drawn_side, side)
    else:
        assert bool((normalizer.num_kept(side) == normalizer.digits[-1, -1]).all())
        assert normalizer.draw(tokens, jax.random.key(1))[1].tolist() != drawn_side.tolist()


def test_channels_know_no_energy_of_bands() -> None:
    normalizer, ones = kinds()[0], jnp.ones((2, 8, 16))
    np.testing.assert_array_equal(normalizer.relative_weight(3.0 * ones), ones)
    np.testing.assert_array_equal(normalizer.scale_noise(ones, 0.5 * ones, ones), ones)
    np.testing.assert_array_equal(normalizer.restore_energy(ones, 4.0 * ones, jnp.float32(1.0)), ones)
