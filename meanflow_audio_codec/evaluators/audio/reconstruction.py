"""How far a decoded signal is from its original: waveform and spectral distances of audio, pixel distances of images.

Audio metrics take one clip of any length, full scale 1; they run in NumPy, so that nothing is compiled per length.
The floors stated below keep every value finite; 16-bit audio lies far above them.
"""

import numpy as np
from jaxtyping import Float

from meanflow_audio_codec.preprocessing.mel import magnitude_blocks, mel_filters, window_length

ENERGY_FLOOR = 1e-9
POWER_FLOOR = 1e-8
MEL_FLOOR = 1e-5
MAGNITUDE_FLOOR = 1e-4
NUM_MEL_BANDS = 80
RESOLUTIONS = (512, 1024, 2048)


def scale_invariant_sdr(reference: Float[np.ndarray, " samples"], estimate: Float[np.ndarray, " samples"]) -> float:
    """Energy of the estimate's part along the reference over that of the rest, in dB (arXiv 1811.02508, equation 3).

    Both means are subtracted first.
    """
    _check_lengths(reference, estimate)
    reference, estimate = (np.asarray(x, np.float64) - np.mean(x, dtype=np.float64) for x in (reference, estimate))
    target = (reference @ estimate) / (reference @ reference + ENERGY_FLOOR) * reference
    return _energy_ratio_db(target, estimate - target)


def signal_to_noise_ratio(reference: Float[np.ndarray, " samples"], estimate: Float[np.ndarray, " samples"]) -> float:
    """Energy of the reference over that of the difference, in dB."""
    _check_lengths(reference, estimate)
    return _energy_ratio_db(np.asarray(reference, np.float64), np.asarray(reference, np.float64) - estimate)


def log_spectral_distance(
    reference: Float[np.ndarray, " samples"], estimate: Float[np.ndarray, " samples"], sample_rate: int
) -> float:
    """Mean over frames of the root mean square over bins of log10(power ratio), in bel.

    Spectra as in `spectra.magnitude_blocks` with `spectra.window_length`; powers below 1e-8 count as 1e-8.
    """
    total, num_frames = 0.0, 0
    for one, other in magnitude_blocks(reference, estimate, window_length(sample_rate)):
        difference = np.log10(np.maximum(one**2, POWER_FLOOR)) - np.log10(np.maximum(other**2, POWER_FLOOR))
        total += float(np.sqrt(np.mean(difference**2, axis=1)).sum())
        num_frames += len(one)
    return total / num_frames


def mel_distance(
    reference: Float[np.ndarray, " samples"], estimate: Float[np.ndarray, " samples"], sample_rate: int
) -> float:
    """Mean absolute difference of log10 mel magnitudes in 80 bands; magnitudes below 1e-5 count as 1e-5."""
    n_fft = window_length(sample_rate)
    filters = mel_filters(sample_rate, n_fft, NUM_MEL_BANDS)
    total, num_values = 0.0, 0
    for one, other in magnitude_blocks(reference, estimate, n_fft):
        difference = np.log10(np.maximum(one @ filters, MEL_FLOOR)) - np.log10(np.maximum(other @ filters, MEL_FLOOR))
        total += float(np.abs(difference).sum())
        num_values += difference.size
    return total / num_values


def multi_resolution_stft_distance(
    reference: Float[np.ndarray, " samples"], estimate: Float[np.ndarray, " samples"]
) -> float:
    """Spectral convergence plus mean absolute difference of natural log magnitudes, averaged over three window lengths.

    Windows of 512, 1024 and 2048 samples at any sample rate; magnitudes below 1e-4 count as 1e-4 in the logarithm
    (arXiv 1910.11480, equations 4 to 6).
    """
    total = 0.0
    for n_fft in RESOLUTIONS:
        squared_difference = squared_reference = log_difference = 0.0
        num_values = 0
        for one, other in magnitude_blocks(reference, estimate, n_fft):
            squared_difference += float(np.sum((one - other) ** 2))
            squared_reference += float(np.sum(one**2))
            logarithms = np.log(np.maximum(one, MAGNITUDE_FLOOR)) - np.log(np.maximum(other, MAGNITUDE_FLOOR))
            log_difference += float(np.abs(logarithms).sum())
            num_values += one.size
        convergence = np.sqrt(squared_difference) / (np.sqrt(squared_reference) + ENERGY_FLOOR)
        total += float(convergence) + log_difference / num_values
    return total / len(RESOLUTIONS)


def mean_squared_error(
    reference: Float[np.ndarray, "b *shape"], estimate: Float[np.ndarray, "b *shape"]
) -> Float[np.ndarray, " b"]:
    """Mean squared difference of each example."""
    difference = np.asarray(reference, np.float64) - estimate
    return np.mean(difference**2, axis=tuple(range(1, difference.ndim)))


def peak_signal_to_noise_ratio(
    reference: Float[np.ndarray, "b *shape"], estimate: Float[np.ndarray, "b *shape"], *, value_range: float = 2.0
) -> Float[np.ndarray, " b"]:
    """Squared range over mean squared error of each example, in dB; infinite where the two are equal.

    `value_range` is the largest value less the smallest: 2 for images in [-1, 1].
    """
    with np.errstate(divide="ignore"):
        return 10.0 * np.log10(value_range**2 / mean_squared_error(reference, estimate))


def _energy_ratio_db(signal: np.ndarray, noise: np.ndarray) -> float:
    return float(10.0 * np.log10((signal @ signal + ENERGY_FLOOR) / (noise @ noise + ENERGY_FLOOR)))


def _check_lengths(reference: np.ndarray, estimate: np.ndarray) -> None:
    if len(reference) != len(estimate):
        raise ValueError(f"two signals of one length are needed, not {len(reference)} and {len(estimate)} samples")
