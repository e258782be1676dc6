"""(A) Autoencoder: the one-step decode of z_1 = 0, trained by squared error."""

from dataclasses import dataclass

import jax.numpy as jnp
from jaxtyping import Array, Float, PRNGKeyArray

from meanflow_audio_codec.configs.methods import AutoencoderConfig
from meanflow_audio_codec.models.conditioning import Conditioning
from meanflow_audio_codec.models.methods.base import LossWeight, Metrics, Time, Tokens, VelocityFunction, mean_square


@dataclass(frozen=True)
class Autoencoder:
    """Reconstruction x_hat = -u(0, 0, 1): the same network and the same decoding step as the flows, without noise."""

    config: AutoencoderConfig

    @property
    def noise_scale(self) -> float:
        """No noise: decoding starts at zero."""
        return 0.0

    @property
    def default_num_steps(self) -> int:
        """One: there is no path to follow."""
        return 1

    @property
    def default_temperature(self) -> float:
        """Any temperature gives the same, for there is no noise to scale."""
        return 1.0

    def num_evaluations(self, num_steps: int, *, guided: bool) -> int:
        """One per step, of which more than one make no sense."""
        del guided  # there is nothing to guide
        return num_steps

    def loss(
        self, net: VelocityFunction, x: Tokens, conditioning: Conditioning, weight: LossWeight, key: PRNGKeyArray
    ) -> tuple[Float[Array, ""], Metrics]:
        """Mean squared error of the one-step decode."""
        del key  # nothing is random here; the argument is the contract of all methods
        batch_size = x.shape[0]
        zeros, ones = jnp.zeros(batch_size), jnp.ones(batch_size)
        reconstruction = -net(jnp.zeros_like(x), zeros, ones, conditioning).mean
        loss = mean_square(x - reconstruction, weight).mean()
        return loss, {"unweighted_loss": loss, "reconstruction_loss": loss}

    def velocity(self, net: VelocityFunction, z: Tokens, r: Time, t: Time, conditioning: Conditioning) -> Tokens:
        """u(z, r, t)."""
        return net(z, r, t, conditioning).mean
