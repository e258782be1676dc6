"""Models that code segments of a fixed number of tokens: the cells of the study, whatever their architecture.

A signal's tokens are cut into segments; the networks see one segment at a time. The transform is that of the whole
signal, so an MDCT still overlaps across the joins. Codes have a fixed length: models of the same levels cost the same.
"""

from functools import partial
from math import log2
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int, Key

from meanflow_audio_codec.codec.entropy_coding.block_gain_coder import BlockEnvelopeCoder
from meanflow_audio_codec.codec.entropy_coding.code_coder import CodeCoder
from meanflow_audio_codec.codec.entropy_coding.packet_coder import PacketCoder
from meanflow_audio_codec.inference.pretrained import PretrainedModel
from meanflow_audio_codec.models.codec_model import CodecModel
from meanflow_audio_codec.models.coefficient_decoding import decode_coefficients
from meanflow_audio_codec.preprocessing.normalizer import TokenNormalizer
from meanflow_audio_codec.preprocessing.specs import SignalSpec
from meanflow_audio_codec.preprocessing.tokenizers import Tokenizer, build_tokenizer

# Segments per call of the networks: one compilation serves any number.
BATCH_SEGMENTS = 250


class EncodedSignals(NamedTuple):
    """Symbols of side information, and codes, of every token of equally long signals, in whole blocks of tokens."""

    side: Int[np.ndarray, "b n s"]
    codes: Int[np.ndarray, "b n q"]


def fit_side_coder(pretrained: PretrainedModel, signals: Float[np.ndarray, "b *signal"]) -> BlockEnvelopeCoder | None:
    """Tables for the side information, from training signals; None if the normalisation has no side information."""
    normalizer = pretrained.normalizer
    if not normalizer.symbol_levels:
        return None
    tokenizer = _tokenizer_of(pretrained, signals.shape[1:])
    *_, symbols = _normalized(tokenizer, normalizer, jnp.asarray(signals))
    packets = list(np.asarray(symbols))
    return BlockEnvelopeCoder.fit([packets], normalizer.symbol_levels, normalizer.block_frames, normalizer.digits)


