"""Signals to tokens and back: exact inverse pairs without parameters."""

from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import jax.numpy as jnp
from einops import rearrange
from jaxtyping import Array, Float

from meanflow_audio_codec.configs.tokens import MDCTConfig, ReshapeConfig, TokenizerConfig
from meanflow_audio_codec.preprocessing.mdct import imdct, imdct2, mdct, mdct2, num_frames
from meanflow_audio_codec.preprocessing.specs import SignalSpec, TokenSpec


@runtime_checkable
class Tokenizer(Protocol):
    """An exact inverse pair between signals of one shape and tokens of one shape."""

    @property
    def spec(self) -> TokenSpec:
        """Grid and channels of the tokens of one signal."""
        ...

    def tokenize(self, signal: Float[Array, "b *signal"]) -> Float[Array, "b n c"]:
        """Tokens of signals."""
        ...

    def detokenize(self, tokens: Float[Array, "b n c"]) -> Float[Array, "b *signal"]:
        """Signals of tokens; the inverse of `tokenize`."""
        ...


@dataclass(frozen=True)
class MDCTTokenizer:
    """One token per MDCT frame of audio, or per block of the separable transform of an image."""

    config: MDCTConfig
    signal: SignalSpec

    @property
    def spec(self) -> TokenSpec:
        """Frames by bins; for images, row frames by column frames, each with hop x hop coefficients."""
        hop = self.config.hop_length
        return TokenSpec(tuple(num_frames(size, hop) for size in self.signal.shape), hop ** len(self.signal.shape))

    def tokenize(self, signal: Float[Array, "b *signal"]) -> Float[Array, "b n c"]:
        """MDCT coefficients."""
        hop_length = self.config.hop_length
        if signal.ndim == 2:
            return mdct(signal, hop_length)
        blocks = mdct2(signal, hop_length)
        return rearrange(blocks, "b rows columns y x -> b (rows columns) (y x)")

    def detokenize(self, tokens: Float[Array, "b n c"]) -> Float[Array, "b *signal"]:
        """The inverse MDCT."""
        shape = self.signal.shape
        if len(shape) == 1:
            return imdct(tokens, length=shape[0])
        rows, _ = self.spec.grid
        blocks = rearrange(tokens, "b (rows columns) (y x) -> b rows columns y x", rows=rows, y=self.config.hop_length)
        return imdct2(blocks, shape=(shape[0], shape[1]))


@dataclass(frozen=True)
class ReshapeTokenizer:
    """Frames of audio side by side, zero-padded to whole ones, or squares of an image (pixel unshuffle)."""

    config: ReshapeConfig
    signal: SignalSpec

    def __post_init__(self) -> None:
        """Images must divide into whole squares."""
        if len(self.signal.shape) == 2 and any(size % self.config.patch for size in self.signal.shape):
            raise ValueError(f"patch {self.config.patch} must divide the image size {self.signal.shape}")

    @property
    def spec(self) -> TokenSpec:
        """Patches, and the values in each."""
        patch = self.config.patch
        return TokenSpec(tuple(-(-size // patch) for size in self.signal.shape), patch ** len(self.signal.shape))

    def tokenize(self, signal: Float[Array, "b *signal"]) -> Float[Array, "b n c"]:
        """Patches in raster order."""
        patch = self.config.patch
        if signal.ndim == 2:
            padded = jnp.pad(signal, ((0, 0), (0, -signal.shape[1] % patch)))
            return rearrange(padded, "b (n c) -> b n c", c=patch)
        return rearrange(signal, "b (rows y) (columns x) -> b (rows columns) (y x)", y=patch, x=patch)

    def detokenize(self, tokens: Float[Array, "b n c"]) -> Float[Array, "b *signal"]:
        """Patches put back."""
        if len(self.signal.shape) == 1:
            return rearrange(tokens, "b n c -> b (n c)")[:, : self.signal.shape[0]]
        rows, _ = self.spec.grid
        return rearrange(tokens, "b (rows columns) (y x) -> b (rows y) (columns x)", rows=rows, y=self.config.patch)


def segment_signal(config: TokenizerConfig, signal: SignalSpec, num_tokens: int) -> SignalSpec:
    """The signal that has exactly this many tokens of audio: a part of a longer one."""
    match config:
        case MDCTConfig():
            # n frames overlap by half: they give n - 1 hops of samples in full.
            return SignalSpec(((num_tokens - 1) * config.hop_length,), signal.sample_rate)
        case ReshapeConfig():
            return SignalSpec((num_tokens * config.patch,), signal.sample_rate)


def build_tokenizer(config: TokenizerConfig, signal: SignalSpec) -> Tokenizer:
    """The tokenizer of a configuration for signals of this shape."""
    match config:
        case MDCTConfig():
            return MDCTTokenizer(config, signal)
        case ReshapeConfig():
            return ReshapeTokenizer(config, signal)
