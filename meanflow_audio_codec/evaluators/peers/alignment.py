"""Removes a small constant delay of a decoded clip, which a listener would not notice and waveform metrics would."""

import numpy as np
from jaxtyping import Float


def find_lag(
    reference: Float[np.ndarray, " samples"], decoded: Float[np.ndarray, " decoded_samples"], largest_lag: int
) -> int:
    """Samples by which the decoded clip is late (negative: early), from the peak of their correlation."""
    if largest_lag < 0:
        raise ValueError(f"the largest lag must not be negative, it is {largest_lag}")
    length = len(reference)
    padded = np.zeros(length + 2 * largest_lag)
    end = min(len(decoded), length + largest_lag)
    padded[largest_lag : largest_lag + end] = decoded[:end]
    lags = np.array(sorted(range(-largest_lag, largest_lag + 1), key=abs))
    correlations = [padded[largest_lag + lag : largest_lag + lag + length] @ reference for lag in lags]
    return int(lags[int(np.argmax(correlations))])


def remove_lag(
    decoded: Float[np.ndarray, " decoded_samples"], lag: int, num_samples: int
) -> Float[np.ndarray, " samples"]:
    """The decoded clip moved earlier by `lag` samples, cut or filled up with zeros to `num_samples`."""
    moved = decoded[lag:] if lag >= 0 else np.pad(decoded, (-lag, 0))
    return np.pad(moved[:num_samples], (0, max(0, num_samples - len(moved))))
