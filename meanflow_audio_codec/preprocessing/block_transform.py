"""The transform that codes the band gains of a few frames together: cosines over time, a fitted basis over bands.

Two neighbouring bands, and two neighbouring frames, are loud together. A transform over both leaves few coefficients
of consequence, and a quantiser with a wide step zeroes the rest: what a step per band and frame spends on the
fluctuation of noise is saved, and one number, the step, moves between bit rates
(documentation/research/envelope_coding.md).
"""

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import jax.numpy as jnp
import numpy as np
from einops import rearrange
from jaxtyping import Array, Float, Int

from meanflow_audio_codec.configs.tokens import LARGEST_MAGNITUDE

# Decoded gains are whole numbers of this unit, so that every machine decodes the same ones.
GAIN_UNIT_DB = 0.25
# Largest magnitude of a quantised coefficient; the first of a block is the largest by far.
LARGEST_FIRST, LARGEST_OTHER = LARGEST_MAGNITUDE, LARGEST_MAGNITUDE // 2
# A magnitude is rounded up from 1 - this fraction on: most coefficients are small, and zeros are cheap.
ROUNDING = 0.36
# Fraction bits of the integers that the decoder computes with: of basis and cosines, and of a step in decibels.
_MATRIX_BITS, _STEP_BITS = 14, 8


def zigzag(values: Int[Array | np.ndarray, "*b"]) -> Int[Array | np.ndarray, "*b"]:
    """0, -1, 1, -2, 2 ... to 0, 1, 2, 3, 4 ...: signed integers as an alphabet whose silence is 0; JAX or NumPy."""
    return 2 * abs(values) - (values < 0)


def inverse_zigzag(symbols: Int[np.ndarray, "*b"]) -> Int[np.ndarray, "*b"]:
    """The inverse of `zigzag`; in NumPy, exact."""
    return np.where(symbols % 2 == 1, -(symbols + 1) // 2, symbols // 2)


@dataclass(frozen=True)
class BlockTransform:
    """Heights of band gains above a floor, in dB, to one symbol per frame and band, and back.

    `basis` is orthonormal, row by row, one basis vector per column; `steps_db` are the quantiser's steps on offer.
    Blocks begin at multiples of `block_frames`. Symbols that are all zero stand for the floor: silence.

    Raises:
        ValueError: the basis is not orthonormal or of another size.
    """

    num_bands: int
    block_frames: int
    highest_db: float
    steps_db: tuple[float, ...]
    basis: tuple[float, ...]

    def __post_init__(self) -> None:
        """Check the basis."""
        if len(self.basis) != self.num_bands**2:
            raise ValueError(
                f"the basis of {self.num_bands} bands has {self.num_bands**2} entries, not {len(self.basis)}"
            )
        matrix = np.asarray(self.basis).reshape(self.num_bands, self.num_bands)
        if not np.allclose(matrix.T @ matrix, np.eye(self.num_bands), atol=1e-4):
            raise ValueError("the basis of the bands is not orthonormal")

    @property
    def levels(self) -> tuple[int, ...]:
        """Alphabet size of each band's column of symbols."""
        return (2 * LARGEST_FIRST + 1, *((2 * LARGEST_OTHER + 1,) * (self.num_bands - 1)))

    @property
    def num_gains(self) -> int:
        """Alphabet size of the decoded gains."""
        return round(self.highest_db / GAIN_UNIT_DB) + 1

    @cached_property
    def _basis(self) -> Float[np.ndarray, "bands bands"]:
        return np.asarray(self.basis, np.float64).reshape(self.num_bands, self.num_bands)

    @cached_property
    def _cosines(self) -> Float[np.ndarray, "block block"]:
        """Orthonormal cosine transform of type II, one basis vector per row."""
        frequency, time = np.mgrid[: self.block_frames, : self.block_frames]
        rows = np.cos(np.pi * frequency * (time + 0.5) / self.block_frames) * np.sqrt(2.0 / self.block_frames)
        rows[0] /= np.sqrt(2.0)
        return rows

    def quantize(self, heights: Float[Array, "*b n bands"], step: Float[Array, "*b n"]) -> Int[Array, "*b n bands"]:
        """Symbols of whole blocks of frames; `step` is that of each frame in dB, the same within a block.

        Raises:
            ValueError: not a whole number of blocks.
        """
        coefficients = self._blocks(heights @ self._basis.astype(np.float32))
        coefficients = jnp.einsum("ft,...tb->...fb", self._cosines.astype(np.float32), coefficients)
        magnitude = jnp.floor(jnp.abs(coefficients) / self._blocks(step[..., None]) + ROUNDING)
        largest = np.array([LARGEST_FIRST] + [LARGEST_OTHER] * (self.num_bands - 1), np.float32)
        quantised = (jnp.sign(coefficients) * jnp.minimum(magnitude, largest)).astype(jnp.int32)
        return jnp.asarray(zigzag(rearrange(quantised, "... m f b -> ... (m f) b")))

    def dequantize(self, symbols: Int[Array, "*b n bands"], step: Float[Array, "*b n"]) -> Int[Array, "*b n bands"]:
        """Gains in units of 0.25 dB above the floor, by float arithmetic: now and then one off from `gains`.

        The encoder's networks may see these, a decoder's may not.
        """
        values = jnp.where(symbols % 2 == 1, -(symbols + 1) // 2, symbols // 2).astype(jnp.float32) * step[..., None]
        blocks = jnp.einsum("ft,...fb->...tb", self._cosines.astype(np.float32), self._blocks(values))
        heights = rearrange(blocks, "... m t b -> ... (m t) b") @ self._basis.T.astype(np.float32)
        return jnp.clip(jnp.round(heights / GAIN_UNIT_DB), 0, self.num_gains - 1).astype(jnp.int32)

    def gains(self, symbols: Int[np.ndarray, "n bands"], point: int) -> Int[np.ndarray, "n bands"]:
        """Gains in units of 0.25 dB above the floor, by integer arithmetic: the same on every machine.

        Raises:
            ValueError: not a whole number of blocks.
        """
        values = self._blocks(inverse_zigzag(np.asarray(symbols, np.int64)))
        values = np.einsum("ft,...fb->...tb", _integers(self._cosines), values) @ _integers(self._basis).T
        step = round(self.steps_db[point] * (1 << _STEP_BITS) / GAIN_UNIT_DB)
        bits = 2 * _MATRIX_BITS + _STEP_BITS
        heights = (values.reshape(-1, self.num_bands) * step + (1 << (bits - 1))) >> bits
        return heights.clip(0, self.num_gains - 1).astype(np.int32)

    def _blocks(self, values: Any) -> Any:
        if values.shape[-2] % self.block_frames:
            raise ValueError(f"{values.shape[-2]} frames are no whole number of blocks of {self.block_frames}")
        return rearrange(values, "... (m t) v -> ... m t v", t=self.block_frames)


def _integers(matrix: Float[np.ndarray, "rows columns"]) -> Int[np.ndarray, "rows columns"]:
    return np.rint(matrix * (1 << _MATRIX_BITS)).astype(np.int64)
