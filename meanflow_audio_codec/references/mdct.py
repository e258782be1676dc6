"""The MDCT in PyTorch as its definition says: window, then one product with a matrix of cosines.

Frames of 2 N samples overlap by half and keep N = `hop_length` coefficients; zeros stand before and after the signal,
so every sample lies in exactly two frames (Princen, Johnson and Bradley 1987). O(N) operations per sample: made to be
read, not to be fast.
"""
# pyright: reportMissingImports=false

import math

import torch
from torch import Tensor
from torch.nn import functional


def window_values(window: str, hop_length: int, kbd_alpha: float = 4.0) -> Tensor:
    """The 2 * hop_length values of the "sine", "vorbis" or "kbd" window, float64; w[n]^2 + w[n + hop]^2 = 1."""
    sine = torch.sin(math.pi / (2 * hop_length) * (torch.arange(2 * hop_length, dtype=torch.float64) + 0.5))
    if window == "sine":
        return sine
    if window == "vorbis":
        return torch.sin(math.pi / 2 * sine**2)
    if window == "kbd":
        kaiser = torch.kaiser_window(hop_length + 1, periodic=False, beta=math.pi * kbd_alpha, dtype=torch.float64)
        rising = (kaiser.cumsum(0)[:-1] / kaiser.sum()).sqrt()
        return torch.cat([rising, rising.flip(0)])
    raise ValueError(f"window must be sine, vorbis or kbd, not {window!r}")


def basis(window: str, hop_length: int, kbd_alpha: float = 4.0) -> Tensor:
    """Windowed cosines (2 hop, hop), float64: sqrt(2/N) w[n] cos(pi/N (n + 1/2 + N/2)(m + 1/2))."""
    n = torch.arange(2 * hop_length, dtype=torch.float64)[:, None]
    m = torch.arange(hop_length, dtype=torch.float64)
    cosines = torch.cos(math.pi / hop_length * (n + 0.5 + hop_length / 2) * (m + 0.5))
    return math.sqrt(2 / hop_length) * window_values(window, hop_length, kbd_alpha)[:, None] * cosines


def mdct(signal: Tensor, hop_length: int, *, window: str = "sine", kbd_alpha: float = 4.0) -> Tensor:
    """Coefficients (..., frames, hop) of signals (..., samples): ceil(samples / hop) + 1 frames."""
    to_whole_blocks = -signal.shape[-1] % hop_length
    padded = functional.pad(signal, (hop_length, to_whole_blocks + hop_length))
    frames = padded.unfold(-1, 2 * hop_length, hop_length)
    return frames @ basis(window, hop_length, kbd_alpha).to(signal)


def imdct(coefficients: Tensor, *, length: int, window: str = "sine", kbd_alpha: float = 4.0) -> Tensor:
    """The first `length` samples of the windowed overlap-add: the inverse of `mdct`, and its transpose."""
    hop_length = coefficients.shape[-1]
    frames = coefficients @ basis(window, hop_length, kbd_alpha).to(coefficients).T
    first, second = frames.split(hop_length, dim=-1)
    # Between the centres of frames k and k + 1 lie the second half of the one and the first half of the other.
    return (second[..., :-1, :] + first[..., 1:, :]).flatten(-2)[..., :length]
