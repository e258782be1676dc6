"""Audio to the integers that stand for it, and back: the codec without files."""

from functools import cached_property
from typing import Any

import numpy as np
from jaxtyping import Float, Int

from meanflow_audio_codec.codec.audio_input import as_channels, as_sample_rate
from meanflow_audio_codec.codec.context import encoder_core_frames
from meanflow_audio_codec.codec.entropy_coding.packet_coder import PacketCoder
from meanflow_audio_codec.codec.packets import (
    FRAMES_PER_PACKET,
    STREAM_FRAMES_PER_PACKET,
    checked_packet_layout,
)
from meanflow_audio_codec.codec.rate.bit_rate import BitRate
from meanflow_audio_codec.codec.rate.digit_allocation import DetailChooser
from meanflow_audio_codec.codec.token_windows import HeldTokens
from meanflow_audio_codec.codec.tokens import Tokens, as_integers, checked_tokens
from meanflow_audio_codec.codec.windowed_networks import WindowedNetworks
from meanflow_audio_codec.errors import InputError
from meanflow_audio_codec.inference.decoding_options import DecodingOptions
from meanflow_audio_codec.inference.given_numbers import positive_whole_number
from meanflow_audio_codec.inference.pretrained import PretrainedModel
from meanflow_audio_codec.preprocessing.resampling import resample, resampled_length


