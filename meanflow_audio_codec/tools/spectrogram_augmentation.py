"""Random changes of mel power spectra that leave a word the same word: other voices, rooms, recordings, codecs.

Every function takes spectra (batch, frames, bands) of power and a key, and draws for each clip on its own.
"""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int, PRNGKeyArray

from meanflow_audio_codec.models.classifiers.word_classifier import REFERENCE_FRAMES

LONGEST_SHIFT = 16.0  # frames


def augment(
    power: Float[Array, "b source bands"], lengths: Int[Array, " b"], num_frames: int, key: PRNGKeyArray
) -> Float[Array, "b frames bands"]:
    """All changes in turn; `lengths` is how many of the first source frames the clip has, the rest are silence."""
    keys = jax.random.split(key, 9)
    power, place = stretch_and_shift(power, lengths, num_frames, keys[0])
    power = change_contrast(warp_frequency(power, keys[1]), keys[8])
    kept = trim(power, place, keys[2])
    power = power * kept[:, :, None]
    power = power * equalisation(power, keys[3], 0.3)
    power = smear(power, keys[4])
    power = add_noise(power, kept, keys[5])
    power = limit_band(power, keys[6])
    return mask(power, keys[7])


def stretch_and_shift(
    power: Float[Array, "b source bands"], lengths: Int[Array, " b"], num_frames: int, key: PRNGKeyArray
) -> tuple[Float[Array, "b frames bands"], Float[Array, "b frames"]]:
    """The clip 0.78 ... 1.28 times as fast, moved by up to `LONGEST_SHIFT` frames from the centre.

    Also returns where in the clip each frame lies: 0 at its beginning, 1 at its end.
    """
    keys = jax.random.split(key, 2)
    rate = 2.0 ** _uniform(keys[0], power, -0.35, 0.35)
    shift = _uniform(keys[1], power, -LONGEST_SHIFT, LONGEST_SHIFT)
    middle = (lengths[:, None] - 1) / 2
    frame = jnp.arange(num_frames) - (num_frames - 1) / 2
    position = middle + (frame + shift) * rate
    return interpolate(power, position), position / jnp.maximum(lengths[:, None] - 1, 1)


def warp_frequency(power: Float[Array, "b frames bands"], key: PRNGKeyArray) -> Float[Array, "b frames bands"]:
    """The mel axis stretched by up to a quarter, differently below and above a random band; four clips of five."""
    keys = jax.random.split(key, 4)
    num_bands = power.shape[2]
    knot = _uniform(keys[0], power, 0.3 * num_bands, 0.7 * num_bands)
    low, high = 2.0 ** _uniform(keys[1], power, -0.3, 0.3), 2.0 ** _uniform(keys[2], power, -0.3, 0.3)
    band = jnp.arange(num_bands, dtype=power.dtype)[None]
    warped = jnp.where(band < knot, band * low, knot * low + (band - knot) * high)
    position = jnp.where(_chance(keys[3], power, 0.8), warped, band)
    return interpolate(power.swapaxes(1, 2), jnp.clip(position, 0, num_bands - 1)).swapaxes(1, 2)


def change_contrast(power: Float[Array, "b frames bands"], key: PRNGKeyArray) -> Float[Array, "b frames bands"]:
    """Differences of level between frames scaled by 0.6 ... 2, of bands within a frame by 0.7 ... 1.3, both in dB.

    How weak consonants are beside vowels, and how sharp formants are, differs between speakers.
    """
    keys = jax.random.split(key, 2)
    each = power.mean(axis=2, keepdims=True)
    loudest = each.max(axis=1, keepdims=True)
    between = jnp.exp2(_uniform(keys[0], power, -0.7, 1.0))[:, :, None] - 1.0
    within = jnp.exp2(_uniform(keys[1], power, -0.5, 0.4))[:, :, None]
    # Powers of quotients, so that a silent frame stays silent.
    frame = jnp.where(each > 0.0, jnp.maximum(each / loudest, 1e-9) ** between, 0.0)
    band = jnp.where(power > 0.0, jnp.maximum(power / jnp.maximum(each, 1e-30), 1e-9) ** within, 0.0)
    return each * frame * band


def trim(
    power: Float[Array, "b frames bands"], place: Float[Array, "b frames"], key: PRNGKeyArray
) -> Bool[Array, "b frames"]:
    """Frames that a recording cut more tightly would keep: quiet beginnings and endings are often missing."""
    keys = jax.random.split(key, 6)
    energy = power.sum(axis=2)
    # dB below the loudest frame; 90 dB leaves nothing out.
    threshold = jnp.where(_chance(keys[0], power, 0.5), _uniform(keys[1], power, 10.0, 45.0), 90.0)
    first = jnp.where(_chance(keys[2], power, 0.5), _uniform(keys[3], power, 0.0, 0.2), 0.0)
    last = 1.0 - jnp.where(_chance(keys[4], power, 0.5), _uniform(keys[5], power, 0.0, 0.2), 0.0)
    above = energy > energy.max(axis=1, keepdims=True) * 10.0 ** (-threshold / 10.0)
    above &= (place >= first) & (place <= last)
    return (jnp.cumsum(above, axis=1) > 0) & (jnp.cumsum(above[:, ::-1], axis=1)[:, ::-1] > 0)


