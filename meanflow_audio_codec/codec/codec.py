"""The codec as its users see it: audio to bytes, and bytes to audio."""

import io
import zlib
from collections.abc import Iterable, Mapping
from functools import cached_property
from pathlib import Path
from typing import Any

import jax
import numpy as np
from jaxtyping import Float, Int

from meanflow_audio_codec.codec.audio_input import as_channels, as_sample_rate
from meanflow_audio_codec.codec.concealment import Concealment
from meanflow_audio_codec.codec.container import (
    BitstreamError,
    Header,
    Packet,
    StreamReader,
    payload_bits,
    read_stream,
    write_stream,
)
from meanflow_audio_codec.codec.container.stream_writer import NO_TAGS
from meanflow_audio_codec.codec.decoding_options import check_decoding_options
from meanflow_audio_codec.codec.entropy import PacketCoder
from meanflow_audio_codec.codec.header_check import check_header
from meanflow_audio_codec.codec.length_limit import DEFAULT_MAX_SECONDS, check_max_seconds, check_seconds
from meanflow_audio_codec.codec.packet_encoder import BitRate, DetailChooser
from meanflow_audio_codec.codec.packets import (
    FRAMES_PER_PACKET,
    STREAM_FRAMES_PER_PACKET,
    check_packet_layout,
    packet_places,
)
from meanflow_audio_codec.codec.pretrained import PretrainedModel, load_pretrained
from meanflow_audio_codec.codec.streaming_decoder import StreamingDecoder
from meanflow_audio_codec.codec.streaming_encoder import StreamingEncoder
from meanflow_audio_codec.codec.tokens import Tokens, check_tokens
from meanflow_audio_codec.codec.windows import WindowedNetworks, encoder_core_frames
from meanflow_audio_codec.errors import InputError
from meanflow_audio_codec.preprocessing.resampling import resample, resampled_length