class TokenCodec:
    """The networks of a model over recordings of any length: audio to integers, and integers to audio."""

    def __init__(self, pretrained: PretrainedModel):
        self.pretrained = pretrained
        self.networks = WindowedNetworks(pretrained)
        if pretrained.signal.sample_rate is None:
            raise ValueError(f"model {pretrained.name} is not an audio codec")
        self.sample_rate: int = pretrained.signal.sample_rate

    def __reduce__(self) -> tuple[Any, ...]:
        """Pickled and copied as its model: what was compiled is compiled again."""
        return type(self), (self.pretrained,)

    @property
    def name(self) -> str:
        """The model's name."""
        return self.pretrained.name

    @property
    def default_temperature(self) -> float:
        """Temperature used by `decode` unless told otherwise."""
        return self.pretrained.method.default_temperature

    @property
    def default_num_steps(self) -> int:
        """Network evaluations used by `decode` unless told otherwise."""
        return self.pretrained.method.default_num_steps

    @property
    def hop_length(self) -> int:
        """Samples from frame to frame, at the model's rate."""
        return self.networks.hop_length

    @property
    def num_bins(self) -> int:
        """MDCT coefficients of a frame."""
        return self.networks.num_bins

    @property
    def frames_per_second(self) -> float:
        """Frames that a second of audio is coded in."""
        return self.sample_rate / self.networks.hop_length

    @property
    def stream_frames_per_packet(self) -> int:
        """Frames of a packet of a live stream: about 100 ms, in whole blocks; one block if the networks are causal.

        Waiting for the packet to fill is then nearly all the latency there is.
        """
        block = self.networks.block_frames
        if self.networks.is_causal:
            return block
        return max(STREAM_FRAMES_PER_PACKET // block, 1) * block

    @property
    def codebook_sizes(self) -> tuple[int, ...]:
        """Alphabet size of each column of `tokenize`."""
        return self.networks.symbol_levels + self.networks.code_levels

    @cached_property
    def packet_coder(self) -> PacketCoder:
        """The entropy coder of this model's tokens.

        Raises:
            InputError: the tables are damaged, or belong to another model.
        """
        try:
            coder = PacketCoder.from_state(self.pretrained.entropy)
        except ValueError as error:
            raise InputError(f"model {self.name}: damaged entropy tables ({error})") from error
        symbol_levels = () if coder.envelope is None else coder.envelope.levels
        belongs = (symbol_levels, coder.codes.levels) == (self.networks.symbol_levels, self.networks.code_levels)
        if not belongs or (coder.envelope is not None and coder.envelope.block_frames != self.networks.block_frames):
            raise InputError(f"model {self.name}: entropy tables and config.json do not belong together")
        return coder

    def tokenize(
        self, audio: Any, sample_rate: Any, *, bitrate: float | None = None
    ) -> Int[np.ndarray, "*channels frames codebooks"]:
        """The integers of a recording as one array, for language models; (channels, samples) gives a channel axis.

        Columns: those of `codebook_sizes`. Those of side information come first, then the quantiser's digits.

        Raises:
            InputError: as `encode`.
        """
        tokens = self.analyze(audio, sample_rate, bitrate=bitrate)
        joined = np.concatenate([tokens.side, tokens.codes], axis=-1).astype(np.int32)
        return joined[0] if np.ndim(audio) == 1 else joined

    def detokenize(
        self,
        tokens: Any,
        *,
        num_steps: int | None = None,
        seed: int = 0,
        temperature: float | None = None,
    ) -> Float[np.ndarray, "*channels samples"]:
        """Audio at the model's sample rate from the integers of `tokenize`: as long as the frames are.

        `tokens` is an array of shape (frames, codebooks), or of (channels, frames, codebooks).

        Raises:
            InputError: another number of columns, integers outside their alphabets, or an option out of range.
        """
        options = DecodingOptions.of(self.pretrained.method, num_steps=num_steps, temperature=temperature, seed=seed)
        array = as_integers(tokens, "tokens")
        if array.ndim not in (2, 3) or array.shape[-1] != len(self.codebook_sizes):
            raise InputError(
                f"tokens must be integers of shape (frames, {len(self.codebook_sizes)}), or that with channels in "
                f"front, not {array.dtype} of shape {array.shape}"
            )
        channels = array[None] if array.ndim == 2 else array
        num_side = len(self.networks.symbol_levels)
        audio = self._synthesize(
            Tokens(channels[..., :num_side], channels[..., num_side:]),
            max(channels.shape[1] - 1, 0) * self.networks.hop_length,
            self.sample_rate,
            options,
        )
        return audio[0] if array.ndim == 2 else audio

    def analyze(
        self,
        audio: Any,
        sample_rate: Any,
        *,
        bitrate: float | None = None,
        frames_per_packet: int = FRAMES_PER_PACKET,
    ) -> Tokens:
        """The integers that `encode` turns into bytes, in packets of this many frames.

        Raises:
            InputError: as `encode`.
        """
        channels, sample_rate = as_channels(audio), as_sample_rate(sample_rate)
        _, frames_per_packet = self._checked_packet_layout(len(channels), frames_per_packet)
        rate = BitRate(self.networks, bitrate, len(channels))
        num_frames = self.num_frames(channels.shape[1], sample_rate)
        core = encoder_core_frames(frames_per_packet, num_frames)
        coded = []
        for channel in channels:
            samples = resample(channel, sample_rate, self.sample_rate)
            side, codes = self.networks.encode(samples, num_frames, core, point=rate.point)
            choose = DetailChooser(self.networks, self.packet_coder, rate, self.frames_per_second)
            starts = range(0, num_frames, frames_per_packet)
            parts = [choose(side[i : i + frames_per_packet], codes[i : i + frames_per_packet]) for i in starts]
            coded.append([np.concatenate(kind) for kind in zip(*parts, strict=True)])
        return Tokens(*(np.stack(parts) for parts in zip(*coded, strict=True)))

    def synthesize(
        self,
        tokens: Tokens,
        num_samples: int,
        sample_rate: int,
        *,
        num_steps: int = 1,
        seed: int = 0,
        temperature: float = 1.0,
    ) -> Float[np.ndarray, "channels samples"]:
        """Audio of `num_samples` at `sample_rate` Hz from the integers.

        Raises:
            InputError: not as many frames as this length has, integers outside their alphabets, or an option out of
                range.
        """
        options = DecodingOptions(num_steps=num_steps, temperature=temperature, seed=seed)
        num_samples = positive_whole_number(num_samples, "the number of samples")
        return self._synthesize(tokens, num_samples, as_sample_rate(sample_rate), options)

    def _synthesize(
        self, tokens: Tokens, num_samples: int, sample_rate: int, options: DecodingOptions
    ) -> Float[np.ndarray, "channels samples"]:
        num_frames = self.num_frames(num_samples, sample_rate)
        tokens = checked_tokens(tokens, num_frames, self.networks.symbol_levels, self.networks.code_levels)
        try:
            side = np.stack([self.networks.side_of_symbols(symbols) for symbols in tokens.side])
        except ValueError as error:
            raise InputError(f"tokens.side cannot be decoded: {error}") from None
        held = HeldTokens(side, tokens.codes, self.networks.silent_codes)
        own = np.empty((len(side), resampled_length(num_samples, sample_rate, self.sample_rate)), np.float32)
        filled = 0
        for block in self.networks.decoded_windows(held, num_frames, options, channels=len(side)):
            part = own[:, filled : filled + block.shape[1]]
            part[:] = block[:, : part.shape[1]]
            filled += part.shape[1]
        if sample_rate == self.sample_rate:
            return own
        output = np.empty((len(side), num_samples), np.float32)
        for channel, samples in enumerate(own):
            output[channel] = _fit(resample(samples, self.sample_rate, sample_rate), num_samples)
        return output

    def num_frames(self, num_samples: int, sample_rate: int) -> int:
        """Frames that a recording of this many samples is coded in.

        Raises:
            InputError: no positive whole numbers.
        """
        num_samples = positive_whole_number(num_samples, "the number of samples")
        sample_rate = as_sample_rate(sample_rate)
        return self.networks.num_frames(resampled_length(num_samples, sample_rate, self.sample_rate))

    def _checked_packet_layout(self, channels: Any, frames_per_packet: Any) -> tuple[int, int]:
        channels, frames_per_packet = checked_packet_layout(channels, frames_per_packet)
        if frames_per_packet % self.networks.block_frames:
            raise InputError(
                f"the frames per packet must be a multiple of {self.networks.block_frames}, not {frames_per_packet}"
            )
        return channels, frames_per_packet


def _fit(samples: Float[np.ndarray, " n"], length: int) -> Float[np.ndarray, " m"]:
    """Cut or zero-padded to this length (the two roundings of a resampled length can differ by a sample)."""
    return np.pad(samples[:length], (0, max(length - len(samples), 0)))
