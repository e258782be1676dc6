"""Network evaluations that mean flow and improved mean flow share: u, its derivative along a path, and v."""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from meanflow_audio_codec.models.conditioning import Conditioning
from meanflow_audio_codec.models.methods.base import Time, Tokens, VelocityFunction, expand


def boundary_velocity(net: VelocityFunction, z: Tokens, t: Time, conditioning: Conditioning) -> Tokens:
    """v(z, t) by the boundary condition u(z, t, t)."""
    return net(z, t, t, conditioning).mean


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


def mean_velocity_and_correction(
    net: VelocityFunction,
    z: Tokens,
    r: Time,
    t: Time,
    tangent: Float[Array, "rear n c"],
    conditioning: Conditioning,
) -> tuple[Tokens, Tokens, Tokens | None]:
    """u, the correction sg((t - r) du/dt) that makes it v (arXiv 2505.13447, equation 6), and the auxiliary head.

    Examples at the front of the batch, for which there is no tangent, have r = t: their correction is zero, and they
    skip the derivative.
    """
    batch_size = len(z)
    front = batch_size - len(tangent)
    at_equal_times = net(z[:front], r[:front], t[:front], conditioning.rows(0, front))
    u, du_dt, head = mean_velocity_and_derivative(
        net, z[front:], r[front:], t[front:], tangent, conditioning.rows(front, batch_size)
    )
    correction = jnp.concatenate([jnp.zeros_like(at_equal_times.mean), expand((t - r)[front:]) * du_dt])
    if head is not None and at_equal_times.instantaneous is not None:
        head = jnp.concatenate([at_equal_times.instantaneous, head])
    return jnp.concatenate([at_equal_times.mean, u]), jax.lax.stop_gradient(correction), head


def unweighted_loss(error: Float[Array, " b"], front: int) -> Float[Array, ""]:
    """What checkpoints of a mean flow are compared by: the mean error of the `front` examples with r = t.

    They are plain regression of a velocity. The error of the others is mostly that of (t - r) du/dt, which over long
    intervals is many times what u itself is off by: the mean over all examples may rise while the velocity gets better,
    and then keeps weights from half way through training. All examples count where none has r = t.
    """
    return error[: front or None].mean()