def equalisation(power: Float[Array, "b frames bands"], key: PRNGKeyArray, bels: float) -> Float[Array, "b 1 bands"]:
    """A smooth random gain over the bands, standard deviation in bel (10 dB) as given."""
    num_bands, num_points = power.shape[2], 6
    points = bels * jax.random.normal(key, (len(power), num_points, 1))
    position = jnp.linspace(0.0, num_points - 1, num_bands)
    return 10.0 ** interpolate(points, jnp.broadcast_to(position, (len(power), num_bands))).swapaxes(1, 2)


def smear(power: Float[Array, "b frames bands"], key: PRNGKeyArray) -> Float[Array, "b frames bands"]:
    """Power spread over 10 ... 25 ms in both directions, as transform codecs and rooms do; three clips of ten."""
    keys = jax.random.split(key, 2)
    deviation = _uniform(keys[0], power, 0.5, 2.5)
    reach = 4
    weights = jnp.exp(-0.5 * (jnp.arange(-reach, reach + 1) / deviation) ** 2)
    weights = weights / weights.sum(axis=1, keepdims=True)
    padded = jnp.pad(power, ((0, 0), (reach, reach), (0, 0)))
    num_frames = power.shape[1]
    spread = sum(weights[:, i, None, None] * padded[:, i : i + num_frames] for i in range(2 * reach + 1))
    return jnp.where(_chance(keys[1], power, 0.3)[:, :, None], spread, power)


def add_noise(
    power: Float[Array, "b frames bands"], kept: Bool[Array, "b frames"], key: PRNGKeyArray
) -> Float[Array, "b frames bands"]:
    """Coloured noise of steady power or one that follows the clip, throughout or within it only, and a faint floor."""
    keys = jax.random.split(key, 9)
    each = jnp.mean(power, axis=2, keepdims=True)
    mean = each.sum(axis=1, keepdims=True) / REFERENCE_FRAMES
    # Power of Gaussian noise in a band varies about its mean; roughly, a band and frame hold one or two free values.
    ripple = 0.3 - 0.7 * jnp.log(jax.random.uniform(keys[0], power.shape, minval=1e-3))
    extent = kept | _chance(keys[1], power, 0.5)
    steady = mean * equalisation(power, keys[2], 0.6) * _relative(keys[3], power, 5.0, 50.0) * extent[:, :, None]
    steady = jnp.where(_chance(keys[4], power, 0.8)[:, :, None], steady, 0.0)
    following = each * equalisation(power, keys[5], 0.6) * _relative(keys[6], power, 5.0, 40.0)
    following = jnp.where(_chance(keys[7], power, 0.4)[:, :, None], following, 0.0)
    floor = mean * _relative(keys[8], power, 40.0, 80.0)
    return power + ripple * (steady + following) + floor


def limit_band(power: Float[Array, "b frames bands"], key: PRNGKeyArray) -> Float[Array, "b frames bands"]:
    """Half of the clips lose what is above a random band, three of ten what is below one: 1 ... 10 dB per band."""
    keys = jax.random.split(key, 5)
    num_bands = power.shape[2]
    band = jnp.arange(num_bands)[None]
    # On 64 bands up to 8 kHz, band 44 lies at 2.6 kHz and band 52 at 4 kHz.
    above = jnp.maximum(band - _uniform(keys[0], power, 0.69 * num_bands, float(num_bands)), 0.0)
    below = jnp.maximum(_uniform(keys[1], power, 0.0, 0.12 * num_bands) - band, 0.0)
    decibels = jnp.where(_chance(keys[2], power, 0.5), above * _uniform(keys[3], power, 1.0, 10.0), 0.0)
    decibels += jnp.where(_chance(keys[4], power, 0.3), below * 3.0, 0.0)
    return power * (10.0 ** (-decibels / 10.0))[:, None, :]


def mask(power: Float[Array, "b frames bands"], key: PRNGKeyArray) -> Float[Array, "b frames bands"]:
    """Two stretches of up to 8 bands and two of up to 10 frames are silenced (SpecAugment, arXiv 1904.08779)."""
    keys = jax.random.split(key, 4)
    for k in keys[:2]:
        power = power * _outside_stretch(k, power, power.shape[2], 8.0)[:, None, :]
    for k in keys[2:]:
        power = power * _outside_stretch(k, power, power.shape[1], 10.0)[:, :, None]
    return power


def interpolate(values: Float[Array, "b n d"], position: Float[Array, "b m"]) -> Float[Array, "b m d"]:
    """Linear interpolation along the middle axis; 0 beyond one step outside."""
    weights = jnp.maximum(1.0 - jnp.abs(position[:, :, None] - jnp.arange(values.shape[1])), 0.0)
    return jnp.einsum("bmn,bnd->bmd", weights, values)


def _uniform(key: PRNGKeyArray, power: Array, low: float, high: float) -> Float[Array, "b 1"]:
    return jax.random.uniform(key, (len(power), 1), minval=low, maxval=high)


def _chance(key: PRNGKeyArray, power: Array, probability: float) -> Bool[Array, "b 1"]:
    return jax.random.uniform(key, (len(power), 1)) < probability


def _relative(key: PRNGKeyArray, power: Array, low: float, high: float) -> Float[Array, "b 1 1"]:
    """A power ratio, uniform in dB below 1."""
    return 10.0 ** (-_uniform(key, power, low, high)[:, :, None] / 10.0)


def _outside_stretch(key: PRNGKeyArray, power: Array, size: int, longest: float) -> Bool[Array, "b size"]:
    keys = jax.random.split(key, 2)
    first = _uniform(keys[0], power, 0.0, float(size))
    index = jnp.arange(size)
    return (index < first) | (index >= first + _uniform(keys[1], power, 0.0, longest))
