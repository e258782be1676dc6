"""Codes and side information of a packet <-> bytes."""

import numpy as np
from jaxtyping import Int

from meanflow_audio_codec.codec.container import BitstreamError
from meanflow_audio_codec.codec.entropy_coding.block_gain_coder import BlockEnvelopeCoder
from meanflow_audio_codec.codec.entropy_coding.code_coder import CodeCoder, State
from meanflow_audio_codec.codec.entropy_coding.range_coder import RangeReader, RangeWriter, checked_reading


class PacketCoder:
    """A packet's payload: one range-coded stream of the side information, then the codes, of consecutive frames."""

    def __init__(self, codes: CodeCoder, envelope: BlockEnvelopeCoder | None = None) -> None:
        """Put the coders of the parts together.

        Raises:
            ValueError: an operating point has more digits than there are codes.
        """
        self.codes = codes
        self.envelope = envelope
        fewest_digits, self._fewest_bits = len(codes.levels), 0.0
        if envelope is not None:
            digits = envelope.digits
            if not 0 <= digits.min() <= digits.max() <= len(codes.levels):
                raise ValueError(f"{digits.max()} digits of {len(codes.levels)}: tables do not belong together")
            fewest_digits, self._fewest_bits = int(digits.min()), envelope.fewest_bits_per_frame
        self._fewest_bits += codes.fewest_bits_per_frame(fewest_digits)

    def num_digits(self, side: Int[np.ndarray, "n s"]) -> Int[np.ndarray, " n"] | None:
        """Digits that each frame has; None for all."""
        return None if self.envelope is None else self.envelope.num_digits(side)

    def fewest_bytes(self, num_frames: int) -> int:
        """A size that every payload of this many frames has: what keeps a short file from asking for long audio.

        A payload is never shorter than its ideal code length; the margin is that of float rounding.
        """
        return int(0.999 * num_frames * self._fewest_bits / 8)

    def encode(self, side: Int[np.ndarray, "n s"], codes: Int[np.ndarray, "n q"]) -> bytes:
        """The payload; zero bytes if there are no frames.

        Raises:
            ValueError: shapes disagree with the tables, or a symbol lies outside its alphabet.
        """
        writer = RangeWriter()
        if self.envelope is not None:
            self.envelope.write(side, writer)
        elif side.shape[1]:
            raise ValueError(f"{side.shape[1]} bands of side information given to a coder without any")
        self.codes.write(codes, writer, self.num_digits(side))
        return writer.to_bytes()

    def decode(self, payload: bytes, num_frames: int) -> tuple[Int[np.ndarray, "n s"], Int[np.ndarray, "n q"]]:
        """Side information and codes of a payload of `num_frames` frames.

        Raises:
            BitstreamError: the payload is not what these tables and this number of frames encode to.
        """
        if len(payload) < self.fewest_bytes(num_frames):
            raise BitstreamError(
                f"a packet is corrupted: {num_frames} frames in {len(payload)} bytes, fewer than any take"
            )
        reader = RangeReader(payload)
        with checked_reading():
            side = np.zeros((num_frames, 0), np.int32)
            if self.envelope is not None:
                side = self.envelope.read(num_frames, reader)
            codes = self.codes.read(num_frames, reader, self.num_digits(side))
        reader.finish()
        return side, codes

    def cost(self, side: Int[np.ndarray, "n s"], codes: Int[np.ndarray, "n q"]) -> dict[str, float]:
        """Ideal code length of each part, in bits."""
        envelope = 0.0 if self.envelope is None else self.envelope.cost(side)
        return {"envelope": envelope, "codes": self.codes.cost(codes, self.num_digits(side))}

    def state(self) -> dict[str, np.ndarray]:
        """All tables as int32 arrays, for a safetensors file."""
        parts = {"codes": self.codes.state()}
        if self.envelope is not None:
            parts["block_envelope"] = self.envelope.state()
        return {f"{part}.{name}": array for part, arrays in parts.items() for name, array in arrays.items()}

    @classmethod
    def from_state(cls, state: State) -> "PacketCoder":
        """The coder that `state` came from.

        Raises:
            ValueError: an array is missing, or is no probability table.
        """
        parts: dict[str, dict[str, np.ndarray]] = {"codes": {}, "block_envelope": {}}
        for key, array in state.items():
            part, _, name = key.partition(".")
            if part not in parts:
                raise ValueError(f"unknown entropy table {key!r}")
            parts[part][name] = array
        try:
            envelope = BlockEnvelopeCoder.from_state(parts["block_envelope"]) if parts["block_envelope"] else None
            return cls(CodeCoder.from_state(parts["codes"]), envelope)
        except KeyError as error:
            raise ValueError(f"the entropy tables lack {error}") from error
