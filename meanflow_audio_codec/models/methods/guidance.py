"""Classifier-free guidance trained into the velocity: as a condition of the network, or of one fixed scale."""

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, PRNGKeyArray

from meanflow_audio_codec.configs.methods import FixedGuidanceConfig, FlowMatchingConfig, GuidanceConfig
from meanflow_audio_codec.models.conditioning import Conditioning
from meanflow_audio_codec.models.methods.base import Time, Tokens, expand

Drop = Bool[Array, " b"]
Scale = Float[Array, " b"]
Interval = Float[Array, "b 2"]

# Training draws the start of an interval uniformly before this time, and its end after it.
INTERVAL_MIDDLE = 0.5


def sample_drop(
    config: GuidanceConfig | FixedGuidanceConfig | FlowMatchingConfig, batch_size: int, key: PRNGKeyArray
) -> Drop:
    """Which examples train without their label."""
    return jax.random.uniform(key, (batch_size,)) < config.label_drop_rate


def drop_labels(
    config: GuidanceConfig | FixedGuidanceConfig | FlowMatchingConfig,
    conditioning: Conditioning,
    batch_size: int,
    key: PRNGKeyArray,
) -> tuple[Conditioning, Drop]:
    """The conditioning with labels withheld at random, and from whom: without labels, from everyone."""
    if conditioning.label is None:
        return conditioning, jnp.ones(batch_size, bool)
    drop = sample_drop(config, batch_size, key)
    return conditioning.with_drop(drop), drop


def without_label(conditioning: Conditioning, batch_size: int) -> Conditioning:
    """The same with every label withheld, and nothing said of guidance."""
    return conditioning.with_drop(jnp.ones(batch_size, bool)).with_guidance(None).with_interval(None)


def sample_scale(config: GuidanceConfig, batch_size: int, key: PRNGKeyArray) -> Scale:
    """Guidance scales in [1, max_scale] with density proportional to w^-beta, by inverting its distribution."""
    u = jax.random.uniform(key, (batch_size,))
    if config.beta == 1.0:
        return config.max_scale**u
    # (1 + u (max_scale^power - 1))^(1 / power), exact to float32 for power near zero too.
    power = 1.0 - config.beta
    return jnp.exp(jnp.log1p(u * np.expm1(power * np.log(config.max_scale))) / power)


def sample_interval(batch_size: int, num_equal: int, key: PRNGKeyArray) -> Interval:
    """Intervals from a uniform time of [0, 1/2] to one of [1/2, 1]; all times for the first `num_equal` examples.

    Those have r = t and train v, which the other examples ask for under guidance at all times. The distributions are
    those of the authors' release of iMF (arXiv 2512.02012).
    """
    uniform = jax.random.uniform(key, (batch_size, 2))
    middle = INTERVAL_MIDDLE
    drawn = jnp.array([0.0, middle]) + jnp.array([middle, 1.0 - middle]) * uniform
    return jnp.where((jnp.arange(batch_size) < num_equal)[:, None], jnp.array([0.0, 1.0]), drawn)


def scale_inside(interval: Interval, t: Time, scale: Scale) -> Scale:
    """The scale where t lies in the interval, ends included, else 1."""
    return jnp.where((interval[:, 0] <= t) & (t <= interval[:, 1]), scale, 1.0)


def guided_velocity(v: Tokens, conditional: Tokens, unconditional: Tokens, scale: Scale, drop: Drop) -> Tokens:
    """v + (1 - 1/w)(v_c - v_u): the target whose conditional mean is the guided field (iMF, section 4.2).

    At its fixed point the conditional prediction v_c satisfies v_c = E[v | z, c] + (1 - 1/w)(v_c - v_u), which is
    v_c = w E[v | z, c] + (1 - w) v_u, ordinary guidance with scale w. Examples without label keep their own v.
    """
    weight = jnp.where(drop, 0.0, 1.0 - 1.0 / scale)
    return v + expand(weight) * (conditional - unconditional)


def is_guided(config: FixedGuidanceConfig) -> bool:
    """Whether the target of an example with label differs from its own velocity."""
    return config.scale > 1.0 or config.mixing > 0.0


def fixed_guided_velocity(
    config: FixedGuidanceConfig, v: Tokens, conditional: Tokens, unconditional: Tokens, drop: Drop
) -> Tokens:
    """omega v + kappa v_c + (1 - omega - kappa) v_u (arXiv 2505.13447, equation 21; equation 19 without mixing).

    Omega is scale (1 - kappa), since at the fixed point v_c = omega / (1 - kappa) E[v | z, c] + (1 - omega / (1 -
    kappa)) v_u: the effective scale is omega / (1 - kappa). Examples without label keep their own v.
    """
    kappa = config.mixing
    omega = config.scale * (1.0 - kappa)
    guided = omega * v + kappa * conditional + (1.0 - omega - kappa) * unconditional
    return jnp.where(drop[:, None, None], v, guided)
