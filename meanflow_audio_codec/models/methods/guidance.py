"""Classifier-free guidance as a condition of the network (iMF, arXiv 2512.02012, section 4.2)."""

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, PRNGKeyArray

from meanflow_audio_codec.configs.methods import GuidanceConfig
from meanflow_audio_codec.models.methods.base import Tokens, expand


def sample_drop(config: GuidanceConfig, batch_size: int, key: PRNGKeyArray) -> Bool[Array, " b"]:
    """Which examples train without their label."""
    return jax.random.uniform(key, (batch_size,)) < config.label_drop_rate


def sample_scale(config: GuidanceConfig, batch_size: int, key: PRNGKeyArray) -> Float[Array, " b"]:
    """Guidance scales in [1, max_scale] with density proportional to w^-beta, by inverting its distribution."""
    u = jax.random.uniform(key, (batch_size,))
    if config.beta == 1.0:
        return config.max_scale**u
    # (1 + u (max_scale^power - 1))^(1 / power), exact to float32 for power near zero too.
    power = 1.0 - config.beta
    return jnp.exp(jnp.log1p(u * np.expm1(power * np.log(config.max_scale))) / power)


def guided_velocity(
    v: Tokens, conditional: Tokens, unconditional: Tokens, scale: Float[Array, " b"], drop: Bool[Array, " b"]
) -> Tokens:
    """v + (1 - 1/w)(v_c - v_u): the target whose conditional mean is the guided field.

    At its fixed point the conditional prediction v_c satisfies v_c = E[v | z, c] + (1 - 1/w)(v_c - v_u), which is
    v_c = w E[v | z, c] + (1 - w) v_u, ordinary guidance with scale w. Examples without label keep their own v.
    """
    weight = jnp.where(drop, 0.0, 1.0 - 1.0 / scale)
    return v + expand(weight) * (conditional - unconditional)
