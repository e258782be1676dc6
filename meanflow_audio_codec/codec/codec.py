"""The codec as its users see it: audio to bytes, and bytes to audio."""

import io
import zlib
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float

from meanflow_audio_codec.codec.audio_input import as_channels, as_file_bytes, as_sample_rate
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
from meanflow_audio_codec.codec.length_limit import DEFAULT_MAX_SECONDS, check_max_seconds, check_seconds
from meanflow_audio_codec.codec.model_of_file import check_header
from meanflow_audio_codec.codec.packets import (
    FRAMES_PER_PACKET,
    packet_places,
)
from meanflow_audio_codec.codec.pure_functions import PureFunctions
from meanflow_audio_codec.codec.rate.bit_rate import BitRate
from meanflow_audio_codec.codec.streaming.concealment import Concealment
from meanflow_audio_codec.codec.streaming.decoder import StreamingDecoder
from meanflow_audio_codec.codec.streaming.encoder import StreamingEncoder
from meanflow_audio_codec.codec.token_codec import TokenCodec
from meanflow_audio_codec.codec.tokens import Tokens
from meanflow_audio_codec.errors import InputError
from meanflow_audio_codec.inference.decoding_options import DecodingOptions
from meanflow_audio_codec.inference.given_numbers import shown
from meanflow_audio_codec.inference.pretrained import load_pretrained


class Codec(TokenCodec):
    """A neural audio codec; encoding is deterministic, and so is decoding for a given seed.

    Any sample rate, channel count and length of at least one sample is accepted and comes back as it was; inside, each
    channel is coded by itself at the model's own rate.
    """

    @classmethod
    def from_pretrained(cls, name_or_directory: str | Path = "speech-16k") -> "Codec":
        """The codec of a built-in model, of a model folder, or of a model on the Hugging Face hub (OWNER/MODEL).

        Raises:
            InputError: there is no such model, it is no audio codec with entropy tables, or its files are damaged.
        """
        pretrained = load_pretrained(name_or_directory)
        if not pretrained.entropy:
            raise InputError(f"model {name_or_directory}: is not an audio codec (it has no entropy tables)")
        codec = cls(pretrained)
        _ = codec.packet_coder  # damaged tables are told now, not at the first file
        return codec

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
        Hz; `bitrate` in kbit/s of payload, all channels together, as an average; `tags` are texts to keep with it.

        Raises:
            InputError: no samples, NaN or infinite samples, a wrong shape, a rate, a channel count, a bit rate or a
                length of packets out of range, or tags that cannot be stored.
        """
        channels, sample_rate = as_channels(audio), as_sample_rate(sample_rate)
        _, frames_per_packet = self._checked_packet_layout(len(channels), frames_per_packet)
        tokens = self.analyze(channels, sample_rate, bitrate=bitrate, frames_per_packet=frames_per_packet)
        packets = self.encode_packets(tokens, frames_per_packet)
        header = self.header(
            sample_rate=sample_rate,
            channels=len(channels),
            frames_per_packet=frames_per_packet,
            first_payload=packets[0].payload,
        )
        return write_stream(header, channels.shape[1], packets, tags)

    def header(self, *, sample_rate: int, channels: int, frames_per_packet: int, first_payload: bytes) -> Header:
        """The header of a file of this model.

        Raises:
            BitstreamError: a number that a file cannot hold.
        """
        return Header(
            model=self.name,
            weights_hash=self.pretrained.weights_hash,
            sample_rate=sample_rate,
            channels=channels,
            frames_per_packet=frames_per_packet,
            # Known as soon as the first packet is, so that a stream can be written before its end is known.
            noise_seed=zlib.crc32(first_payload),
        )

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
        check_max_seconds(max_seconds)
        reader = StreamReader(io.BytesIO(as_file_bytes(data)))
        header = reader.header
        options = DecodingOptions.of(
            self.pretrained.method,
            num_steps=num_steps,
            temperature=temperature,
            seed=seed,
            default_seed=header.noise_seed,
        )
        self.check_header(header)
        tokens = self.decode_packets(header, reader.packets(), max_seconds=max_seconds)
        num_samples = reader.trailer.num_samples
        self.check_length(header, num_samples, reader.num_frames, max_seconds=max_seconds)
        return self._synthesize(tokens, num_samples, header.sample_rate, options), header.sample_rate

    def encode_batch(self, recordings: Iterable[Any], sample_rate: Any, *, bitrate: float | None = None) -> list[bytes]:
        """The bytes of several recordings, of any lengths: the same as one by one.

        Raises:
            InputError: as `encode`.
        """
        return [self.encode(audio, sample_rate, bitrate=bitrate) for audio in recordings]

    def decode_batch(self, files: Iterable[bytes], **options: Any) -> list[tuple[Float[np.ndarray, "channels _"], int]]:
        """Audio and sample rates of several files: the same as one by one, with the options of `decode`.

        Raises:
            BitstreamError: as `decode`.
            InputError: as `decode`.
        """
        return [self.decode(data, **options) for data in files]

    @property
    def pure_functions(self) -> PureFunctions:
        """Encoder and decoder as pure JAX functions."""
        return PureFunctions(self.pretrained)

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
        channels, frames_per_packet = self._checked_packet_layout(channels, frames_per_packet)
        return StreamingEncoder(
            self.networks,
            self.packet_coder,
            rate=BitRate(self.networks, bitrate, channels),
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
        options = DecodingOptions.of(self.pretrained.method, num_steps=num_steps, temperature=temperature, seed=seed)
        rate = self.sample_rate if sample_rate is None else as_sample_rate(sample_rate)
        frames_per_packet = self.stream_frames_per_packet if frames_per_packet is None else frames_per_packet
        channels, frames_per_packet = self._checked_packet_layout(channels, frames_per_packet)
        return StreamingDecoder(
            self.networks,
            self.packet_coder,
            model_rate=self.sample_rate,
            sample_rate=rate,
            channels=channels,
            frames_per_packet=frames_per_packet,
            options=options,
            concealment=_checked_concealment(concealment),
        )

    def check_header(self, header: Header) -> None:
        """Make sure that a file was written by this very model.

        Raises:
            BitstreamError: another model, or other weights.
        """
        check_header(header, self.pretrained)

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
                    (num_frames - 1 - self.networks.block_frames) * self.networks.hop_length / self.sample_rate,
                    max_seconds,
                )
        if not parts[-1]:
            raise BitstreamError("the file holds no samples")
        joined = [[np.concatenate(kind) for kind in zip(*channel, strict=True)] for channel in parts]
        return Tokens(*(np.stack(kind) for kind in zip(*joined, strict=True)))

    def bits(self, data: bytes) -> int:
        """Payload bits of a file: what its bit rate counts."""
        return payload_bits(read_stream(as_file_bytes(data)).packets)


def _checked_concealment(concealment: Any) -> Concealment:
    if concealment is None:
        return Concealment()
    if not isinstance(concealment, Concealment):
        raise InputError(f"the concealment must be a Concealment, not {shown(concealment)}")
    return concealment
