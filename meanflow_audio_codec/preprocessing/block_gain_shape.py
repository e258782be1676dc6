"""Gain-shape coding at several bit rates: band gains coded in blocks of frames, and digits by the frame."""

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int, PRNGKeyArray

from meanflow_audio_codec.configs.decoding import DecodingConfig
from meanflow_audio_codec.configs.tokens import HIGHEST_GAIN_DB, BlockGainShapeConfig
from meanflow_audio_codec.preprocessing.bands import band_edges, band_weight
from meanflow_audio_codec.preprocessing.block_transform import GAIN_UNIT_DB, BlockTransform
from meanflow_audio_codec.preprocessing.normalizer import GainColumns, TokenNormalizer

# Detail of a frame: the share of the operating point's digits that it keeps, in steps of 1 / FULL_DETAIL.
FULL_DETAIL = 8
# Side information after the gains of the bands.
DETAIL, POINT = 0, 1
# Gains lower than this many units above the floor are silence.
SILENT_GAINS = 8
# Loudness grows with energy to this power (Zwicker and Fastl, Psychoacoustics, section 8.7.1).
LOUDNESS_EXPONENT = 0.23
# Frames louder than this share of the others are loud ones, here in training as in rate control.
LOUD_QUANTILE = 0.9
# A frame this much quieter than loud ones still has full detail; below, detail falls with loudness.
LOUDNESS_MARGIN = 1.5


