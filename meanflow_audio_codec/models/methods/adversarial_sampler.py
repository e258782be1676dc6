"""(F) Adversarial sampler: one step from noise to data, judged as audio (documentation/research/adversarial.md)."""

from collections.abc import Callable
from dataclasses import dataclass

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int, PRNGKeyArray

from meanflow_audio_codec.configs.adversarial_sampler import AdversarialSamplerConfig
from meanflow_audio_codec.models.conditioning import Conditioning
from meanflow_audio_codec.models.discriminator import Discriminator, Signal
from meanflow_audio_codec.models.methods.adversarial import (
    discriminator_loss,
    feature_matching_loss,
    generator_loss,
    mean_score,
    unit,
)
from meanflow_audio_codec.models.methods.base import LossWeight, Metrics, Time, Tokens, VelocityFunction, mean_square


@dataclass(frozen=True)
class AdversarialSampler:
    """Decodes as a flow of one evaluation does, x_hat = z_1 - u(z_1, 0, 1); trained by what is heard of x_hat."""

    config: AdversarialSamplerConfig

    @property
    def noise_scale(self) -> float:
        """Unit noise, as for the flows."""
        return 1.0

    @property
    def default_num_steps(self) -> int:
        """One: the network knows no other times."""
        return 1

    @property
    def default_temperature(self) -> float:
        """That of training."""
        return self.config.default_temperature

    def num_evaluations(self, num_steps: int, *, guided: bool) -> int:
        """One per step, of which more than one make no sense."""
        del guided  # there is nothing to guide
        return num_steps

    def loss(
        self, net: VelocityFunction, x: Tokens, conditioning: Conditioning, weight: LossWeight, key: PRNGKeyArray
    ) -> tuple[Float[Array, ""], Metrics]:
        """Squared error of one draw: what can be said where no signals are known. Training is by `game`."""
        z, batch_size = self.default_temperature * jax.random.normal(key, x.shape, x.dtype), x.shape[0]
        draw = z - net(z, jnp.zeros(batch_size), jnp.ones(batch_size), conditioning).mean
        loss = mean_square(x - draw, weight).mean()
        return loss, {"unweighted_loss": loss, "draw_error": loss}

    def game(
        self,
        discriminator: Discriminator,
        original: Signal,
        draw: Tokens,
        to_signal: Callable[[Tokens], Signal],
        mel_distance: Callable[[Signal], Float[Array, ""]],
        step: Int[Array, ""],
    ) -> tuple[Float[Array, ""], Float[Array, ""], Metrics]:
        """The loss of the decoder that made `draw`, the loss of the discriminator, and figures to log.

        Neither has a gradient in the other's weights. Of the first only the gradient means anything (equation 8 of the
        page, with the mel distance for the regression): the sizes of the adversary's gradients at the draw are fixed
        beside that of the mel distance, as by EnCodec's balancer. The figure "objective" makes the latest weights the
        best ones, as for the adversarial method.
        """
        config = self.config
        started = (step >= config.start_step).astype(jnp.float32)
        fixed = jax.lax.stop_gradient(draw)
        decoded, to_tokens = jax.vjp(to_signal, fixed)
        of_real, of_fake = discriminator(original, original), discriminator(decoded, original)
        loss_of_discriminator = discriminator_loss(config.loss, of_real, of_fake)

        judge, aim = jax.lax.stop_gradient((discriminator, of_real))

        def judged(signal: Signal) -> tuple[Float[Array, ""], Float[Array, ""]]:
            of_signal = judge(signal, original)
            return generator_loss(config.loss, of_signal), feature_matching_loss(aim, of_signal)

        mel, of_mel = jax.value_and_grad(mel_distance)(decoded)
        # One pass forward for both losses.
        (adversarial, matching), to_decoded = jax.vjp(judged, decoded)
        one, none = jnp.ones(()), jnp.zeros(())
        (pull,) = to_tokens(of_mel)
        (away,) = to_tokens(*to_decoded((one, none)))
        (towards,) = to_tokens(*to_decoded((none, one)))
        push = config.adversarial_weight * unit(away) + config.feature_matching_weight * unit(towards)
        gradient = jax.lax.stop_gradient(pull + started * jnp.sqrt(jnp.sum(pull**2)) * push)

        is_finite = jnp.isfinite(mel + adversarial + matching + loss_of_discriminator)
        metrics = {
            "objective": jnp.where(is_finite, -step.astype(jnp.float32), jnp.inf),
            "mel_distance": mel,
            "adversarial_loss": adversarial,
            "feature_matching_loss": matching,
            "discriminator_loss": loss_of_discriminator,
            "discriminator_real": mean_score(of_real),
            "discriminator_fake": mean_score(of_fake),
        }
        return jnp.sum(gradient * draw), loss_of_discriminator, metrics

    def velocity(self, net: VelocityFunction, z: Tokens, r: Time, t: Time, conditioning: Conditioning) -> Tokens:
        """u(z, r, t)."""
        return net(z, r, t, conditioning).mean
