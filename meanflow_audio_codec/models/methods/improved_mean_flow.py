"""(D) Improved mean flow: mean flow as regression of a velocity onto e - x (arXiv 2512.02012)."""

from dataclasses import dataclass

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, PRNGKeyArray

from meanflow_audio_codec.configs.methods import ImprovedMeanFlowConfig
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
from meanflow_audio_codec.models.methods.guidance import guided_velocity, sample_drop, sample_scale
from meanflow_audio_codec.models.methods.times import num_equal, sample_times


def instantaneous_velocity(net: VelocityFunction, z: Tokens, t: Time, conditioning: Conditioning) -> Tokens:
    """v(z, t): the auxiliary head where there is one, else the boundary condition u(z, t, t)."""
    velocity = net(z, t, t, conditioning)
    return velocity.mean if velocity.instantaneous is None else velocity.instantaneous


def mean_velocity_and_derivative(
    net: VelocityFunction, z: Tokens, r: Time, t: Time, tangent: Tokens, conditioning: Conditioning
) -> tuple[Tokens, Tokens, Tokens | None]:
    """u, its total derivative du/dt = v d_z u + d_t u along `tangent` = v, and the auxiliary head, in one pass.

    Source: arXiv 2505.13447, equation 8: the Jacobian-vector product of u with (v, 0, 1) in (z, r, t).
    """

    def u(z: Tokens, r: Time, t: Time) -> tuple[Tokens, Tokens | None]:
        velocity = net(z, r, t, conditioning)
        return velocity.mean, velocity.instantaneous

    return jax.jvp(u, (z, r, t), (tangent, jnp.zeros_like(r), jnp.ones_like(t)), has_aux=True)


@dataclass(frozen=True)
class ImprovedMeanFlow:
    """Trains V = u + (t - r) sg(du/dt) towards v = e - x, with the network's own v as the tangent of du/dt."""

    config: ImprovedMeanFlowConfig

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

    def loss(
        self, net: VelocityFunction, x: Tokens, conditioning: Conditioning, weight: LossWeight, key: PRNGKeyArray
    ) -> tuple[Float[Array, ""], Metrics]:
        """The iMF loss (arXiv 2512.02012, equation 12 and algorithm 1), adaptively weighted per example."""
        config = self.config
        batch_size = x.shape[0]
        time_key, noise_key, drop_key, scale_key = jax.random.split(key, 4)
        r, t = sample_times(config.time, batch_size, time_key)
        e = jax.random.normal(noise_key, x.shape, x.dtype)
        z = interpolate(x, e, t)
        target = e - x
        # Examples with r = t stand at the front: (t - r) du/dt is zero there, so they skip the derivative.
        front = num_equal(config.time, batch_size)

        # Without labels every example counts as dropped: there is nothing to guide towards.
        drop = jnp.ones(batch_size, bool)
        if conditioning.label is not None:
            drop = sample_drop(config.guidance, batch_size, drop_key)
            conditioning = conditioning.with_drop(drop)
        if conditioning.label is not None and config.guidance.max_scale > 1.0:
            scale = sample_scale(config.guidance, batch_size, scale_key)
            conditioning = conditioning.with_guidance(scale)
            every, ones = jnp.ones(batch_size, bool), jnp.ones(batch_size)
            conditional = instantaneous_velocity(net, z, t, conditioning)
            unconditional = instantaneous_velocity(net, z, t, conditioning.with_drop(every).with_guidance(ones))
            target = guided_velocity(target, conditional, unconditional, scale, drop)
            tangent = conditional[front:]
        else:
            tangent = instantaneous_velocity(net, z[front:], t[front:], conditioning.rows(front, batch_size))
        tangent, target = jax.lax.stop_gradient((tangent, target))

        at_equal_times = net(z[:front], r[:front], t[:front], conditioning.rows(0, front))
        u, du_dt, head = mean_velocity_and_derivative(
            net, z[front:], r[front:], t[front:], tangent, conditioning.rows(front, batch_size)
        )
        # Equation 12. Only du/dt is stopped: V's gradient is u's, and no gradient runs through the tangent.
        compound = u + expand((t - r)[front:]) * jax.lax.stop_gradient(du_dt)
        prediction = jnp.concatenate([at_equal_times.mean, compound])

        error = mean_square(prediction - target, weight)
        weighted = adaptive_weight(error, config.adaptive_weight_power, config.adaptive_weight_epsilon)
        metrics = {
            "objective": error.mean(),
            "velocity_loss": error.mean(),
            "velocity_loss_at_equal_times": error[:front].sum() / max(front, 1),
        }
        if head is not None and at_equal_times.instantaneous is not None:
            head_error = mean_square(jnp.concatenate([at_equal_times.instantaneous, head]) - target, weight)
            weighted = weighted + adaptive_weight(
                head_error, config.adaptive_weight_power, config.adaptive_weight_epsilon
            )
            metrics["velocity_head_loss"] = head_error.mean()
        return weighted.mean(), metrics

    def velocity(self, net: VelocityFunction, z: Tokens, r: Time, t: Time, conditioning: Conditioning) -> Tokens:
        """u(z, r, t): one step from t to r is exact if u is."""
        return net(z, r, t, conditioning).mean