@dataclass(frozen=True)
class BlockGainShapeNormalizer(TokenNormalizer):
    """Divides each band by its decoded gain; gains are coded by a `BlockTransform`.

    The decoder multiplies by what the encoder divided by, so that the pair inverts exactly whatever the quantisation
    step. The idea is CELT's (RFC 6716, section 4.3) and Gull's (arXiv 2404.04947): the networks see coefficients of
    about unit variance at any loudness, and a quiet band as well as a loud one.

    A model of one operating point has one bit rate: frames keep all digits, in training and in coding.

    Side information of a frame: the decoded gain of every band, in units of 0.25 dB above the floor; then its detail;
    then the index of the operating point. Gains near the floor are decoded as zero.

    Raises:
        ValueError: the basis is not orthonormal or of another size.
    """

    config: BlockGainShapeConfig
    decoding: DecodingConfig
    num_bins: int
    sample_rate: int
    basis: tuple[float, ...]

    def __post_init__(self) -> None:
        """Check the basis."""
        _ = self.transform

    @cached_property
    def transform(self) -> BlockTransform:
        """How gains are coded."""
        return BlockTransform(
            num_bands=self.config.num_bands,
            block_frames=self.config.block_frames,
            highest_db=HIGHEST_GAIN_DB - self.config.floor_db,
            steps_db=tuple(point.envelope_step_db for point in self.config.operating_points),
            basis=self.basis,
        )

    @cached_property
    def edges(self) -> tuple[int, ...]:
        """Band edges in bins."""
        return band_edges(self.num_bins, self.sample_rate, self.config.num_bands)

    @cached_property
    def band_of_bin(self) -> Int[np.ndarray, " bins"]:
        """The band each bin belongs to."""
        return np.repeat(np.arange(self.config.num_bands), np.diff(self.edges))

    @property
    def side_levels(self) -> tuple[int, ...]:
        """Alphabet sizes: gains, detail, operating point."""
        return (self.transform.num_gains,) * self.config.num_bands + self._last_levels

    @property
    def symbol_levels(self) -> tuple[int, ...]:
        """Alphabet sizes of what is coded: the transform's symbols, detail, operating point."""
        return self.transform.levels + self._last_levels

    @property
    def _last_levels(self) -> tuple[int, int]:
        return FULL_DETAIL + 1, len(self.config.operating_points)

    @property
    def block_frames(self) -> int:
        """Frames of a block."""
        return self.config.block_frames

    @property
    def gain_columns(self) -> GainColumns:
        """Those of the bands, in units of the decoded gains."""
        num_bands = self.config.num_bands
        detail = num_bands + DETAIL if self.bit_rates else None
        return GainColumns(num_bands, GAIN_UNIT_DB, self.transform.num_gains, detail)

    @property
    def bit_rates(self) -> tuple[int, ...]:
        """Those of the operating points, if there are several."""
        points = self.config.operating_points
        return tuple(point.bits_per_second for point in points) if len(points) > 1 else ()

    @cached_property
    def _steps_db(self) -> Float[np.ndarray, " points"]:
        return np.array([point.envelope_step_db for point in self.config.operating_points], np.float32)

    @cached_property
    def full_digits(self) -> Int[np.ndarray, " points"]:
        """Digits of a frame of full detail at every operating point."""
        return np.array([point.num_digits for point in self.config.operating_points], np.int32)

    @cached_property
    def digits(self) -> Int[np.ndarray, "points detail"]:
        """Digits of a frame of each operating point and detail: that share, rounded; in a model of one rate, all."""
        if not self.bit_rates:
            return np.broadcast_to(self.full_digits[:, None], (1, FULL_DETAIL + 1))
        return (
            self.full_digits[:, None] * np.arange(FULL_DETAIL + 1, dtype=np.int32) + FULL_DETAIL // 2
        ) // FULL_DETAIL

    def heights_db(self, tokens: Float[Array, "*b n bins"]) -> Float[Array, "*b n bands"]:
        """Root mean square of each band in dB above the floor, at least 0."""
        floor = np.float32(10.0 ** (self.config.floor_db / 10.0))
        return 10.0 * jnp.log10(jnp.maximum(self._mean_square(tokens), floor)) - self.config.floor_db

    def _mean_square(self, tokens: Float[Array, "*b n bins"], *, squared: bool = False) -> Float[Array, "*b n bands"]:
        energy = jnp.add.reduceat(tokens if squared else tokens**2, np.asarray(self.edges[:-1]), axis=-1)
        return energy / np.diff(self.edges).astype(np.float32)

    def detail(self, side: Int[Array, "*b n s"]) -> Int[Array, "*b n"]:
        """Detail of each frame."""
        return side[..., self.config.num_bands + DETAIL]

    def point(self, side: Int[Array, "*b n s"]) -> Int[Array, "*b n"]:
        """Index of the operating point of each frame."""
        return side[..., self.config.num_bands + POINT]

    def num_kept(self, side: Int[Array, "*b n s"]) -> Int[Array, "*b n"] | None:
        """Digits that each frame keeps, the rest are not coded; None, all, in a model of one bit rate."""
        if not self.bit_rates:
            return None
        return jnp.asarray(self.digits)[self.point(side), self.detail(side)]

    def with_detail(self, side: Int[Array, "*b n s"], detail: Int[Array, "*b n"]) -> Int[Array, "*b n s"]:
        """The same gains at another detail."""
        return jnp.asarray(side).at[..., self.config.num_bands + DETAIL].set(detail)

    def in_full_detail(self, side: Int[Array, "*b n s"]) -> Int[Array, "*b n s"]:
        """The same gains with all digits of their operating point."""
        return self.with_detail(side, jnp.full(side.shape[:-1], FULL_DETAIL))

    def at_point(
        self, tokens: Float[Array, "*b n bins"], point: Int[Array, "*b n"]
    ) -> tuple[Int[Array, "*b n s"], Int[Array, "*b n s"]]:
        """Symbols to code and side information, in full detail; `point` is that of each frame, the same within a block.

        Raises:
            ValueError: not a whole number of blocks.
        """
        step = jnp.asarray(self._steps_db)[point]
        symbols = self.transform.quantize(self.heights_db(tokens), step)
        gains = self.transform.dequantize(symbols, step)
        last = jnp.stack([jnp.full(point.shape, FULL_DETAIL), point], axis=-1).astype(jnp.int32)
        return jnp.concatenate([symbols, last], axis=-1), jnp.concatenate([gains, last], axis=-1)

    def normalize_at(
        self, tokens: Float[Array, "*b n bins"], point: Int[Array, ""] | int
    ) -> tuple[Float[Array, "*b n bins"], Int[Array, "*b n s"], Int[Array, "*b n s"]]:
        """Coefficients divided by their gains, side information and symbols, in full detail."""
        symbols, side = self.at_point(tokens, jnp.broadcast_to(jnp.asarray(point), tokens.shape[:-1]))
        return self.divide(tokens, side), side, symbols

    def side_of_symbols(self, symbols: Int[np.ndarray, "n s"]) -> Int[np.ndarray, "n s"]:
        """Side information as every decoder knows it, to the last bit.

        Raises:
            ValueError: not a whole number of blocks, or a block of several operating points.
        """
        num_bands, block_frames = self.config.num_bands, self.config.block_frames
        points = symbols[:, num_bands + POINT]
        if (points != np.repeat(points[::block_frames], block_frames)[: len(points)]).any():
            raise ValueError(f"the {block_frames} frames of a block must have one operating point")
        side = symbols.astype(np.int32)
        for point in np.unique(points):
            rows = points == point
            side[rows, :num_bands] = self.transform.gains(symbols[rows, :num_bands], int(point))
        return side

    def divide(self, tokens: Float[Array, "*b n bins"], side: Int[Array, "*b n s"]) -> Float[Array, "*b n bins"]:
        """Coefficients divided by the decoded gains of their bands."""
        return tokens * jnp.exp2(-self._log2_gains(side))[..., self.band_of_bin]

    def normalize(self, tokens: Float[Array, "*b n bins"]) -> tuple[Float[Array, "*b n bins"], Int[Array, "*b n s"]]:
        """At the highest operating point, in full detail."""
        x, side, _ = self.normalize_at(tokens, len(self._steps_db) - 1)
        return x, side

    def draw(
        self, tokens: Float[Array, "b n bins"], key: PRNGKeyArray
    ) -> tuple[Float[Array, "b n bins"], Int[Array, "b n s"]]:
        """A random operating point and detail per example: for training.

        One example in two has the same detail throughout, from 3/4 up; the others spend it by loudness.
        """
        if not self.bit_rates:
            return self.normalize(tokens)
        point_key, detail_key, kind_key = jax.random.split(key, 3)
        batch_size, num_frames = tokens.shape[:2]
        point = jax.random.randint(point_key, (batch_size, 1), 0, len(self._steps_db))
        _, side = self.at_point(tokens, jnp.broadcast_to(point, (batch_size, num_frames)))
        share = jax.random.uniform(detail_key, (batch_size, 1), minval=0.75, maxval=1.05)
        loudness = self.loudness(side)
        loudness = loudness / jnp.maximum(jnp.quantile(loudness, LOUD_QUANTILE, axis=-1, keepdims=True), 1e-6)
        by_loudness = jax.random.bernoulli(kind_key, 0.5, (batch_size, 1))
        share = jnp.where(by_loudness, jnp.minimum(LOUDNESS_MARGIN * loudness, 1.0), 1.0) * share
        detail = jnp.clip(jnp.round(share * FULL_DETAIL), 0, FULL_DETAIL).astype(jnp.int32)
        return self.divide(tokens, side), self.with_detail(side, detail)

    def loudness(self, side: Int[Array | np.ndarray, "*b n s"]) -> Float[Array | np.ndarray, "*b n"]:
        """Loudness of each frame up to a factor, from the decoded gains, JAX or NumPy: silence has none."""
        decibels = GAIN_UNIT_DB * side[..., : self.config.num_bands]
        return (10.0 ** (LOUDNESS_EXPONENT * decibels / 10.0) - 1.0).sum(axis=-1)

    def denormalize(self, tokens: Float[Array, "*b n bins"], side: Int[Array, "*b n s"]) -> Float[Array, "*b n bins"]:
        """Coefficients multiplied by the decoded gain of their band; gains at the floor are silence."""
        silent = side[..., : self.config.num_bands] < SILENT_GAINS
        gains = jnp.where(silent, 0.0, jnp.exp2(self._log2_gains(side)))
        return tokens * gains[..., self.band_of_bin]

    def _log2_gains(self, side: Int[Array, "*b n s"]) -> Float[Array, "*b n bands"]:
        decibels = GAIN_UNIT_DB * side[..., : self.config.num_bands] + self.config.floor_db
        return decibels * np.float32(np.log2(10.0) / 20.0)

    def loss_weight(self, side: Int[Array, "*b n s"], gain_exponent: float) -> Float[Array, "*b n bins"]:
        """`band_weight` of the decoded gains, for every bin."""
        return band_weight(self._log2_gains(side), self.edges, gain_exponent)[..., self.band_of_bin]

    def relative_weight(self, divided: Float[Array, "*b n bins"]) -> Float[Array, "*b n bins"]:
        """What turns a squared error of divided coefficients into one relative to the true energy of their band.

        Divided coefficients lack unit energy where the gain is coarse. Limited to 4, for bands of almost nothing.
        """
        return (1.0 / jnp.maximum(self._mean_square(divided), 0.25))[..., self.band_of_bin]

    def scale_noise(
        self, noise: Float[Array, "*b n bins"], variance: Float[Array, "*b n bins"], expected: Float[Array, "*b n bins"]
    ) -> Float[Array, "*b n bins"]:
        """Noise by a power of the share of its band's energy that is not known.

        `variance` is that of the prior's prediction, `expected` its mean square, which is not less.
        """
        if self.decoding.uncertainty_exponent == 0.0:
            return noise
        unknown = (self._mean_square(variance, squared=True) + 1e-6) / (
            self._mean_square(expected, squared=True) + 1e-6
        )
        return noise * (unknown**self.decoding.uncertainty_exponent)[..., self.band_of_bin]

    def restore_energy(
        self,
        tokens: Float[Array, "*b n bins"],
        expected: Float[Array, "*b n bins"],
        temperature: Float[Array, ""],
    ) -> Float[Array, "*b n bins"]:
        """Bring the energy of every band nearer to what the prior expects of it.

        Noise at a temperature below 1 lacks variance, and what is decoded is too quiet where little is known. Below a
        quarter, where the closest waveform is wanted, the correction fades out.
        """
        share = 0.5 * self.decoding.energy_restoration * jnp.clip(4.0 * temperature, 0.0, 1.0)
        ratio = (self._mean_square(expected, squared=True) + 1e-6) / (self._mean_square(tokens) + 1e-6)
        return tokens * (jnp.clip(ratio, 0.25, 8.0) ** share)[..., self.band_of_bin]

    def features(self, side: Int[Array, "*b n s"]) -> Float[Array, "*b n s"]:
        """Network input: log2 gains, digits and logarithm of the step, each moved and scaled to about unit variance."""
        gains = (self._log2_gains(side) + 6.0) / 4.0
        kept = self.num_kept(side)
        digits = jnp.ones(side.shape[:-1]) if kept is None else 2.0 * kept / float(self.full_digits[-1]) - 1.0
        step = jnp.log2(jnp.asarray(self._steps_db)[self.point(side)] / 10.0)
        return jnp.concatenate([gains, digits[..., None], step[..., None]], axis=-1)

    def state(self) -> dict[str, list[float]]:
        """The basis, row by row."""
        return {"basis": list(self.basis)}


def fit_band_basis(
    batches: Iterable[Float[Array, "_ _ bins"]], config: BlockGainShapeConfig, num_bins: int, sample_rate: int
) -> tuple[float, ...]:
    """Eigenvectors of the covariance of the heights, one per column, from the largest eigenvalue down; row by row.

    The sign of each is such that its entries sum to a positive number, so that the same data give the same basis.
    """
    identity = tuple(np.eye(config.num_bands).ravel().tolist())
    plain = BlockGainShapeNormalizer(config, DecodingConfig(), num_bins, sample_rate, identity)
    heights = np.concatenate(
        [np.asarray(plain.heights_db(batch), np.float64).reshape(-1, config.num_bands) for batch in batches]
    )
    _, vectors = np.linalg.eigh(np.cov(heights.T).reshape(config.num_bands, config.num_bands))
    vectors = vectors[:, ::-1]
    vectors = vectors * np.where(vectors.sum(axis=0) < 0.0, -1.0, 1.0)
    return tuple(vectors.ravel().tolist())
