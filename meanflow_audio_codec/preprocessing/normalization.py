"""From the configuration of a normalisation to its normaliser, and what is fitted for it."""

from collections.abc import Iterable

import numpy as np
from jaxtyping import Array, Float

from meanflow_audio_codec.configs.decoding import DecodingConfig
from meanflow_audio_codec.configs.tokens import BlockGainShapeConfig, ChannelStatisticsConfig, NormalizationConfig
from meanflow_audio_codec.preprocessing.block_gain_shape import BlockGainShapeNormalizer, fit_band_basis
from meanflow_audio_codec.preprocessing.channel_statistics import ChannelNormalizer, fit_channel_normalizer
from meanflow_audio_codec.preprocessing.normalizer import TokenNormalizer
from meanflow_audio_codec.preprocessing.specs import SignalSpec, TokenSpec

State = dict[str, list[float]]


def build_normalizer(
    config: NormalizationConfig,
    decoding: DecodingConfig,
    spec: TokenSpec,
    signal: SignalSpec,
    state: State,
) -> TokenNormalizer:
    """The normaliser of a configuration with its fitted state.

    Raises:
        ValueError: gain-shape coding of something without a sample rate, or a state of another size.
    """
    match config:
        case BlockGainShapeConfig():
            if set(state) != {"basis"}:
                raise ValueError("block-gain-shape normalization needs its fitted basis")
            return BlockGainShapeNormalizer(config, decoding, spec.channels, _rate(signal), tuple(state["basis"]))
        case ChannelStatisticsConfig():
            if {name: len(values) for name, values in state.items()} != {"mean": spec.channels, "scale": spec.channels}:
                raise ValueError(f"channel statistics need mean and scale of {spec.channels} channels each")
            return ChannelNormalizer(tuple(state["mean"]), tuple(state["scale"]), config.compression_power)


def fit_normalizer(
    config: NormalizationConfig, spec: TokenSpec, signal: SignalSpec, batches: Iterable[Float[Array, "b n c"]]
) -> State:
    """What the normaliser of a configuration learns from batches of training tokens.

    Raises:
        ValueError: gain-shape coding of something without a sample rate.
    """
    match config:
        case BlockGainShapeConfig():
            return {"basis": list(fit_band_basis(batches, config, spec.channels, _rate(signal)))}
        case ChannelStatisticsConfig(compression_power=power, shared_scale=shared):
            return fit_channel_normalizer(batches, power, shared_scale=shared).state()


def unfitted_state(config: NormalizationConfig, spec: TokenSpec) -> State:
    """A state of the right shape that is fitted to nothing: for shapes and costs."""
    match config:
        case BlockGainShapeConfig():
            return {"basis": np.eye(config.num_bands).ravel().tolist()}
        case ChannelStatisticsConfig():
            return {"mean": [0.0] * spec.channels, "scale": [1.0] * spec.channels}


def _rate(signal: SignalSpec) -> int:
    if signal.sample_rate is None:
        raise ValueError("block-gain-shape normalization needs audio: the signal has no sample rate")
    return signal.sample_rate
