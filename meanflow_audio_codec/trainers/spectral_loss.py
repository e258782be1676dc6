"""A spectral distance of signals with gradients: what one evaluation of the decoder should sound like."""

from collections.abc import Callable
from typing import NamedTuple

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from meanflow_audio_codec.preprocessing.mel import mel_filters
from meanflow_audio_codec.preprocessing.short_time_fourier import hann, short_time_fourier

# Magnitudes below this share of a full-scale sine count as this much: what is silent need not be matched.
SMALLEST_MAGNITUDE = 1e-5
# Samples of a window for each of its mel bands.
SAMPLES_PER_BAND = 12.8
# Inside roots, which have no derivative at zero.
_SMALLEST_POWER = 1e-14
_SMALLEST_SQUARE = 1e-8


def multi_resolution_mel_loss(
    reference: Float[Array, "b samples"],
    decoded: Float[Array, "b samples"],
    sample_rate: int,
    window_lengths: tuple[int, ...],
    *,
    bin_weight: float = 0.0,
) -> Float[Array, ""]:
    """Mean absolute difference of the natural logarithms of mel magnitudes, averaged over window lengths in samples.

    `bin_weight` is that of the same distance of the magnitudes of single frequencies.

    Phases do not count, so noise need not vanish to lower it: it asks for the right energy in every band and frame.
    Codecs trained against discriminators rest on such a loss (HiFi-GAN, arXiv 2010.05646, equation 4; in several
    resolutions EnCodec, arXiv 2210.13438, section 3.4); here it stands beside the flow's own loss, without adversary.
    """
    spectra, of_decoded = (_log_spectra(signal, sample_rate, window_lengths) for signal in (reference, decoded))
    return _mean(_absolute_difference, spectra, of_decoded, bin_weight)


def spectral_energy_score(
    reference: Float[Array, "b samples"],
    draws: tuple[Float[Array, "b samples"], Float[Array, "b samples"]],
    sample_rate: int,
    window_lengths: tuple[int, ...],
    *,
    repulsion: Float[Array, ""] | float,
    bin_weight: float,
) -> Float[Array, ""]:
    """Distance of two draws to the recording, less half `repulsion` times their distance to each other.

    The distance of two spectra is the root mean square, over a frame's bands, of the difference of their logarithms,
    averaged over frames and resolutions. At a repulsion of 1 this is the energy score (Gneiting and Raftery, 2007,
    equation 22), whose mean is lowest where a draw's frames are distributed as those of recordings with the same codes;
    by it Gritsenko et al. train a vocoder (arXiv 2008.01160, equation 4). At 0 it is lowest where draws do not vary.
    `bin_weight` is that of the magnitudes of single frequencies beside those of mel bands.
    """
    spectra, first, second = (_log_spectra(signal, sample_rate, window_lengths) for signal in (reference, *draws))
    to_recording = [_mean(_frame_distance, spectra, each, bin_weight) for each in (first, second)]
    return 0.5 * sum(to_recording) - 0.5 * repulsion * _mean(_frame_distance, first, second, bin_weight)


def repulsion_of_temperature(temperature: Float[Array, ""]) -> Float[Array, ""]:
    """The repulsion under which a Gaussian is best drawn with `temperature` times its standard deviation.

    Of draws of deviation s and data of deviation 1 around the same mean, in any number of dimensions, the expected
    score is, up to a factor, sqrt(1 + s^2) - repulsion s / sqrt(2): lowest at s = temperature for this repulsion. 0 at
    0, and 1 at 1.
    """
    return temperature * jnp.sqrt(2.0 / (1.0 + temperature**2))


class _LogSpectra(NamedTuple):
    """Natural logarithms of magnitudes, one array per window length."""

    bands: list[Float[Array, "b n bands"]]
    bins: list[Float[Array, "b n bins"]]


def _mean(distance: Callable[..., Array], first: _LogSpectra, second: _LogSpectra, bin_weight: float) -> Array:
    def mean(one: list[Array], other: list[Array]) -> Float[Array, ""]:
        return jnp.mean(jnp.stack([jnp.mean(distance(a, b)) for a, b in zip(one, other, strict=True)]))

    of_bands = mean(first.bands, second.bands)
    return of_bands + bin_weight * mean(first.bins, second.bins) if bin_weight > 0.0 else of_bands


def _absolute_difference(first: Float[Array, "b n k"], second: Float[Array, "b n k"]) -> Float[Array, "b n k"]:
    return jnp.abs(first - second)


def _frame_distance(first: Float[Array, "b n k"], second: Float[Array, "b n k"]) -> Float[Array, "b n"]:
    """Of whole frames: band by band, draws whose frames become louder and softer as a whole would look right."""
    return jnp.sqrt(jnp.mean((first - second) ** 2, axis=-1) + _SMALLEST_SQUARE)


def _log_spectra(signal: Float[Array, "b samples"], sample_rate: int, window_lengths: tuple[int, ...]) -> _LogSpectra:
    magnitudes = [_magnitudes(signal, length) for length in window_lengths]
    filters = [_unit_mel_filters(sample_rate, length) for length in window_lengths]
    return _LogSpectra(
        bands=[_log(magnitude @ each) for magnitude, each in zip(magnitudes, filters, strict=True)],
        bins=[_log(magnitude) for magnitude in magnitudes],
    )


def _log(magnitude: Float[Array, "*b"]) -> Float[Array, "*b"]:
    return jnp.log(jnp.maximum(magnitude, SMALLEST_MAGNITUDE))


def _unit_mel_filters(sample_rate: int, window_length: int) -> Float[np.ndarray, "bins bands"]:
    filters = mel_filters(sample_rate, window_length, int(window_length / SAMPLES_PER_BAND))
    return (filters / filters.sum(axis=0)).astype(np.float32)


def _magnitudes(signal: Float[Array, "b samples"], window_length: int) -> Float[Array, "b n bins"]:
    """Of the short-time Fourier transform; a full-scale sine has magnitude 1."""
    spectrum = short_time_fourier(signal, window_length, float(2.0 / hann(window_length).sum()))
    return jnp.sqrt(spectrum.real**2 + spectrum.imag**2 + _SMALLEST_POWER)
