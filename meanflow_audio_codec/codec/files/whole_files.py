"""Whole .mfc files in flat memory: blocks of audio into a file, and out of one."""

from collections.abc import Iterable, Iterator, Mapping
from itertools import islice
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Float, Int

from meanflow_audio_codec.codec.audio_input import as_channels
from meanflow_audio_codec.codec.codec import Codec
from meanflow_audio_codec.codec.container import BitstreamError, CheckedFile, Packet, StreamWriter
from meanflow_audio_codec.codec.container.byte_files import WritableFile
from meanflow_audio_codec.codec.container.stream_writer import NO_TAGS
from meanflow_audio_codec.codec.files.packet_streams import encode_stream
from meanflow_audio_codec.codec.length_limit import DEFAULT_MAX_SECONDS, check_max_seconds
from meanflow_audio_codec.codec.packets import FRAMES_PER_PACKET
from meanflow_audio_codec.codec.token_windows import HeldTokens
from meanflow_audio_codec.inference.decoding_options import DecodingOptions
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
    options = DecodingOptions.of(
        codec.pretrained.method,
        num_steps=num_steps,
        temperature=temperature,
        seed=seed,
        default_seed=file.header.noise_seed,
    )
    check_max_seconds(max_seconds)
    codec.check_header(file.header)
    codec.check_length(file.header, file.num_samples, file.num_frames, max_seconds=max_seconds)
    return _decoded_blocks(codec, file, options)


def _decoded_blocks(
    codec: Codec, file: CheckedFile, options: DecodingOptions
) -> Iterator[Float[np.ndarray, "channels samples"]]:
    rate, channels = file.header.sample_rate, file.header.channels
    resampler = StreamingResampler(codec.sample_rate, rate, channels)
    own_left, left = resampled_length(file.num_samples, rate, codec.sample_rate), file.num_samples
    windows = codec.networks.decoded_windows(_FileTokens(codec, file), file.num_frames, options, channels=channels)
    for own_block in windows:
        # The two roundings of a resampled length can give some samples too many.
        block = resampler.push(own_block[:, :own_left])[:, :left]
        own_left = max(own_left - own_block.shape[1], 0)
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
            channels = as_channels(block, allow_empty=True)
            self.channels, num_samples = channels.shape
            self.num_samples += num_samples
            yield channels


class _FileTokens:
    """Tokens of a file, packet by packet: those that a window sees, and the rest of their packets."""

    def __init__(self, codec: Codec, file: CheckedFile) -> None:
        self._networks, self._coder = codec.networks, codec.packet_coder
        self._num_frames = file.num_frames
        self._packets = file.packets()
        num_side, num_codes = len(self._networks.side_levels), len(self._networks.code_levels)
        self._side = np.zeros((file.header.channels, 0, num_side), np.int32)
        self._codes = np.zeros((file.header.channels, 0, num_codes), np.int32)
        self._first = 0

    def window(
        self, first: int, length: int
    ) -> tuple[Int[np.ndarray, "channels window s"], Int[np.ndarray, "channels window q"]]:
        """The frames from `first` on, with silence before and after the recording; earlier ones are forgotten.

        Raises:
            BitstreamError: a packet is damaged.
        """
        forgotten = max(first - self._first, 0)
        self._side, self._codes = self._side[:, forgotten:], self._codes[:, forgotten:]
        self._first += forgotten
        last = min(first + length, self._num_frames)
        while self._first + self._codes.shape[1] < last:
            self._read_slice()
        held = HeldTokens(self._side, self._codes, self._networks.silent_codes, first=self._first)
        return held.window(first, length)

    def _read_slice(self) -> None:
        """The packets of the next slice of time."""
        packets = list(islice(self._packets, len(self._codes)))
        if len(packets) < len(self._codes):
            raise BitstreamError("the file has become shorter while it was read: begin anew")
        decoded = [self._coder.decode(packet.payload, packet.num_frames) for packet in packets]
        side = np.stack([self._networks.side_of_symbols(symbols) for symbols, _ in decoded])
        codes = np.stack([codes for _, codes in decoded])
        self._side = np.concatenate([self._side, side], axis=1)
        self._codes = np.concatenate([self._codes, codes], axis=1)
