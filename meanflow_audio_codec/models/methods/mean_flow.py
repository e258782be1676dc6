"""(C) Mean flow: regression of the mean velocity onto a target made of its own derivative (arXiv 2505.13447)."""

from dataclasses import dataclass

import jax
from jaxtyping import Array, Float, PRNGKeyArray

from meanflow_audio_codec.configs.methods import MeanFlowConfig
from meanflow_audio_codec.models.conditioning import Conditioning
from meanflow_audio_codec.models.methods.base import (
    LossWeight,
    Metrics,
    Time,
    Tokens,
    VelocityFunction,
    adaptive_weight,
    interpolate,
    mean_square,
)
from meanflow_audio_codec.models.methods.guidance import (
    drop_labels,
    fixed_guided_velocity,
    is_guided,
    without_label,
)
from meanflow_audio_codec.models.methods.mean_velocity import (
    boundary_velocity,
    mean_velocity_and_correction,
    unweighted_loss,
)
from meanflow_audio_codec.models.methods.times import num_equal, sample_times


@dataclass(frozen=True)
class MeanFlow:
    """Trains u towards sg(v - (t - r) du/dt), with the line's own velocity v = e - x as the tangent of du/dt."""

    config: MeanFlowConfig

    @property
    def noise_scale(self) -> float:
        """A flow starts from unit noise."""
        return 1.0

    @property
    def default_num_steps(self) -> int:
        """One, unless configured otherwise."""
        return self.config.default_num_steps

    @property
    def default_temperature(self) -> float:
        """As configured."""
        return self.config.default_temperature

    def num_evaluations(self, num_steps: int, *, guided: bool) -> int:
        """One per step: guidance is trained into the velocity."""
        del guided
        return num_steps

    def loss(
        self, net: VelocityFunction, x: Tokens, conditioning: Conditioning, weight: LossWeight, key: PRNGKeyArray
    ) -> tuple[Float[Array, ""], Metrics]:
        """The mean flow loss (arXiv 2505.13447, equations 9 to 11; 17 to 19 under guidance), adaptively weighted."""
        config = self.config
        batch_size = x.shape[0]
        time_key, noise_key, drop_key = jax.random.split(key, 3)
        r, t = sample_times(config.time, batch_size, time_key)
        e = jax.random.normal(noise_key, x.shape, x.dtype)
        z = interpolate(x, e, t)
        v = e - x
        front = num_equal(config.time, batch_size)

        conditioning, drop = drop_labels(config.guidance, conditioning, batch_size, drop_key)
        if conditioning.label is not None and is_guided(config.guidance):
            unconditional = boundary_velocity(net, z, t, without_label(conditioning, batch_size))
            # Without mixing the conditional velocity has no weight, and its evaluation is saved.
            mixed = config.guidance.mixing > 0.0
            conditional = boundary_velocity(net, z, t, conditioning) if mixed else unconditional
            v = fixed_guided_velocity(config.guidance, v, conditional, unconditional, drop)

        v = jax.lax.stop_gradient(v)
        u, correction, _ = mean_velocity_and_correction(net, z, r, t, v[front:], conditioning)
        target = v - correction
        error = mean_square(u - target, weight)
        weighted = adaptive_weight(error, config.adaptive_weight_power, config.adaptive_weight_epsilon)
        return weighted.mean(), {
            "unweighted_loss": unweighted_loss(error, front),
            "mean_velocity_loss": error.mean(),
            "velocity_loss_at_equal_times": error[:front].sum() / max(front, 1),
        }

    def velocity(self, net: VelocityFunction, z: Tokens, r: Time, t: Time, conditioning: Conditioning) -> Tokens:
        """u(z, r, t): one step from t to r is exact if u is."""
        return net(z, r, t, conditioning).mean
