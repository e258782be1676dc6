"""Training times."""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, PRNGKeyArray

from meanflow_audio_codec.configs.methods import TimeConfig
from meanflow_audio_codec.models.methods.base import Time


def sample_logit_normal(
    mean: float, standard_deviation: float, shape: tuple[int, ...], key: PRNGKeyArray
) -> Float[Array, "*shape"]:
    """Values in (0, 1) whose logits are normal."""
    return jax.nn.sigmoid(mean + standard_deviation * jax.random.normal(key, shape))


def num_equal(config: TimeConfig, batch_size: int) -> int:
    """How many examples of a batch, counted from its front, train with r = t."""
    return round(config.equal_share * batch_size)


def sample_times(config: TimeConfig, batch_size: int, key: PRNGKeyArray) -> tuple[Time, Time]:
    """Pairs r <= t: two logit-normal draws sorted, then r = t for the first `num_equal` examples.

    Source: arXiv 2505.13447, section 4.3, "Sampling time steps (r, t)".
    """
    draws = sample_logit_normal(config.mean, config.standard_deviation, (2, batch_size), key)
    r, t = draws.min(axis=0), draws.max(axis=0)
    return jnp.where(jnp.arange(batch_size) < num_equal(config, batch_size), t, r), t
