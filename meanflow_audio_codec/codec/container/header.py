"""The header chunk: what a decoder must know before the first packet."""

import struct
from dataclasses import dataclass

from meanflow_audio_codec.codec.container.bitstream_error import BitstreamError, check_range

WEIGHTS_HASH_BYTES = 8
MAX_SAMPLE_RATE = 768_000
# More than this would be one long packet: refused, so that a few damaged bytes cannot ask for hours of work.
MAX_FRAMES_PER_PACKET = 2_000
# sample rate, channels, frames per packet, noise seed; after the model name and the weights hash
_NUMBERS = struct.Struct("<IBHI")


@dataclass(frozen=True)
class Header:
    """The model, the exact weights, and the form of the signal; its length is known at the end of the file only.

    A packet holds `frames_per_packet` frames of one channel, those of the last slice of time possibly fewer.
    `noise_seed` is the seed of the decoder's noise unless the user gives another.

    Raises:
        BitstreamError: a field lies outside its range.
    """

    model: str
    weights_hash: bytes
    sample_rate: int
    channels: int
    frames_per_packet: int
    noise_seed: int = 0

    def __post_init__(self) -> None:
        if not 1 <= len(self.model.encode("utf-8", "surrogateescape")) <= 255 or not self.model.isprintable():
            raise BitstreamError(f"model name must be 1 ... 255 printable UTF-8 bytes, not {self.model[:40]!r}")
        if len(self.weights_hash) != WEIGHTS_HASH_BYTES:
            raise BitstreamError(f"weights hash must be {WEIGHTS_HASH_BYTES} bytes, not {len(self.weights_hash)}")
        check_range("sample rate", self.sample_rate, 1, MAX_SAMPLE_RATE)
        check_range("channel count", self.channels, 1, 255)
        check_range("frames per packet", self.frames_per_packet, 1, MAX_FRAMES_PER_PACKET)
        check_range("noise seed", self.noise_seed, 0, 2**32 - 1)

    def to_bytes(self) -> bytes:
        """The content of the chunk."""
        name = self.model.encode("utf-8")
        numbers = _NUMBERS.pack(self.sample_rate, self.channels, self.frames_per_packet, self.noise_seed)
        return bytes([len(name)]) + name + self.weights_hash + numbers

    @classmethod
    def from_bytes(cls, content: bytes) -> "Header":
        """The header in a chunk's content.

        Raises:
            BitstreamError: the content has another size, or a field lies outside its range.
        """
        name_end = 1 + content[0] if content else 0
        if len(content) != name_end + WEIGHTS_HASH_BYTES + _NUMBERS.size:
            raise BitstreamError(f"the header has an implausible size of {len(content)} bytes")
        try:
            name = content[1:name_end].decode("utf-8")
        except UnicodeDecodeError as error:
            raise BitstreamError("the model name in the header is not UTF-8") from error
        hash_end = name_end + WEIGHTS_HASH_BYTES
        return cls(name, content[name_end:hash_end], *_NUMBERS.unpack_from(content, hash_end))
