"""Data made on the fly: a Gaussian whose flow is known in closed form, and simple sounds; no files, no downloads."""

from collections.abc import Iterator
from dataclasses import dataclass

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from meanflow_audio_codec.datasets.base import SPLITS, Batch
from meanflow_audio_codec.preprocessing.specs import SignalSpec


def marginal_scale(t: Float[Array, "*b"], scale: float) -> Float[Array, "*b"]:
    """Standard deviation of z_t = (1 - t) x + t e for x ~ N(0, scale^2) and e ~ N(0, 1)."""
    return jnp.sqrt((1.0 - t) ** 2 * scale**2 + t**2)


def instantaneous_velocity(
    z: Float[Array, "b *signal"], t: Float[Array, " b"], scale: float
) -> Float[Array, "b *signal"]:
    """The marginal velocity v(z, t) = E[e - x | z_t = z] of that Gaussian: z (t - (1 - t) s^2) / sigma(t)^2."""
    factor = (t - (1.0 - t) * scale**2) / marginal_scale(t, scale) ** 2
    return z * _expand(factor, z)


def mean_velocity(
    z: Float[Array, "b *signal"], r: Float[Array, " b"], t: Float[Array, " b"], scale: float
) -> Float[Array, "b *signal"]:
    """The mean of v over [r, t] along the flow through z at t: z (1 - sigma(r) / sigma(t)) / (t - r).

    The flow of v is z_r = z_t sigma(r) / sigma(t). Here t - r is cancelled from the fraction, with sigma(t)^2 -
    sigma(r)^2 = (t - r) ((t + r) - s^2 (2 - t - r)), so r = t is no special case and derivatives are finite everywhere.
    """
    sigma_r, sigma_t = marginal_scale(r, scale), marginal_scale(t, scale)
    factor = ((t + r) - scale**2 * (2.0 - t - r)) / (sigma_t * (sigma_t + sigma_r))
    return z * _expand(factor, z)


@dataclass(frozen=True, kw_only=True)
class GaussianDataset:
    """Independent values from N(0, scale^2), without labels."""

    scale: float
    shape: tuple[int, ...]
    batch_size: int
    split: str = "train"
    seed: int = 0
    num_evaluation_batches: int = 4

    def __post_init__(self) -> None:
        """Check the name of the split."""
        keyed_generator(self.seed, self.split, 0)

    @property
    def spec(self) -> SignalSpec:
        """Shape of one example."""
        return SignalSpec(self.shape)

    @property
    def num_classes(self) -> int:
        """None."""
        return 0

    def batch(self, step: int) -> Batch:
        """Fresh values for each step."""
        values = keyed_generator(self.seed, self.split, step).standard_normal(
            (self.batch_size, *self.shape), np.float32
        )
        return Batch(values * np.float32(self.scale), None, np.ones(self.batch_size, dtype=bool))

    def evaluation(self) -> Iterator[Batch]:
        """The first `num_evaluation_batches` batches of the split."""
        return (self.batch(step) for step in range(self.num_evaluation_batches))


@dataclass(frozen=True, kw_only=True)
class SyntheticAudio:
    """Sounds of three kinds, which are the labels: harmonic tones with vibrato, chirps, bursts of band-limited noise.

    Peak levels are spread over -24 ... -1 dBFS.
    """

    sample_rate: int
    crop_samples: int
    batch_size: int
    split: str = "train"
    seed: int = 0
    num_evaluation_batches: int = 4

    def __post_init__(self) -> None:
        """Check the name of the split."""
        keyed_generator(self.seed, self.split, 0)

    @property
    def spec(self) -> SignalSpec:
        """Shape of a crop, and the sample rate."""
        return SignalSpec((self.crop_samples,), self.sample_rate)

    @property
    def num_classes(self) -> int:
        """Three kinds of sound."""
        return len(KINDS)

    def batch(self, step: int) -> Batch:
        """Fresh sounds for each step, of random kinds."""
        random = keyed_generator(self.seed, self.split, step)
        label = random.integers(len(KINDS), size=self.batch_size).astype(np.int32)
        signal = np.stack([self._sound(random, int(kind)) for kind in label])
        return Batch(signal, label, np.ones(self.batch_size, dtype=bool))

    def evaluation(self) -> Iterator[Batch]:
        """The first `num_evaluation_batches` batches of the split."""
        return (self.batch(step) for step in range(self.num_evaluation_batches))

    def _sound(self, random: np.random.Generator, kind: int) -> Float[np.ndarray, " samples"]:
        time = np.arange(self.crop_samples) / self.sample_rate
        sound = KINDS[kind](random, time, self.sample_rate)
        peak = 10.0 ** (random.uniform(-24.0, -1.0) / 20.0)
        return (sound * peak / max(float(np.abs(sound).max()), 1e-9)).astype(np.float32)


