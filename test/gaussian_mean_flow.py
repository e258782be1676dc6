"""The mean velocity of a Gaussian in place of a network, and the improved mean flow without adaptive weights."""

import jax

from meanflow_audio_codec.configs.methods import ImprovedMeanFlowConfig, TimeConfig
from meanflow_audio_codec.datasets.synthetic import mean_velocity
from meanflow_audio_codec.models.conditioning import Conditioning
from meanflow_audio_codec.models.methods.improved_mean_flow import ImprovedMeanFlow
from meanflow_audio_codec.models.velocity import Velocity

SCALE = 0.5


def oracle(z: jax.Array, r: jax.Array, t: jax.Array, conditioning: Conditioning) -> Velocity:
    """The true mean velocity for x ~ N(0, SCALE^2)."""
    return Velocity(mean=mean_velocity(z, r, t, SCALE), instantaneous=None)


def plain(equal_share: float = 0.5, power: float = 0.0) -> ImprovedMeanFlow:
    return ImprovedMeanFlow(
        ImprovedMeanFlowConfig(time=TimeConfig(equal_share=equal_share), adaptive_weight_power=power)
    )
