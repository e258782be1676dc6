"""The distance of two clips in mel spectra of many window lengths at once."""

import numpy as np
from jaxtyping import Float

from meanflow_audio_codec.evaluators.audio.reconstruction import MEL_FLOOR
from meanflow_audio_codec.preprocessing.mel import magnitude_blocks, mel_filters

# Samples of each window and its number of bands, those of the loss in arXiv 2306.06546.
RESOLUTIONS = {32: 5, 64: 10, 128: 20, 256: 40, 512: 80, 1024: 160, 2048: 320}


def multi_resolution_mel_distance(
    reference: Float[np.ndarray, " samples"], estimate: Float[np.ndarray, " samples"], sample_rate: int
) -> float:
    """Sum over seven resolutions of the mean absolute difference of log10 mel magnitudes.

    Windows of 32 to 2048 samples at any sample rate with 5 to 320 bands; magnitudes below 1e-5 count as 1e-5. Bands
    too narrow to hold a bin are left out.
    """
    return sum(
        _mel_distance(reference, estimate, sample_rate, n_fft, num_bands) for n_fft, num_bands in RESOLUTIONS.items()
    )


def _mel_distance(
    reference: Float[np.ndarray, " samples"],
    estimate: Float[np.ndarray, " samples"],
    sample_rate: int,
    n_fft: int,
    num_bands: int,
) -> float:
    filters = mel_filters(sample_rate, n_fft, num_bands)
    filters = filters[:, filters.any(axis=0)]
    total, num_values = 0.0, 0
    for one, other in magnitude_blocks(reference, estimate, n_fft):
        difference = np.log10(np.maximum(one @ filters, MEL_FLOOR)) - np.log10(np.maximum(other @ filters, MEL_FLOOR))
        total += float(np.abs(difference).sum())
        num_values += difference.size
    return total / num_values