def _harmonic_tone(random: np.random.Generator, time: np.ndarray, sample_rate: int) -> np.ndarray:
    """Up to 16 harmonics of 80 ... 640 Hz below the Nyquist frequency, with vibrato of at most half a semitone."""
    fundamental = 80.0 * 2.0 ** random.uniform(0.0, 3.0)
    depth, rate = random.uniform(0.0, 0.03), random.uniform(4.0, 7.0)
    # The phase is the integral of f (1 + depth sin(2 pi rate t)).
    phase = 2 * np.pi * fundamental * time - fundamental * depth / rate * np.cos(2 * np.pi * rate * time)
    count = max(1, min(16, int(0.45 * sample_rate / (fundamental * (1.0 + depth)))))
    number = np.arange(1, count + 1)
    amplitudes = random.uniform(0.3, 1.0, count) * number ** -random.uniform(0.5, 1.5)
    offsets = random.uniform(0.0, 2 * np.pi, count)
    return amplitudes @ np.sin(number[:, None] * phase + offsets[:, None])


def _chirp(random: np.random.Generator, time: np.ndarray, sample_rate: int) -> np.ndarray:
    """An exponential sweep, up or down, between two frequencies of 100 Hz ... 0.45 times the sample rate."""
    first, last = 100.0 * (0.45 * sample_rate / 100.0) ** random.uniform(0.0, 1.0, 2)
    duration = len(time) / sample_rate
    rate = np.log(last / first) / duration
    progress = np.expm1(rate * time) / rate if abs(rate) > 1e-6 else time
    return np.sin(2 * np.pi * first * progress + random.uniform(0.0, 2 * np.pi))


def _noise_burst(random: np.random.Generator, time: np.ndarray, sample_rate: int) -> np.ndarray:
    """Noise around a random frequency that starts suddenly in the first half and dies away."""
    frequency = np.fft.rfftfreq(len(time), 1.0 / sample_rate)
    centre = 200.0 * (0.4 * sample_rate / 200.0) ** random.uniform()
    width = centre * random.uniform(0.3, 1.5)
    spectrum = np.fft.rfft(random.standard_normal(len(time))) * np.exp(-0.5 * ((frequency - centre) / width) ** 2)
    duration = len(time) / sample_rate
    since = time - random.uniform(0.0, 0.5) * duration
    decay = np.exp(-np.maximum(since, 0.0) / (duration * random.uniform(0.05, 0.3)))
    return np.fft.irfft(spectrum, len(time)) * np.where(since >= 0.0, decay, 0.0)


KINDS = (_harmonic_tone, _chirp, _noise_burst)
KIND_NAMES = ("harmonic tone", "chirp", "noise burst")


def keyed_generator(seed: int, split: str, step: int) -> np.random.Generator:
    """The generator of this step: the splits use distant parts of the sequence that (seed, step) keys."""
    if split not in SPLITS:
        raise ValueError(f"split must be one of {', '.join(SPLITS)}, not {split!r}")
    counter = np.array([0, 0, 0, SPLITS.index(split)], np.uint64)
    return np.random.Generator(np.random.Philox(key=np.array([seed, step], np.uint64), counter=counter))


def _expand(factor: Float[Array, " b"], z: Float[Array, "b *signal"]) -> Float[Array, "b *ones"]:
    return factor.reshape(factor.shape + (1,) * (z.ndim - 1))
