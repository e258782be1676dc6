"""Windows of the MDCT, computed once on the host in float64.

Every window has 2 * hop_length values, is symmetric, and satisfies Princen and Bradley's condition, w[n]^2 +
w[n + hop_length]^2 = 1. Equation numbers refer to documentation/research/mdct/theory.md.
"""

from functools import cache

import numpy as np
from jaxtyping import Float64

WINDOWS = ("sine", "vorbis", "kbd")
HIGHEST_KBD_ALPHA = 100.0


def sine_window(hop_length: int) -> Float64[np.ndarray, " window"]:
    """The sine window (Malvar's modulated lapped transform): equation 6."""
    return np.sin(np.pi * (np.arange(2 * hop_length) + 0.5) / (2 * hop_length))


def vorbis_window(hop_length: int) -> Float64[np.ndarray, " window"]:
    """The power-sine window of the Vorbis I specification, section 4.3.1: equation 7."""
    return np.sin(0.5 * np.pi * sine_window(hop_length) ** 2)


def kaiser_bessel_derived_window(hop_length: int, alpha: float) -> Float64[np.ndarray, " window"]:
    """The Kaiser-Bessel-derived window (Fielder and others 1996): equation 8.

    A larger alpha trades a wider main lobe for lower far side lobes; AAC and AC-3 use 4 to 6.
    """
    if not 0.0 <= alpha <= HIGHEST_KBD_ALPHA:
        raise ValueError(f"alpha of the kbd window must lie in 0 ... {HIGHEST_KBD_ALPHA:g}, not {alpha}")
    from scipy.signal.windows import kaiser_bessel_derived

    return kaiser_bessel_derived(2 * hop_length, np.pi * alpha)


@cache
def window_values(window: str, hop_length: int, kbd_alpha: float = 4.0) -> Float64[np.ndarray, " window"]:
    """The 2 * hop_length values of the window of this name, read-only; `kbd_alpha` matters to "kbd" alone.

    Raises:
        ValueError: the name is not one of WINDOWS, the hop is below 1, or alpha is out of range.
    """
    if hop_length < 1:
        raise ValueError(f"hop_length must be at least 1, not {hop_length}")
    match window:
        case "sine":
            values = sine_window(hop_length)
        case "vorbis":
            values = vorbis_window(hop_length)
        case "kbd":
            values = kaiser_bessel_derived_window(hop_length, kbd_alpha)
        case _:
            raise ValueError(f"window must be one of {', '.join(WINDOWS)}, not {window!r}")
    values.setflags(write=False)
    return values