class SegmentCodec:
    """Encoder and decoder of a model over whole signals, cut into segments of tokens."""

    def __init__(self, pretrained: PretrainedModel, side_coder: BlockEnvelopeCoder | None):
        """Prepare a model.

        Raises:
            ValueError: the model has no encoder.
        """
        if pretrained.model.bottleneck is None:
            raise ValueError(f"model {pretrained.name} has no encoder: it samples, and codes nothing")
        self._pretrained = pretrained
        self._levels: tuple[int, ...] = pretrained.model.bottleneck.levels
        self._spec = pretrained.tokenizer.spec
        self._coder = PacketCoder(CodeCoder.fit([], self._levels), side_coder)
        self._decode = jax.jit(self._decode_segments, static_argnames="num_steps")

    @property
    def code_bits_per_token(self) -> float:
        """Length of the codes of one token in bits."""
        return sum(log2(size) for size in self._levels)

    def encode(self, signals: Float[np.ndarray, "b *signal"]) -> EncodedSignals:
        """Symbols and codes of equally long signals."""
        normalizer = self._pretrained.normalizer
        tokenizer = _tokenizer_of(self._pretrained, signals.shape[1:])
        x, side, symbols = map(np.asarray, _normalized(tokenizer, normalizer, jnp.asarray(signals)))
        features = np.asarray(normalizer.features(jnp.asarray(self._segments(side))))
        inputs = zip(_batches(self._segments(x)), _batches(features), strict=True)
        codes = _joined([_codes(self._pretrained.model, *batch) for batch in inputs], len(features))
        return EncodedSignals(symbols, self._whole(codes, x.shape[:2]))

    def decode(
        self,
        encoded: EncodedSignals,
        signal_shape: tuple[int, ...],
        *,
        seed: int,
        num_steps: int,
        temperature: float,
    ) -> Float[np.ndarray, "b *signal"]:
        """Signals of this shape; the noise of a segment depends on the seed and its place alone."""
        normalizer = self._pretrained.normalizer
        # What the last segment lacks are silent tokens in the middle of every alphabet.
        codes = self._segments(encoded.codes, np.asarray(self._levels, np.int32) // 2)
        side = self._segments(np.stack([normalizer.side_of_symbols(symbols) for symbols in encoded.side]))
        keys = jax.vmap(partial(jax.random.fold_in, jax.random.key(seed)))(jnp.arange(-(-len(codes) // BATCH_SEGMENTS)))
        parts = [
            self._decode(self._pretrained.model, *batch, key, np.float32(temperature), num_steps=num_steps)
            for *batch, key in zip(_batches(codes), _batches(side), keys, strict=True)
        ]
        tokens = self._whole(_joined(parts, len(codes)), encoded.codes.shape[:2])
        tokenizer = _tokenizer_of(self._pretrained, signal_shape)
        return np.asarray(_signals(tokenizer, jnp.asarray(tokens[:, : tokenizer.spec.num_tokens])))

    def to_bytes(self, encoded: EncodedSignals) -> list[bytes]:
        """The payload of each signal."""
        return [self._coder.encode(side, codes) for side, codes in zip(*encoded, strict=True)]

    def from_bytes(self, payloads: list[bytes], num_tokens: int) -> EncodedSignals:
        """The inverse of `to_bytes`, for signals of this many tokens.

        Raises:
            BitstreamError: a payload is damaged.
        """
        decoded = [self._coder.decode(payload, num_tokens) for payload in payloads]
        return EncodedSignals(*(np.stack(part) for part in zip(*decoded, strict=True)))

    def _decode_segments(
        self,
        model: CodecModel,
        codes: Int[Array, "b n q"],
        side: Int[Array, "b n s"],
        key: Key[Array, ""],
        temperature: Float[Array, ""],
        *,
        num_steps: int,
    ) -> Float[Array, "b n c"]:
        noise = jax.random.normal(key, (*codes.shape[:2], self._spec.channels))
        method, normalizer = self._pretrained.method, self._pretrained.normalizer
        return decode_coefficients(
            method, normalizer, model, side, codes, noise, num_steps=num_steps, temperature=temperature
        )

    def _segments(self, values: np.ndarray, fill: np.ndarray | float = 0) -> np.ndarray:
        """(b, n, ...) to (segments, tokens of a segment, ...), the last one of each signal filled up."""
        size = self._spec.num_tokens
        batch, num_tokens, channels = values.shape
        padded = np.empty((batch, -(-num_tokens // size) * size, channels), values.dtype)
        padded[:] = fill
        padded[:, :num_tokens] = values
        return padded.reshape(padded.shape[0] * padded.shape[1] // size, size, channels)

    def _whole(self, segments: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
        """The inverse of `_segments`, for signals of this batch size and number of tokens."""
        batch, num_tokens = shape
        return segments.reshape(batch, len(segments) // batch * self._spec.num_tokens, segments.shape[-1])[
            :, :num_tokens
        ]


# Compiled once for all models of the same tokens, and of the same encoder: a process may score many.


@partial(jax.jit, static_argnums=(0, 1))
def _normalized(
    tokenizer: Tokenizer, normalizer: TokenNormalizer, signals: Float[Array, "b *signal"]
) -> tuple[Float[Array, "b n c"], Int[Array, "b n s"], Int[Array, "b n s"]]:
    """Normalised tokens, side information and symbols, filled up with silence to whole blocks."""
    tokens = tokenizer.tokenize(signals)
    tokens = jnp.pad(tokens, ((0, 0), (0, -tokens.shape[1] % normalizer.block_frames), (0, 0)))
    return normalizer.normalize_at(tokens, 0)


@partial(jax.jit, static_argnums=0)
def _signals(tokenizer: Tokenizer, tokens: Float[Array, "b n c"]) -> Float[Array, "b *signal"]:
    return tokenizer.detokenize(tokens)


@jax.jit
def _codes(model: CodecModel, x: Float[Array, "b n c"], side: Float[Array, "b n s"]) -> Int[Array, "b n q"]:
    return model.encode(x, side).codes


def _tokenizer_of(pretrained: PretrainedModel, shape: tuple[int, ...]) -> Tokenizer:
    return build_tokenizer(pretrained.config.tokenizer, SignalSpec(tuple(shape), pretrained.signal.sample_rate))


def _batches(values: np.ndarray) -> list[np.ndarray]:
    """Parts of BATCH_SEGMENTS rows, the last one filled up with zeros."""
    padded = np.pad(values, ((0, -len(values) % BATCH_SEGMENTS), *((0, 0),) * (values.ndim - 1)))
    return [padded[first : first + BATCH_SEGMENTS] for first in range(0, len(padded), BATCH_SEGMENTS)]


def _joined(parts: list[jax.Array], count: int) -> np.ndarray:
    return np.concatenate([np.asarray(part) for part in parts])[:count]