class Codec:
    """A neural audio codec; encoding is deterministic, and so is decoding for a given seed.

    Any sample rate, channel count and length of at least one sample is accepted and comes back as it was; inside, each
    channel is coded by itself at the model's own rate.
    """

    def __init__(self, pretrained: PretrainedModel):
        self._pretrained = pretrained
        self._networks = WindowedNetworks(pretrained)
        if pretrained.signal.sample_rate is None:
            raise ValueError(f"model {pretrained.name} is not an audio codec")
        self.sample_rate: int = pretrained.signal.sample_rate

    @classmethod
    def from_pretrained(cls, name_or_directory: str | Path = "speech-16k") -> "Codec":
        """The codec of a built-in model or of a model folder.

        Raises:
            InputError: there is no such model, it is no audio codec with entropy tables, or its files are damaged.
        """
        pretrained = load_pretrained(name_or_directory)
        if not pretrained.entropy:
            raise InputError(f"model {name_or_directory}: is not an audio codec (it has no entropy tables)")
        codec = cls(pretrained)
        _ = codec.packet_coder  # damaged tables are told now, not at the first file
        return codec

    @property
    def name(self) -> str:
        """The model's name."""
        return self._pretrained.name

    @property
    def default_temperature(self) -> float:
        """Temperature used by `decode` unless told otherwise."""
        return self._pretrained.method.default_temperature

    @property
    def default_num_steps(self) -> int:
        """Network evaluations used by `decode` unless told otherwise."""
        return self._pretrained.method.default_num_steps

    @cached_property
    def packet_coder(self) -> PacketCoder:
        """The entropy coder of this model's tokens.

        Raises:
            InputError: the tables are damaged, or belong to another model.
        """
        try:
            coder = PacketCoder.from_state(self._pretrained.entropy)
        except ValueError as error:
            raise InputError(f"model {self.name}: damaged entropy tables ({error})") from error
        symbol_levels = () if coder.envelope is None else coder.envelope.levels
        if (symbol_levels, coder.codes.levels) != (self._networks.symbol_levels, self._networks.code_levels):
            raise InputError(f"model {self.name}: entropy tables and config.json do not belong together")
        return coder

    def encode(
        self,
        audio: Any,
        sample_rate: Any,
        *,
        bitrate: float | None = None,
        tags: Mapping[str, str] = NO_TAGS,
        frames_per_packet: int = FRAMES_PER_PACKET,
    ) -> bytes:
        """The bytes of a .mfc file.

        `audio` is float in [-1, 1], of shape (channels, samples) or (samples,): NumPy, JAX or PyTorch; `sample_rate` in
        Hz; `bitrate` in kbit/s of payload and channel, which is kept to on average; `tags` are texts to keep with it.

        Raises:
            InputError: no samples, NaN or infinite samples, a wrong shape, a rate, a channel count, a bit rate or a
                length of packets out of range, or tags that cannot be stored.
        """
        channels, sample_rate = as_channels(audio), as_sample_rate(sample_rate)
        tokens = self.analyze(channels, sample_rate, bitrate=bitrate, frames_per_packet=frames_per_packet)
        packets = self.encode_packets(tokens, frames_per_packet)
        header = Header(
            model=self.name,
            weights_hash=self._pretrained.weights_hash,
            sample_rate=sample_rate,
            channels=len(channels),
            frames_per_packet=frames_per_packet,
            # Known as soon as the first packet is, so that a stream can be written before its end is known.
            noise_seed=zlib.crc32(packets[0].payload),
        )
        return write_stream(header, channels.shape[1], packets, tags)

    def decode(
        self,
        data: bytes,
        *,
        num_steps: int | None = None,
        seed: int | None = None,
        temperature: float | None = None,
        max_seconds: float = DEFAULT_MAX_SECONDS,
    ) -> tuple[Float[np.ndarray, "channels samples"], int]:
        """Audio and its sample rate in Hz.

        `num_steps` network evaluations (1 by default); `temperature` scales the noise that decoding starts from, 0
        being the most faithful waveform and 1 the natural texture. Without a seed the file names the noise, so that
        decoding it twice gives the same samples.

        Raises:
            BitstreamError: the bytes are damaged, or were made by another model.
            InputError: a number of steps, a seed or a temperature out of range, or more audio than `max_seconds`.
        """
        check_decoding_options(num_steps=num_steps, temperature=temperature, seed=seed)
        check_max_seconds(max_seconds)
        reader = StreamReader(io.BytesIO(data))
        header = reader.header
        self.check_header(header)
        tokens = self.decode_packets(header, reader.packets(), max_seconds=max_seconds)
        num_samples = reader.trailer.num_samples
        self.check_length(header, num_samples, reader.num_frames, max_seconds=max_seconds)
        audio = self.synthesize(
            tokens,
            num_samples,
            header.sample_rate,
            num_steps=self.default_num_steps if num_steps is None else num_steps,
            seed=header.noise_seed if seed is None else seed,
            temperature=self.default_temperature if temperature is None else temperature,
        )
        return audio, header.sample_rate

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

    @property
    def codebook_sizes(self) -> tuple[int, ...]:
        """Alphabet size of each column of `tokenize`."""
        return self._networks.symbol_levels + self._networks.code_levels

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
        array = np.asarray(tokens)
        if (
            array.ndim not in (2, 3)
            or array.shape[-1] != len(self.codebook_sizes)
            or not np.issubdtype(array.dtype, np.integer)
        ):
            raise InputError(
                f"tokens must be integers of shape (frames, {len(self.codebook_sizes)}), or that with channels in "
                f"front, not {array.dtype} of shape {array.shape}"
            )
        channels = array[None] if array.ndim == 2 else array
        num_side = len(self._networks.symbol_levels)
        audio = self.synthesize(
            Tokens(channels[..., :num_side], channels[..., num_side:]),
            max(channels.shape[1] - 1, 0) * self._networks.hop_length,
            self.sample_rate,
            num_steps=self.default_num_steps if num_steps is None else num_steps,
            seed=seed,
            temperature=self.default_temperature if temperature is None else temperature,
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
        self._check_packet_layout(len(channels), frames_per_packet)
        rate = BitRate(self._networks, bitrate)
        num_frames = self.num_frames(channels.shape[1], sample_rate)
        core = encoder_core_frames(frames_per_packet, num_frames)
        coded = []
        for channel in channels:
            samples = resample(channel, sample_rate, self.sample_rate)
            side, codes = self._networks.encode(samples, num_frames, core, point=rate.point)
            choose = DetailChooser(self._networks, self.packet_coder, rate, self.frames_per_second)
            starts = range(0, num_frames, frames_per_packet)
            parts = [choose(side[i : i + frames_per_packet], codes[i : i + frames_per_packet]) for i in starts]
            coded.append([np.concatenate(kind) for kind in zip(*parts, strict=True)])
        return Tokens(*(np.stack(parts) for parts in zip(*coded, strict=True)))

    @property
    def frames_per_second(self) -> float:
        """Frames that a second of audio is coded in."""
        return self.sample_rate / self._networks.hop_length

    @property
    def stream_frames_per_packet(self) -> int:
        """Frames of a packet of a live stream: about 100 ms, in whole blocks."""
        block = self._networks.block_frames
        return max(STREAM_FRAMES_PER_PACKET // block, 1) * block

    def _check_packet_layout(self, channels: int, frames_per_packet: int) -> None:
        check_packet_layout(channels, frames_per_packet)
        if frames_per_packet % self._networks.block_frames:
            raise InputError(
                f"the frames per packet must be a multiple of {self._networks.block_frames}, not {frames_per_packet}"
            )

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
        check_decoding_options(num_steps=num_steps, temperature=temperature, seed=seed)
        if num_samples < 1 or sample_rate < 1:
            raise InputError(f"samples and sample rate must be positive, not {num_samples} and {sample_rate}")
        num_frames = self.num_frames(num_samples, sample_rate)
        check_tokens(tokens, num_frames, self._networks.symbol_levels, self._networks.code_levels)
        own_samples = resampled_length(num_samples, sample_rate, self.sample_rate)
        output = np.empty((len(tokens.codes), num_samples), np.float32)
        for channel, (symbols, codes) in enumerate(zip(tokens.side, tokens.codes, strict=True)):
            try:
                side = self._networks.side_of_symbols(symbols.astype(np.int32))
            except ValueError as error:
                raise InputError(f"tokens.side cannot be decoded: {error}") from None
            samples = self._networks.decode(
                side,
                codes.astype(np.int32),
                jax.random.fold_in(jax.random.key(seed), channel),
                num_samples=own_samples,
                num_steps=num_steps,
                temperature=temperature,
            )
            output[channel] = _fit(resample(samples, self.sample_rate, sample_rate), num_samples)
        return output

    def streaming_encoder(
        self,
        *,
        sample_rate: Any = None,
        channels: int = 1,
        bitrate: float | None = None,
        frames_per_packet: int | None = None,
    ) -> StreamingEncoder:
        """An encoder that takes audio piece by piece; at the model's own sample rate unless told otherwise.

        Its packets are those of `encode` with the same `bitrate` and `frames_per_packet`, which is that of
        `stream_frames_per_packet` unless told otherwise.

        Raises:
            InputError: a sample rate, a channel count or a length of packets out of range.
        """
        rate = self.sample_rate if sample_rate is None else as_sample_rate(sample_rate)
        frames_per_packet = self.stream_frames_per_packet if frames_per_packet is None else frames_per_packet
        self._check_packet_layout(channels, frames_per_packet)
        return StreamingEncoder(
            self._networks,
            self.packet_coder,
            rate=BitRate(self._networks, bitrate),
            model_rate=self.sample_rate,
            sample_rate=rate,
            channels=channels,
            frames_per_packet=frames_per_packet,
        )

    def streaming_decoder(
        self,
        *,
        sample_rate: Any = None,
        channels: int = 1,
        frames_per_packet: int | None = None,
        num_steps: int | None = None,
        seed: int = 0,
        temperature: float | None = None,
        concealment: Concealment | None = None,
    ) -> StreamingDecoder:
        """A decoder that takes packets one by one, and gives audio at the model's own rate unless told otherwise.

        `channels` and `frames_per_packet` are the encoder's. The other options are those of `decode`, but a stream has
        a seed of its own: the whole file, from which `decode` takes it, is not known. `concealment` says how lost
        packets are replaced.

        Raises:
            InputError: an option out of range.
        """
        check_decoding_options(num_steps=num_steps, temperature=temperature, seed=seed)
        rate = self.sample_rate if sample_rate is None else as_sample_rate(sample_rate)
        frames_per_packet = self.stream_frames_per_packet if frames_per_packet is None else frames_per_packet
        self._check_packet_layout(channels, frames_per_packet)
        return StreamingDecoder(
            self._networks,
            self.packet_coder,
            model_rate=self.sample_rate,
            sample_rate=rate,
            channels=channels,
            frames_per_packet=frames_per_packet,
            num_steps=self.default_num_steps if num_steps is None else num_steps,
            seed=seed,
            temperature=self.default_temperature if temperature is None else temperature,
            concealment=Concealment() if concealment is None else concealment,
        )

    def num_frames(self, num_samples: int, sample_rate: int) -> int:
        """Frames that a recording of this many samples is coded in."""
        return self._networks.num_frames(resampled_length(num_samples, sample_rate, self.sample_rate))

    def check_header(self, header: Header) -> None:
        """Make sure that a file was written by this very model, in packets of a size that its encoder writes.

        Raises:
            BitstreamError: another model, other weights, or packets that are too long.
        """
        check_header(header, self._pretrained)

    def check_length(
        self, header: Header, num_samples: int, num_frames: int, *, max_seconds: float = DEFAULT_MAX_SECONDS
    ) -> None:
        """Make sure that a file's length is that of its frames, and within the limit.

        Raises:
            BitstreamError: no samples, or not as many as the frames of the packets stand for.
            InputError: more than `max_seconds`.
        """
        if num_samples < 1:
            raise BitstreamError("the file holds no samples")
        if self.num_frames(num_samples, header.sample_rate) != num_frames:
            raise BitstreamError(f"{num_samples} samples do not fit {num_frames} frames: the file is damaged")
        check_seconds(num_samples / header.sample_rate, max_seconds)

    def encode_packets(self, tokens: Tokens, frames_per_packet: int = FRAMES_PER_PACKET) -> list[Packet]:
        """Packets: slice of time by slice of time, in each one packet per channel."""
        return [
            Packet(
                part.stop - part.start,
                self.packet_coder.encode(tokens.side[channel, part], tokens.codes[channel, part]),
            )
            for part, channel in packet_places(tokens.codes.shape[1], frames_per_packet, len(tokens.codes))
        ]

    def decode_packets(
        self, header: Header, packets: Iterable[Packet], *, max_seconds: float = DEFAULT_MAX_SECONDS
    ) -> Tokens:
        """The integers in the payloads; packets are taken one by one, so that the first damaged one ends the work.

        Raises:
            BitstreamError: no packets, or a payload that is not of its frames.
            InputError: more than `max_seconds`.
        """
        parts: list[list[tuple[np.ndarray, np.ndarray]]] = [[] for _ in range(header.channels)]
        num_frames = 0
        for index, packet in enumerate(packets):
            parts[index % header.channels].append(self.packet_coder.decode(packet.payload, packet.num_frames))
            if index % header.channels == 0:
                num_frames += packet.num_frames
                # One frame more than fills the recording, and the last block may be filled in part.
                check_seconds(
                    (num_frames - 1 - self._networks.block_frames) * self._networks.hop_length / self.sample_rate,
                    max_seconds,
                )
        if not parts[-1]:
            raise BitstreamError("the file holds no samples")
        joined = [[np.concatenate(kind) for kind in zip(*channel, strict=True)] for channel in parts]
        return Tokens(*(np.stack(kind) for kind in zip(*joined, strict=True)))

    def bits(self, data: bytes) -> int:
        """Payload bits of a file: what its bit rate counts."""
        return payload_bits(read_stream(data).packets)


def _fit(samples: Float[np.ndarray, " n"], length: int) -> Float[np.ndarray, " m"]:
    """Cut or zero-padded to this length (the two roundings of a resampled length can differ by a sample)."""
    return np.pad(samples[:length], (0, max(length - len(samples), 0)))
