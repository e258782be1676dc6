"""(E) Adversarial: the autoencoder with a discriminator (documentation/research/adversarial.md)."""

from collections.abc import Callable
from dataclasses import dataclass

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int, PRNGKeyArray

from meanflow_audio_codec.configs.methods import AdversarialConfig
from meanflow_audio_codec.models.conditioning import Conditioning
from meanflow_audio_codec.models.discriminator import Discriminator, Judgement, Signal
from meanflow_audio_codec.models.methods.base import LossWeight, Metrics, Time, Tokens, VelocityFunction, mean_square

SMALLEST_NORM = 1e-8


def discriminator_loss(kind: str, real: list[Judgement], fake: list[Judgement]) -> Float[Array, ""]:
    """What the discriminator descends (equations 3 and 5), a mean over positions and views."""
    pairs = zip(real, fake, strict=True)
    if kind == "hinge":
        losses = [jax.nn.relu(1.0 - r.scores).mean() + jax.nn.relu(1.0 + f.scores).mean() for r, f in pairs]
    else:
        losses = [((r.scores - 1.0) ** 2).mean() + (f.scores**2).mean() for r, f in pairs]
    return jnp.stack(losses).mean()


def generator_loss(kind: str, fake: list[Judgement]) -> Float[Array, ""]:
    """What the generator descends (equations 4 and 6), a mean over positions and views."""
    if kind == "hinge":
        return -mean_score(fake)
    return jnp.stack([((judgement.scores - 1.0) ** 2).mean() for judgement in fake]).mean()


def feature_matching_loss(real: list[Judgement], fake: list[Judgement]) -> Float[Array, ""]:
    """Mean absolute difference of the features relative to their mean size, a mean over layers and views (equation 7).

    Relative, since a discriminator without normalisation may scale its features at will (EnCodec, arXiv 2210.13438,
    equation 2).
    """
    layers = [
        jnp.abs(f - r).mean() / (jnp.abs(r).mean() + 1e-6)
        for of_real, of_fake in zip(real, fake, strict=True)
        for r, f in zip(of_real.features, of_fake.features, strict=True)
    ]
    return jnp.stack(layers).mean()


def mean_score(judgements: list[Judgement]) -> Float[Array, ""]:
    """Mean over positions, then over views."""
    return jnp.stack([judgement.scores.mean() for judgement in judgements]).mean()


def unit(gradient: Tokens) -> Tokens:
    """The gradient at norm 1 over the whole batch; one of (almost) nothing stays so."""
    return gradient / (jnp.sqrt(jnp.sum(gradient**2)) + SMALLEST_NORM)


@dataclass(frozen=True)
class Adversarial:
    """Decodes as the autoencoder does; trained by its squared error, and against a discriminator of the signals."""

    config: AdversarialConfig

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

    def reconstruct(self, net: VelocityFunction, x: Tokens, conditioning: Conditioning) -> Tokens:
        """The one-step decode of z_1 = 0, of the shape of x."""
        batch_size = x.shape[0]
        return -net(jnp.zeros_like(x), jnp.zeros(batch_size), jnp.ones(batch_size), conditioning).mean

    def regression_loss(self, x: Tokens, reconstruction: Tokens, weight: LossWeight) -> Float[Array, ""]:
        """The autoencoder's loss, unchanged."""
        return mean_square(x - reconstruction, weight).mean()

    def loss(
        self, net: VelocityFunction, x: Tokens, conditioning: Conditioning, weight: LossWeight, key: PRNGKeyArray
    ) -> tuple[Float[Array, ""], Metrics]:
        """The regression alone: the adversary judges signals, and joins in where these are known (`game`)."""
        del key  # nothing is random here; the argument is the contract of all methods
        loss = self.regression_loss(x, self.reconstruct(net, x, conditioning), weight)
        return loss, {"unweighted_loss": loss, "reconstruction_loss": loss}

    def game(
        self,
        discriminator: Discriminator,
        x: Tokens,
        reconstruction: Tokens,
        weight: LossWeight,
        to_signal: Callable[[Tokens], Signal],
        step: Int[Array, ""],
    ) -> tuple[Float[Array, ""], Float[Array, ""], Metrics]:
        """The loss of the networks that reconstruct, the loss of the discriminator, and figures to log.

        Neither has a gradient in the other's weights. Of the first only the gradient means anything (equation 8); both
        leave the adversary out before `start_step`. The figure "objective" makes the latest weights the best ones: the
        regression would choose the blurriest, and scores of a changing discriminator cannot be compared between steps.
        """
        config = self.config
        started = (step >= config.start_step).astype(jnp.float32)
        real, fixed = to_signal(x), jax.lax.stop_gradient(reconstruction)
        of_real, of_fake = discriminator(real, real), discriminator(to_signal(fixed), real)
        loss_of_discriminator = discriminator_loss(config.loss, of_real, of_fake)

        judge, aim = jax.lax.stop_gradient((discriminator, of_real))
        regression, pull = jax.value_and_grad(lambda tokens: self.regression_loss(x, tokens, weight))(fixed)
        adversarial, away = jax.value_and_grad(
            lambda tokens: generator_loss(config.loss, judge(to_signal(tokens), real))
        )(fixed)
        matching, towards = jax.value_and_grad(
            lambda tokens: feature_matching_loss(aim, judge(to_signal(tokens), real))
        )(fixed)
        push = config.adversarial_weight * unit(away) + config.feature_matching_weight * unit(towards)
        gradient = jax.lax.stop_gradient(pull + started * jnp.sqrt(jnp.sum(pull**2)) * push)

        is_finite = jnp.isfinite(regression + adversarial + matching + loss_of_discriminator)
        metrics = {
            "objective": jnp.where(is_finite, -step.astype(jnp.float32), jnp.inf),
            "reconstruction_loss": regression,
            "adversarial_loss": adversarial,
            "feature_matching_loss": matching,
            "discriminator_loss": loss_of_discriminator,
            "discriminator_real": mean_score(of_real),
            "discriminator_fake": mean_score(of_fake),
        }
        return jnp.sum(gradient * reconstruction), started * loss_of_discriminator, metrics

    def velocity(self, net: VelocityFunction, z: Tokens, r: Time, t: Time, conditioning: Conditioning) -> Tokens:
        """u(z, r, t)."""
        return net(z, r, t, conditioning).mean
