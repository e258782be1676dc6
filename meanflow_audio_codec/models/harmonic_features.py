"""What a decoder can know of harmonics that the codes leave open: the prior's mean in quadrature, and an excitation.

Above 1 to 2 kHz a codec of few bits knows energies and no phases. But the harmonics of one voice are locked to each
other: a power of the signal that is known has lines at all sums and differences of its own, so also where nothing is
known, and in phase with them (spectral band replication by a nonlinear device: Makhoul and Berouti, ICASSP 1979; as the
source of a neural vocoder: Wang, Takaki and Yamagishi, arXiv 1904.12088).
Equations: documentation/research/harmonic_features.md.
"""

from dataclasses import dataclass

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from meanflow_audio_codec.configs.tokens import MDCTConfig
from meanflow_audio_codec.preprocessing.mdct import imdct, mdct, mdst

# Arrays of one value per bin: mean, log scale, the mean in quadrature; even and odd excitation, each in both phases.
NUM_FEATURES = 7
# Bins on either side that an excitation's level is measured over, and the level that counts as silence.
LEVEL_BINS, SMALLEST_LEVEL = 15, 1e-3


def bins_of_hertz(hertz: float, transform: MDCTConfig, sample_rate: int) -> int:
    """The number of bins below a frequency."""
    return round(2.0 * hertz * transform.hop_length / sample_rate)


@dataclass(frozen=True)
class HarmonicFeatures:
    """Features of a prior's prediction of MDCT frames; they see one frame on either side.

    `lowest_bin` and `highest_bin` bound the bins that excite: the part of the mean that is well known.
    """

    transform: MDCTConfig
    lowest_bin: int
    highest_bin: int

    def __call__(
        self, mean: Float[Array, "b n bins"], log_scale: Float[Array, "b n bins"]
    ) -> Float[Array, "b n bins features"]:
        """`NUM_FEATURES` values per bin, all of about unit variance or less."""
        number = np.arange(mean.shape[-1])
        exciting = jnp.asarray((number >= self.lowest_bin) & (number < self.highest_bin), mean.dtype)
        signal = self._synthesize(mean * exciting)
        even, odd = jnp.abs(signal) ** 3, signal**3
        return jnp.stack(
            [
                mean,
                log_scale,
                mdst(self._synthesize(mean), self.transform.hop_length),
                *self._levelled(even),
                *self._levelled(odd),
            ],
            axis=-1,
        )

    def _synthesize(self, coefficients: Float[Array, "b n bins"]) -> Float[Array, "b samples"]:
        length = (coefficients.shape[-2] - 1) * self.transform.hop_length
        return imdct(coefficients, length=length)

    def _levelled(self, signal: Float[Array, "b samples"]) -> tuple[Float[Array, "b n bins"], Float[Array, "b n bins"]]:
        """Both phases of a signal, divided by their common level in the bins around: only the fine structure stays."""
        cosine = mdct(signal, self.transform.hop_length)
        sine = mdst(signal, self.transform.hop_length)
        width = 2 * LEVEL_BINS + 1
        energy = jnp.pad(cosine**2 + sine**2, ((0, 0), (0, 0), (LEVEL_BINS, LEVEL_BINS)), mode="reflect")
        sums = jnp.cumsum(jnp.pad(energy, ((0, 0), (0, 0), (1, 0))), axis=-1)
        mean_square = jnp.maximum(sums[..., width:] - sums[..., :-width], 0.0) / (2 * width)
        level = jnp.sqrt(mean_square + SMALLEST_LEVEL**2)
        return cosine / level, sine / level
