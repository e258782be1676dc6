"""Notation of all methods, stated once, and the contract each of them fulfils.

x data, e ~ N(0, I) noise, z_t = (1 - t) x + t e: t = 1 is noise and t = 0 is data. v = e - x is the velocity of one
such line; 0 <= r <= t <= 1; u(z_t, r, t) is the mean velocity over [r, t], so that z_r = z_t - (t - r) u(z_t, r, t).
Arguments are always in the order (z, r, t).
"""

from typing import Protocol, runtime_checkable

import jax
from jaxtyping import Array, Float, PRNGKeyArray

from meanflow_audio_codec.models.conditioning import Conditioning
from meanflow_audio_codec.models.velocity import Velocity

Tokens = Float[Array, "b n c"]
Time = Float[Array, " b"]
LossWeight = Float[Array, "#b #n c"]
Metrics = dict[str, Float[Array, ""]]


@runtime_checkable
class VelocityFunction(Protocol):
    """The decoder network, or a closed form in its place."""

    def __call__(self, z: Tokens, r: Time, t: Time, conditioning: Conditioning) -> Velocity:
        """Velocities at z over [r, t]."""
        ...


@runtime_checkable
class Method(Protocol):
    """How the decoder is trained, and which velocity one decoding step follows."""

    @property
    def noise_scale(self) -> float:
        """Scale of z_1: 1 for flows, 0 for the autoencoder."""
        ...

    @property
    def default_num_steps(self) -> int:
        """Steps of decoding unless told otherwise."""
        ...

    @property
    def default_temperature(self) -> float:
        """Factor on the initial noise used by decoding unless told otherwise."""
        ...

    def num_evaluations(self, num_steps: int, *, guided: bool) -> int:
        """Network evaluations that decoding in `num_steps` steps takes, with or without a guidance scale."""
        ...

    def loss(
        self, net: VelocityFunction, x: Tokens, conditioning: Conditioning, weight: LossWeight, key: PRNGKeyArray
    ) -> tuple[Float[Array, ""], Metrics]:
        """The training loss, values weighted by `weight` (mean 1), and figures to log without adaptive weight.

        The figure "unweighted_loss" is what checkpoints of this method are compared by.
        """
        ...

    def velocity(self, net: VelocityFunction, z: Tokens, r: Time, t: Time, conditioning: Conditioning) -> Tokens:
        """The velocity that a step from t to r follows."""
        ...


def expand(time: Time) -> Float[Array, "b 1 1"]:
    """A time per example, shaped to multiply tokens."""
    return time[:, None, None]


def interpolate(x: Tokens, e: Tokens, t: Time) -> Tokens:
    """z_t = (1 - t) x + t e (arXiv 2210.02747, optimal-transport path, with time reversed)."""
    return (1.0 - expand(t)) * x + expand(t) * e


def mean_square(value: Tokens, weight: LossWeight) -> Float[Array, " b"]:
    """Weighted mean square over token values, per example."""
    return (weight * value**2).mean(axis=(1, 2))


def adaptive_weight(loss: Float[Array, " b"], power: float, epsilon: float) -> Float[Array, " b"]:
    """loss / sg(loss + epsilon)^power (arXiv 2505.13447, section 4.3): power 1 is close to a normalised gradient."""
    return loss / jax.lax.stop_gradient(loss + epsilon) ** power
