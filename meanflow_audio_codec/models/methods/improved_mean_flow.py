"""(D) Improved mean flow: mean flow as regression of a velocity onto e - x (arXiv 2512.02012)."""

from dataclasses import dataclass

import jax
from jaxtyping import Array, Float, PRNGKeyArray

from meanflow_audio_codec.configs.methods import FixedGuidanceConfig, GuidanceConfig, ImprovedMeanFlowConfig
from meanflow_audio_codec.errors import InputError
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
    INTERVAL_MIDDLE,
    Drop,
    drop_labels,
    fixed_guided_velocity,
    guided_velocity,
    is_guided,
    sample_interval,
    sample_scale,
    scale_inside,
    without_label,
)
from meanflow_audio_codec.models.methods.mean_velocity import (
    instantaneous_velocity,
    mean_velocity_and_correction,
    unweighted_loss,
)
from meanflow_audio_codec.models.methods.times import num_equal, sample_times


@dataclass(frozen=True)
class ImprovedMeanFlow:
    """Trains V = u + (t - r) sg(du/dt) towards v = e - x, with the network's own v as the tangent of du/dt."""

    config: ImprovedMeanFlowConfig

    def __post_init__(self) -> None:
        """Refuse a sampling interval that training never draws."""
        guidance = self.config.guidance
        if isinstance(guidance, GuidanceConfig):
            start, end = guidance.sampling_interval
            middle = INTERVAL_MIDDLE
            if not start <= middle <= end:
                raise InputError(
                    f"sampling_interval ({start:g}, {end:g}) is not trained: it must start in 0 ... {middle:g} and "
                    f"end in {middle:g} ... 1"
                )

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
        """The iMF loss (arXiv 2512.02012, equation 12 and algorithm 1), adaptively weighted per example."""
        config = self.config
        batch_size = x.shape[0]
        time_key, noise_key, drop_key, guidance_key = jax.random.split(key, 4)
        r, t = sample_times(config.time, batch_size, time_key)
        e = jax.random.normal(noise_key, x.shape, x.dtype)
        z = interpolate(x, e, t)
        target = e - x
        # Examples with r = t stand at the front: (t - r) du/dt is zero there, so they skip the derivative.
        front = num_equal(config.time, batch_size)

        conditioning, drop = drop_labels(config.guidance, conditioning, batch_size, drop_key)
        if conditioning.label is not None and self._is_guided:
            conditioning, target, conditional = self._guided_target(net, z, t, target, drop, conditioning, guidance_key)
            tangent = conditional[front:]
        else:
            tangent = instantaneous_velocity(net, z[front:], t[front:], conditioning.rows(front, batch_size))
        tangent, target = jax.lax.stop_gradient((tangent, target))

        # Equation 12. Only du/dt is stopped: V's gradient is u's, and no gradient runs through the tangent.
        u, correction, head = mean_velocity_and_correction(net, z, r, t, tangent, conditioning)
        error = mean_square(u + correction - target, weight)
        weighted = adaptive_weight(error, config.adaptive_weight_power, config.adaptive_weight_epsilon)
        metrics = {
            "unweighted_loss": unweighted_loss(error, front),
            "velocity_loss": error.mean(),
            "velocity_loss_at_equal_times": error[:front].sum() / max(front, 1),
        }
        if head is not None:
            head_error = mean_square(head - target, weight)
            weighted = weighted + adaptive_weight(
                head_error, config.adaptive_weight_power, config.adaptive_weight_epsilon
            )
            metrics["velocity_head_loss"] = head_error.mean()
        return weighted.mean(), metrics

    def velocity(self, net: VelocityFunction, z: Tokens, r: Time, t: Time, conditioning: Conditioning) -> Tokens:
        """u(z, r, t): one step from t to r is exact if u is."""
        return net(z, r, t, conditioning).mean

    @property
    def _is_guided(self) -> bool:
        guidance = self.config.guidance
        return is_guided(guidance) if isinstance(guidance, FixedGuidanceConfig) else guidance.max_scale > 1.0

    def _guided_target(
        self,
        net: VelocityFunction,
        z: Tokens,
        t: Time,
        v: Tokens,
        drop: Drop,
        conditioning: Conditioning,
        key: PRNGKeyArray,
    ) -> tuple[Conditioning, Tokens, Tokens]:
        """What u is told of guidance, the target under guidance, and the conditional velocity, which is the tangent.

        The two velocities are those under guidance at all times, with the scale that counts at t.
        """
        guidance, batch_size = self.config.guidance, len(z)
        unconditional = instantaneous_velocity(net, z, t, without_label(conditioning, batch_size))
        if isinstance(guidance, FixedGuidanceConfig):
            conditional = instantaneous_velocity(net, z, t, conditioning)
            target = fixed_guided_velocity(guidance, v, conditional, unconditional, drop)
            return conditioning, target, conditional
        scale_key, interval_key = jax.random.split(key)
        scale = sample_scale(guidance, batch_size, scale_key)
        told, counting = conditioning.with_guidance(scale), scale
        if guidance.condition_on_interval:
            interval = sample_interval(batch_size, num_equal(self.config.time, batch_size), interval_key)
            told, counting = told.with_interval(interval), scale_inside(interval, t, scale)
        conditional = instantaneous_velocity(net, z, t, conditioning.with_guidance(counting))
        return told, guided_velocity(v, conditional, unconditional, counting, drop), conditional
