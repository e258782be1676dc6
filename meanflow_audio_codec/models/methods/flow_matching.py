"""(B) Flow matching: regression of the velocity onto e - x, and a numerical solution of its flow (arXiv 2210.02747)."""

from dataclasses import dataclass

import jax
from jaxtyping import Array, Float, PRNGKeyArray

from meanflow_audio_codec.configs.methods import FlowMatchingConfig
from meanflow_audio_codec.models.conditioning import Conditioning
from meanflow_audio_codec.models.methods.base import (
    LossWeight,
    Metrics,
    Time,
    Tokens,
    VelocityFunction,
    adaptive_weight,
    expand,
    interpolate,
    mean_square,
)
from meanflow_audio_codec.models.methods.guidance import drop_labels, without_label
from meanflow_audio_codec.models.methods.mean_velocity import boundary_velocity
from meanflow_audio_codec.models.methods.times import sample_logit_normal


@dataclass(frozen=True)
class FlowMatching:
    """Trains u(z, t, t) towards e - x; a step follows Euler's rule."""

    config: FlowMatchingConfig

    @property
    def noise_scale(self) -> float:
        """A flow starts from unit noise."""
        return 1.0

    @property
    def default_num_steps(self) -> int:
        """As configured: the flow is followed in small steps."""
        return self.config.default_num_steps

    @property
    def default_temperature(self) -> float:
        """As configured."""
        return self.config.default_temperature

    def num_evaluations(self, num_steps: int, *, guided: bool) -> int:
        """One per step; twice as many under guidance."""
        return num_steps * (2 if guided else 1)

    def loss(
        self, net: VelocityFunction, x: Tokens, conditioning: Conditioning, weight: LossWeight, key: PRNGKeyArray
    ) -> tuple[Float[Array, ""], Metrics]:
        """The conditional flow matching loss on straight lines (arXiv 2210.02747, equation 23), at logit-normal t."""
        config = self.config
        batch_size = x.shape[0]
        time_key, noise_key, drop_key = jax.random.split(key, 3)
        t = sample_logit_normal(config.time_mean, config.time_standard_deviation, (batch_size,), time_key)
        e = jax.random.normal(noise_key, x.shape, x.dtype)
        conditioning, _ = drop_labels(config, conditioning, batch_size, drop_key)
        prediction = boundary_velocity(net, interpolate(x, e, t), t, conditioning)
        error = mean_square(prediction - (e - x), weight)
        weighted = adaptive_weight(error, config.adaptive_weight_power, config.adaptive_weight_epsilon)
        return weighted.mean(), {"unweighted_loss": error.mean(), "velocity_loss": error.mean()}

    def velocity(self, net: VelocityFunction, z: Tokens, r: Time, t: Time, conditioning: Conditioning) -> Tokens:
        """v(z, t), or under guidance of scale w: w v(z, t | label) + (1 - w) v(z, t)."""
        del r  # Euler's rule asks at the start of a step alone
        if conditioning.guidance is None:
            return boundary_velocity(net, z, t, conditioning)
        scale = expand(conditioning.guidance)
        conditional = boundary_velocity(net, z, t, conditioning.with_guidance(None))
        unconditional = boundary_velocity(net, z, t, without_label(conditioning, len(z)))
        return scale * conditional + (1.0 - scale) * unconditional
