"""Random changes of training crops: playback speed, equalization, added noise."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from meanflow_audio_codec.configs.data import AugmentationConfig
from meanflow_audio_codec.datasets.augmentation.equalization import equalize
from meanflow_audio_codec.datasets.augmentation.noise import colored_noise, mix

# Parts of the sequence that (seed, step) keys; the crops themselves are drawn from part 0.
SPEED, EQUALIZATION, NOISE = 1, 2, 3


@dataclass(frozen=True)
class Augmentation:
    """The changes of one batch, a pure function of configuration, seed and step.

    Each kind draws from its own part of the sequence, so none changes what another draws, nor which crops are taken.
    """

    config: AugmentationConfig
    seed: int
    step: int

    def speeds(self, count: int) -> Float[np.ndarray, " b"]:
        """Playback speed of each crop, uniform in its logarithm."""
        lowest, highest = np.log(self.config.speed_range)
        return np.exp(self._generator(SPEED).uniform(lowest, highest, count))

    def equalized(self, signal: Float[np.ndarray, "b samples"]) -> Float[np.ndarray, "b samples"]:
        """The crops with a random gain over frequency; see `equalize`."""
        if self.config.equalization_db == 0.0:
            return signal
        shape = len(signal), self.config.equalization_points
        return equalize(signal, self.config.equalization_db * self._generator(EQUALIZATION).standard_normal(shape))

    def noisy(
        self,
        signal: Float[np.ndarray, "b samples"],
        draw_crops: Callable[[np.random.Generator, int], Float[np.ndarray, "n samples"]],
    ) -> Float[np.ndarray, "b samples"]:
        """The crops, some of them with noise added: coloured, or one of other crops that `draw_crops` gives."""
        config, count = self.config, len(signal)
        if config.noise_probability == 0.0:
            return signal
        random = self._generator(NOISE)
        is_noisy = random.random(count) < config.noise_probability
        is_clip = random.random(count) < config.noise_clip_share
        ratios = random.uniform(*config.signal_to_noise_range_db, count)
        slopes = random.uniform(*config.noise_slope_range_db, count)
        colored, clips = is_noisy & ~is_clip, is_noisy & is_clip
        noise = np.zeros_like(signal)
        noise[colored] = colored_noise(random, slopes[colored], signal.shape[-1])
        if clips.any():
            noise[clips] = draw_crops(random, int(clips.sum()))
        return mix(signal, noise, ratios)

    def _generator(self, part: int) -> np.random.Generator:
        key, counter = np.array([self.seed, self.step], np.uint64), np.array([0, 0, 0, part], np.uint64)
        return np.random.Generator(np.random.Philox(key=key, counter=counter))
