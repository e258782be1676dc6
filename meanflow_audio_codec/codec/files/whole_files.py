"""Whole .mfc files in flat memory: blocks of audio into a file, and out of one."""

from collections.abc import Iterable, Iterator, Mapping
from itertools import islice
from typing import Any, NamedTuple

import jax
import numpy as np
from jaxtyping import Float, Int

from meanflow_audio_codec.codec.codec import Codec
from meanflow_audio_codec.codec.container import BitstreamError, CheckedFile, Packet, StreamWriter
from meanflow_audio_codec.codec.container.byte_files import WritableFile
from meanflow_audio_codec.codec.container.stream_writer import NO_TAGS
from meanflow_audio_codec.codec.context import core_frames
from meanflow_audio_codec.codec.files.packet_streams import encode_stream
from meanflow_audio_codec.codec.length_limit import DEFAULT_MAX_SECONDS, check_max_seconds
from meanflow_audio_codec.codec.packets import FRAMES_PER_PACKET
from meanflow_audio_codec.codec.windowed_networks import _cut
from meanflow_audio_codec.inference.decoding_options import check_decoding_options
from meanflow_audio_codec.preprocessing.resampling import resampled_length
from meanflow_audio_codec.preprocessing.streaming_resampling import StreamingResampler


class EncodedFile(NamedTuple):
    """The sizes of a file that was written; `num_samples` counts one channel."""

    num_samples: int
    file_bytes: int
    payload_bits: int


def encode_file(
    codec: Codec,
    blocks: Iterable[Any],
    sample_rate: int,
    file: WritableFile,
    *,
    bitrate: float | None = None,
    tags: Mapping[str, str] = NO_TAGS,
    frames_per_packet: int = FRAMES_PER_PACKET,
) -> EncodedFile:
    """Write the bytes that `Codec.encode` gives for a recording, which comes in blocks of any size.

    At sample rates other than the model's, the last bits of resampling may differ, and so the bytes. Memory grows by
    four bytes per packet, which the index at the end of the file takes.

    Raises:
        InputError: as `Codec.encode`, or blocks of different channel counts.
    """
    shapes = _Shapes(blocks)
    writer, payload_bits = None, 0
    for packet in encode_stream(codec, shapes, sample_rate, bitrate=bitrate, frames_per_packet=frames_per_packet):
        if writer is None:
            header = codec.header(
                sample_rate=sample_rate,
                channels=shapes.channels,
                frames_per_packet=frames_per_packet,
                first_payload=packet.payload,
            )
            writer = StreamWriter(file, header, tags)
        writer.write_packet(Packet(packet.num_frames, packet.payload))
        payload_bits += 8 * len(packet.payload)
    assert writer is not None  # without samples there is an error, and with any there is a packet
    writer.finish(shapes.num_samples)
    return EncodedFile(shapes.num_samples, writer.position, payload_bits)


def decode_file(
    codec: Codec,
    file: CheckedFile,
    *,
    num_steps: int | None = None,
    seed: int | None = None,
    temperature: float | None = None,
    max_seconds: float = DEFAULT_MAX_SECONDS,
) -> Iterator[Float[np.ndarray, "channels samples"]]:
    """The samples that `Codec.decode` gives, in blocks, at the file's sample rate.

    The windows are those of `Codec.decode`, so the samples are the same to the last bit; at sample rates other than the
    model's, the last bits of resampling may differ.

    Raises:
        BitstreamError: the file was made by another model, or a packet is damaged, which is found when its turn comes.
        InputError: an option out of range, or more audio than `max_seconds`.
    """
    check_decoding_options(num_steps=num_steps, temperature=temperature, seed=seed)
    check_max_seconds(max_seconds)
    codec.check_header(file.header)
    codec.check_length(file.header, file.num_samples, file.num_frames, max_seconds=max_seconds)
    return _decoded_blocks(
        codec,
        file,
        seed=file.header.noise_seed if seed is None else seed,
        num_steps=codec.default_num_steps if num_steps is None else num_steps,
        temperature=codec.default_temperature if temperature is None else temperature,
    )


def _decoded_blocks(
    codec: Codec, file: CheckedFile, *, seed: int, num_steps: int, temperature: float
) -> Iterator[Float[np.ndarray, "channels samples"]]:
    networks, context, channels = codec._networks, codec._networks.decoder_context, file.header.channels
    own_samples = resampled_length(file.num_samples, file.header.sample_rate, codec.sample_rate)
    core = core_frames(file.num_frames)
    length = context.past + core + 1 + context.future
    tokens = _TokenWindow(codec, file)
    keys = [jax.random.fold_in(jax.random.key(seed), channel) for channel in range(channels)]
    resampler = StreamingResampler(codec.sample_rate, file.header.sample_rate, channels)
    left = file.num_samples
    for first in range(0, file.num_frames - 1, core):
        start = first - context.past
        tokens.move(start, min(start + length, file.num_frames))
        samples = [
            networks.decode_samples(
                *tokens.window(channel, start, length), key, start, num_steps=num_steps, temperature=temperature
            )
            for channel, key in enumerate(keys)
        ]
        own_block = np.stack(samples)[:, : own_samples - first * networks.hop_length]
        # The two roundings of a resampled length can give some samples too many.
        block = resampler.push(own_block)[:, :left]
        left -= block.shape[1]
        yield block
    yield resampler.finish()[:, :left]


class _Shapes:
    """Blocks of a recording as they come, with their channels and samples noted."""

    def __init__(self, blocks: Iterable[Any]) -> None:
        self._blocks = blocks
        self.channels = self.num_samples = 0

    def __iter__(self) -> Iterator[Any]:
        for block in self._blocks:
            self.channels, num_samples = np.atleast_2d(np.asarray(block)).shape
            self.num_samples += num_samples
            yield block


class _TokenWindow:
    """Side information and codes of the frames that a window sees, and of the rest of their last packets."""

    def __init__(self, codec: Codec, file: CheckedFile) -> None:
        self._networks = codec._networks
        self._coder = codec.packet_coder
        self._packets = file.packets()
        num_side, num_codes = len(self._networks.side_levels), len(self._networks.code_levels)
        self._side = [np.zeros((0, num_side), np.int32)] * file.header.channels
        self._codes = [np.zeros((0, num_codes), np.int32)] * file.header.channels
        self._first = 0

    def move(self, first: int, last: int) -> None:
        """Forget the frames before `first`, and decode packets up to that of the frame before `last`.

        Raises:
            BitstreamError: a packet is damaged.
        """
        forgotten = max(first - self._first, 0)
        self._side = [side[forgotten:] for side in self._side]
        self._codes = [codes[forgotten:] for codes in self._codes]
        self._first += forgotten
        while self._first + len(self._codes[0]) < last:
            packets = list(islice(self._packets, len(self._codes)))
            if len(packets) < len(self._codes):
                raise BitstreamError("the file has become shorter while it was read: begin anew")
            for channel, packet in enumerate(packets):
                symbols, codes = self._coder.decode(packet.payload, packet.num_frames)
                side = self._networks.side_of_symbols(symbols)
                self._side[channel] = np.concatenate([self._side[channel], side])
                self._codes[channel] = np.concatenate([self._codes[channel], codes])

    def window(
        self, channel: int, first: int, length: int
    ) -> tuple[Int[np.ndarray, "window s"], Int[np.ndarray, "window q"]]:
        """The frames of one channel from `first` on, with silence before and after the recording."""
        start, silent = first - self._first, self._networks.silent_codes
        return _cut(self._side[channel], start, length), _cut(self._codes[channel], start, length, silent)
