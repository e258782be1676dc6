"""The one decoding loop of all methods."""

import jax
import jax.numpy as jnp

from meanflow_audio_codec.models.conditioning import Conditioning
from meanflow_audio_codec.models.methods.base import Method, Tokens, VelocityFunction


def sample(
    method: Method,
    net: VelocityFunction,
    noise: Tokens,
    conditioning: Conditioning,
    *,
    num_steps: int,
    temperature: float | jax.Array = 1.0,
) -> Tokens:
    """Data from unit noise: z_r = z_t - (t - r) u over `num_steps` equal intervals of [0, 1], from t = 1 down.

    `temperature` scales the initial noise: 1 samples, 0 gives the most regular reconstruction.

    Raises:
        ValueError: fewer than one step.
    """
    if num_steps < 1:
        raise ValueError(f"num_steps must be at least 1, not {num_steps}")
    batch_size = noise.shape[0]

    def step(index: jax.Array | int, z: Tokens) -> Tokens:
        t = jnp.full(batch_size, 1.0 - index / num_steps)
        r = jnp.full(batch_size, 1.0 - (index + 1) / num_steps)
        return z - (1.0 / num_steps) * method.velocity(net, z, r, t, conditioning)

    z = method.noise_scale * temperature * noise
    return step(0, z) if num_steps == 1 else jax.lax.fori_loop(0, num_steps, step, z)
