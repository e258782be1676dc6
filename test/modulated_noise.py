"""A degradation that every metric of speech must mind, also on the synthetic voice of the tests."""

import numpy as np


def with_modulated_noise(signal: np.ndarray, share: float) -> np.ndarray:
    """The signal with noise in proportion to it, as by the modulated noise reference unit (ITU-T P.810)."""
    noise = np.random.default_rng(0).standard_normal(len(signal))
    return (signal * (1.0 + share * noise)).astype(np.float32)
