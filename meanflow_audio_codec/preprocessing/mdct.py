"""Orthonormal MDCT of signals and images: rotation of sample pairs, then a DCT-IV by one complex FFT.

With N = hop_length, windows have 2N samples, each frame has N coefficients, and frame k covers samples (k - 1) N ...
(k + 1) N - 1; zeros stand before and after the signal, so every sample lies in exactly two frames. The transform keeps
inner products and `imdct` is its adjoint. Equation numbers refer to documentation/research/mdct/theory.md.
"""

from functools import cache, partial

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Complex64, Float, Float32

from meanflow_audio_codec.preprocessing.mdct_windows import window_values


def num_frames(length: int, hop_length: int) -> int:
    """Frames of a signal of this many samples: ceil(length / hop_length) + 1.

    Raises:
        ValueError: the length is below 1, or the hop is not even and positive.
    """
    if hop_length < 2 or hop_length % 2:
        raise ValueError(f"hop_length must be even and at least 2, not {hop_length}")
    if length < 1:
        raise ValueError(f"the signal must have at least 1 sample, not {length}")
    return -(-length // hop_length) + 1


@cache
def _rotation(hop_length: int, window: str, kbd_alpha: float) -> Float32[np.ndarray, "2 half"]:
    """Sine and cosine of the angle between samples n and N - 1 - n of each block: w[n] and w[N - 1 - n]."""
    rising = window_values(window, hop_length, kbd_alpha)[:hop_length].astype(np.float32)
    return np.stack([rising[: hop_length // 2], rising[: hop_length // 2 - 1 : -1]])


@cache
def _twiddle(num_bins: int) -> Complex64[np.ndarray, " half"]:
    """Factors before and after the FFT (equation 5); each holds the square root of the scale sqrt(2 / N)."""
    phase = np.pi * (np.arange(num_bins // 2) + 0.125) / num_bins
    return ((2.0 / num_bins) ** 0.25 * np.exp(-1j * phase)).astype(np.complex64)


def _along_last(values: np.ndarray, rank: int) -> Array:
    return jnp.asarray(values.reshape((1,) * (rank - 1) + (-1,)))


def _pad_axis(x: Float[Array, "..."], before: int, after: int, axis: int) -> Float[Array, "..."]:
    widths = [(0, 0)] * x.ndim
    widths[axis] = (before, after)
    return jnp.pad(x, widths)


def _dct4(x: Float32[Array, "*b bins"]) -> Float32[Array, "*b bins"]:
    """Orthonormal DCT-IV over an even last axis, its own inverse, by a complex FFT of half its size (equation 5)."""
    num_bins = x.shape[-1]
    twiddle = _along_last(_twiddle(num_bins), x.ndim)
    packed = jax.lax.complex(x[..., ::2], x[..., ::-2]) * twiddle
    spectrum = jnp.fft.fft(packed) * twiddle
    return jnp.stack([spectrum.real, -spectrum.imag[..., ::-1]], axis=-1).reshape(x.shape)


@partial(jax.jit, static_argnames=("hop_length", "window", "kbd_alpha"))
def mdct(
    signal: Float[Array, "*b samples"], hop_length: int, *, window: str = "sine", kbd_alpha: float = 4.0
) -> Float32[Array, "*b frames bins"]:
    """Orthonormal MDCT over the last axis: num_frames(samples, hop_length) frames of hop_length coefficients, float32.

    Raises:
        ValueError: no samples, an odd hop, or an unknown window.
    """
    length = signal.shape[-1]
    num_blocks = num_frames(length, hop_length) - 1
    x = _pad_axis(signal.astype(jnp.float32), 0, num_blocks * hop_length - length, -1)
    x = x.reshape(*x.shape[:-1], num_blocks, hop_length)
    half = hop_length // 2
    first, mirrored = x[..., :half], x[..., : half - 1 : -1]
    sine, cosine = (_along_last(row, x.ndim) for row in _rotation(hop_length, window, kbd_alpha))
    # Block k is the right half of frame k (lower half of the fold) and the left half of frame k + 1 (upper half).
    lower = -(cosine * first + sine * mirrored)[..., ::-1]
    upper = sine * first - cosine * mirrored
    return _dct4(jnp.concatenate([_pad_axis(lower, 0, 1, -2), _pad_axis(upper, 1, 0, -2)], axis=-1))


@partial(jax.jit, static_argnames=("hop_length", "window", "kbd_alpha"))
def mdst(
    signal: Float[Array, "*b samples"], hop_length: int, *, window: str = "sine", kbd_alpha: float = 4.0
) -> Float32[Array, "*b frames bins"]:
    """Modified discrete sine transform of the same frames: the quadrature part that `mdct` leaves out.

    Turning a frame round in time turns the cosines of the MDCT into sines, up to the sign (-1)^(k + 1) of bin k
    (equation 11).

    Raises:
        ValueError: as `mdct`.
    """
    missing = -signal.shape[-1] % hop_length
    turned = jnp.flip(_pad_axis(signal.astype(jnp.float32), 0, missing, -1), -1)
    frames = jnp.flip(mdct(turned, hop_length, window=window, kbd_alpha=kbd_alpha), -2)
    sign = np.where(np.arange(hop_length) % 2 == 0, -1.0, 1.0).astype(np.float32)
    return frames * _along_last(sign, frames.ndim)


@partial(jax.jit, static_argnames=("length", "window", "kbd_alpha"))
def imdct(
    coefficients: Float[Array, "*b frames bins"], *, length: int, window: str = "sine", kbd_alpha: float = 4.0
) -> Float32[Array, "*b samples"]:
    """Inverse and adjoint of `mdct`: the first `length` samples of the windowed overlap-add, float32.

    Raises:
        ValueError: this length does not have this many frames, an odd hop, or an unknown window.
    """
    frames, hop_length = coefficients.shape[-2:]
    if num_frames(length, hop_length) != frames:
        raise ValueError(
            f"{length} samples at hop_length {hop_length} have {num_frames(length, hop_length)} frames, not {frames}"
        )
    folded = _dct4(coefficients.astype(jnp.float32))
    half = hop_length // 2
    lower, upper = -folded[..., :-1, half - 1 :: -1], folded[..., 1:, half:]
    sine, cosine = (_along_last(row, folded.ndim) for row in _rotation(hop_length, window, kbd_alpha))
    first = sine * upper + cosine * lower
    mirrored = sine * lower - cosine * upper
    blocks = jnp.concatenate([first, mirrored[..., ::-1]], axis=-1)
    return blocks.reshape(*blocks.shape[:-2], -1)[..., :length]


@partial(jax.jit, static_argnames=("hop_length", "window", "kbd_alpha"))
def mdct2(
    image: Float[Array, "*b rows columns"], hop_length: int, *, window: str = "sine", kbd_alpha: float = 4.0
) -> Float32[Array, "*b row_frames column_frames row_bins column_bins"]:
    """Separable MDCT of an image: of each row, then of each column of the result (equation 9).

    Raises:
        ValueError: as `mdct`, for either axis.
    """
    of_rows = mdct(image, hop_length, window=window, kbd_alpha=kbd_alpha)
    of_columns = mdct(jnp.moveaxis(of_rows, -3, -1), hop_length, window=window, kbd_alpha=kbd_alpha)
    return jnp.moveaxis(of_columns, (-4, -3), (-3, -1))


@partial(jax.jit, static_argnames=("shape", "window", "kbd_alpha"))
def imdct2(
    coefficients: Float[Array, "*b row_frames column_frames row_bins column_bins"],
    *,
    shape: tuple[int, int],
    window: str = "sine",
    kbd_alpha: float = 4.0,
) -> Float32[Array, "*b rows columns"]:
    """Inverse and adjoint of `mdct2`; `shape` is the image's (rows, columns).

    Raises:
        ValueError: as `imdct`, for either axis.
    """
    rows, columns = shape
    of_columns = jnp.moveaxis(coefficients, (-3, -1), (-4, -3))
    of_rows = jnp.moveaxis(imdct(of_columns, length=rows, window=window, kbd_alpha=kbd_alpha), -1, -3)
    return imdct(of_rows, length=columns, window=window, kbd_alpha=kbd_alpha)
