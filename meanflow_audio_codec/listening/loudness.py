"""Loudness of a recording (ITU-R BS.1770-4), and versions of one brought to the same loudness."""

from typing import NamedTuple

import numpy as np
from jaxtyping import Float

BLOCK_SECONDS, BLOCKS_PER_LENGTH = 0.4, 4  # blocks overlap by three quarters
ABSOLUTE_GATE, RELATIVE_GATE = -70.0, -10.0
OFFSET = -0.691  # so that a full-scale sine at 997 Hz in one channel reads -3.01
LARGEST_GAIN_DB = 12.0  # beyond it, a version would be its own noise made loud
PEAK = 0.99  # of full scale


class Matched(NamedTuple):
    """A version as it is played, and the gain against the original that gave it the original's loudness, in dB."""

    audio: Float[np.ndarray, "channels samples"]
    gain_db: float


def loudness(audio: Float[np.ndarray, "channels samples"], sample_rate: int) -> float:
    """Gated loudness in LUFS, all channels of weight 1; -inf for silence.

    A recording shorter than one block of 0.4 s is one block, and nothing is gated away.
    """
    weighted = k_weighted(audio, sample_rate)
    length = round(BLOCK_SECONDS * sample_rate)
    if weighted.shape[1] <= length:
        return _decibels(np.mean(weighted**2, axis=1).sum(keepdims=True))
    # Sums up to each sample, so that a block is a difference of two.
    energy = np.concatenate([[0.0], np.cumsum((weighted**2).sum(axis=0))])
    starts = np.arange(0, weighted.shape[1] - length + 1, length // BLOCKS_PER_LENGTH)
    blocks = np.maximum(energy[starts + length] - energy[starts], 0.0) / length
    loud = blocks[_levels(blocks) > ABSOLUTE_GATE]
    if len(loud) == 0:
        return -np.inf
    return _decibels(loud[_levels(loud) > _decibels(loud) + RELATIVE_GATE])


def match(
    original: Float[np.ndarray, "channels samples"],
    versions: list[Float[np.ndarray, "channels samples"]],
    sample_rate: int,
    *,
    kept: tuple[Float[np.ndarray, "channels samples"], ...] = (),
) -> list[Matched]:
    """The original, every version at its loudness, and what keeps its level; one gain for all, so that none is clipped.

    A silent version stays as it is, and so do all if the original is silent. A gain is at most 12 dB either way.
    """
    target = loudness(original, sample_rate)
    gains = [0.0]
    for version in versions:
        difference = target - loudness(version, sample_rate)
        gains.append(float(np.clip(difference, -LARGEST_GAIN_DB, LARGEST_GAIN_DB)) if np.isfinite(difference) else 0.0)
    gains += [0.0] * len(kept)
    sounds = [original, *versions, *kept]
    scaled = [10.0 ** (gain / 20.0) * audio for gain, audio in zip(gains, sounds, strict=True)]
    loudest = max((float(np.abs(audio).max()) for audio in scaled if audio.size), default=0.0)
    common = min(1.0, PEAK / loudest) if loudest > 0.0 else 1.0
    return [Matched((common * audio).astype(np.float32), gain) for audio, gain in zip(scaled, gains, strict=True)]


def k_weighted(audio: Float[np.ndarray, "channels samples"], sample_rate: int) -> Float[np.ndarray, "channels samples"]:
    """The signal as the ear weighs it: a shelf for the head, then a high-pass, in float64."""
    from scipy.signal import lfilter

    weighted = np.asarray(audio, np.float64)
    for numerator, denominator in k_weighting(sample_rate):
        weighted = np.asarray(lfilter(numerator, denominator, weighted, axis=-1))
    return weighted


def k_weighting(sample_rate: int) -> list[tuple[Float[np.ndarray, "3"], Float[np.ndarray, "3"]]]:
    """Numerator and denominator of both filters at any sample rate: at 48 kHz those of the recommendation.

    The recommendation gives coefficients for 48 kHz only; these are the bilinear transforms of the analogue filters
    that they stand for.
    """
    # Head: a shelf of 4 dB above 1.7 kHz.
    gain, sharpness = 10.0 ** (3.999843853973347 / 20.0), 0.7071752369554196
    middle = gain**0.4996667741545416
    k = np.tan(np.pi * 1681.974450955533 / sample_rate)
    shelf = np.array(
        [gain + middle * k / sharpness + k * k, 2.0 * (k * k - gain), gain - middle * k / sharpness + k * k]
    )
    poles = _poles(k, sharpness)
    # A high-pass at 38 Hz, whose numerator is (1, -2, 1) at 48 kHz: 0.04 dB more than unity, at other rates, too.
    low_poles, at_48_khz = (
        _poles(np.tan(np.pi * 38.13547087602444 / rate), 0.5003270373238773) for rate in (sample_rate, 48_000)
    )
    low = np.array([1.0, -2.0, 1.0]) * (at_48_khz[0] / low_poles[0])
    return [(shelf / poles[0], poles / poles[0]), (low, low_poles / low_poles[0])]


def _poles(k: float, sharpness: float) -> Float[np.ndarray, "3"]:
    return np.array([1.0 + k / sharpness + k * k, 2.0 * (k * k - 1.0), 1.0 - k / sharpness + k * k])


def _levels(blocks: Float[np.ndarray, " blocks"]) -> Float[np.ndarray, " blocks"]:
    with np.errstate(divide="ignore"):
        return OFFSET + 10.0 * np.log10(blocks)


def _decibels(blocks: Float[np.ndarray, " blocks"]) -> float:
    return float(_levels(blocks.mean(keepdims=True))[0])
