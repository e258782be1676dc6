"""The velocity of data that are Gaussian with unit variance, in closed form."""

import jax.numpy as jnp
from jaxtyping import Array, Float


def gaussian_scale(t: Float[Array, " b"]) -> Float[Array, " b"]:
    """Standard deviation of z_t: sigma(t) = sqrt((1 - t)^2 + t^2)."""
    return jnp.sqrt((1.0 - t) ** 2 + t**2)


def gaussian_velocity_gain(r: Float[Array, " b"], t: Float[Array, " b"]) -> Float[Array, " b"]:
    """The factor g of the mean velocity u(z, r, t) = g z: (1 - sigma(r) / sigma(t)) / (t - r).

    Written without the difference of times, so that r = t, where it is the instantaneous velocity, needs no limit:
    sigma(t)^2 - sigma(r)^2 = 2 (t - r) (t + r - 1). From noise to data, g = 0: noise is data already.
    """
    sigma_r, sigma_t = gaussian_scale(r), gaussian_scale(t)
    return 2.0 * (t + r - 1.0) / (sigma_t * (sigma_t + sigma_r))


def beyond_gaussian(
    raw: Float[Array, "b n c"], z: Float[Array, "b n c"], r: Float[Array, " b"], t: Float[Array, " b"]
) -> Float[Array, "b n c"]:
    """u(z, r, t) of a network whose output `raw` is what u has beyond that of Gaussian data, in units of 1 / sigma(t).

    The preconditioning of EDM (arXiv 2206.00364, equation 7) for a straight path and unit variance: input and output of
    the network have unit variance at all times, and a network that is zero is right for Gaussian data.
    """
    return gaussian_velocity_gain(r, t)[:, None, None] * z + raw / gaussian_scale(t)[:, None, None]
