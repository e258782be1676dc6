"""Codes and side information of a packet <-> bytes."""

from collections.abc import Mapping, Sequence
from itertools import pairwise

import numpy as np
from jaxtyping import Bool, Float, Int

from meanflow_audio_codec.codec.block_envelope import BlockEnvelopeCoder
from meanflow_audio_codec.codec.container import BitstreamError
from meanflow_audio_codec.codec.envelope import EnvelopeCoder
from meanflow_audio_codec.codec.range_coder import RangeReader, RangeWriter, checked_reading, table_model
from meanflow_audio_codec.codec.tables import PRECISION, check_frequencies, integer_frequencies

State = Mapping[str, np.ndarray]


class CodeCoder:
    """Codes of the encoder network: each of the q columns has one static table."""

    def __init__(self, frequencies: Sequence[Int[np.ndarray, " _"]]) -> None:
        for table in frequencies:
            check_frequencies(table)
        self.frequencies = tuple(frequencies)
        # An alphabet of one symbol carries nothing and is not coded.
        self._models = tuple(table_model(table) if len(table) > 1 else None for table in frequencies)

    @property
    def levels(self) -> tuple[int, ...]:
        """Alphabet size of each column."""
        return tuple(len(table) for table in self.frequencies)

    @classmethod
    def fit(
        cls,
        codes: Sequence[Int[np.ndarray, "_ q"]],
        levels: tuple[int, ...],
        num_digits: Sequence[Int[np.ndarray, " _"] | None] | None = None,
    ) -> "CodeCoder":
        """Tables of the columns' histograms, of the digits that count; with no codes at all, uniform tables.

        Raises:
            ValueError: a code lies outside its alphabet.
        """
        counts = [np.zeros(size, np.int64) for size in levels]
        for array, digits in zip(codes, num_digits or [None] * len(codes), strict=True):
            _check_symbols("code", array, levels)
            kept = _kept(array.shape, digits)
            for column, count in enumerate(counts):
                count += np.bincount(array[kept[:, column], column], minlength=len(count))
        return cls([integer_frequencies(count) for count in counts])

    def write(
        self, codes: Int[np.ndarray, "n q"], writer: RangeWriter, num_digits: Int[np.ndarray, " n"] | None = None
    ) -> None:
        """Appends the codes, column after column; of each frame the first `num_digits`, or all.

        Raises:
            ValueError: a code lies outside its alphabet, or one that is left out is not the middle of it.
        """
        _check_symbols("code", codes, self.levels)
        kept = _kept(codes.shape, num_digits)
        if (codes != np.asarray(self.levels) // 2)[~kept].any():
            raise ValueError("a code that is left out must be the middle of its alphabet")
        for column, model in enumerate(self._models):
            if model is not None:
                writer.write(codes[kept[:, column], column], model)

    def read(
        self, num_frames: int, reader: RangeReader, num_digits: Int[np.ndarray, " n"] | None = None
    ) -> Int[np.ndarray, "n q"]:
        """The codes of the next frames; those that were left out are the middle of their alphabet."""
        kept = _kept((num_frames, len(self._models)), num_digits)
        codes = np.where(kept, 0, np.asarray(self.levels, np.int32) // 2).astype(np.int32)
        for column, model in enumerate(self._models):
            if model is not None:
                codes[kept[:, column], column] = reader.read(int(kept[:, column].sum()), model)
        return codes

    @property
    def fewest_bits_per_frame(self) -> float:
        """Ideal code length of the most probable codes."""
        return sum((PRECISION - float(np.log2(table.max())) for table in self.frequencies), start=0.0)

    def bits(self, codes: Int[np.ndarray, "n q"]) -> Float[np.ndarray, "n q"]:
        """Ideal code length of every code."""
        bits = np.empty(codes.shape)
        for column, table in enumerate(self.frequencies):
            bits[:, column] = (PRECISION - np.log2(table))[codes[:, column]]
        return bits

    def cost(self, codes: Int[np.ndarray, "n q"], num_digits: Int[np.ndarray, " n"] | None = None) -> float:
        """Ideal code length in bits, of the first `num_digits` of each frame, or of all."""
        return float(np.sum(self.bits(codes), where=_kept(codes.shape, num_digits)))

    def state(self) -> dict[str, np.ndarray]:
        """The tables as int32 arrays."""
        tables = np.concatenate([*self.frequencies, np.zeros(0, np.int32)])
        return {"levels": np.asarray(self.levels, np.int32), "frequencies": tables.astype(np.int32)}

    @classmethod
    def from_state(cls, state: State) -> "CodeCoder":
        """The coder that `state` came from.

        Raises:
            ValueError: the arrays are no probability tables.
        """
        ends = np.concatenate([[0], np.cumsum(state["levels"], dtype=np.int64)])
        if len(state["frequencies"]) != ends[-1] or (state["levels"] < 1).any():
            raise ValueError(
                f"corrupt probability tables: {len(state['frequencies'])} entries for levels of {ends[-1]}"
            )
        return cls([state["frequencies"][start:end] for start, end in pairwise(ends)])


class PacketCoder:
    """A packet's payload: one range-coded stream of the side information, then the codes, of consecutive frames."""

    def __init__(self, codes: CodeCoder, envelope: EnvelopeCoder | BlockEnvelopeCoder | None = None) -> None:
        """Put the coders of the parts together.

        Raises:
            ValueError: an operating point has more digits than there are codes.
        """
        self.codes = codes
        self.envelope = envelope
        self._fewest_bits = 0.0 if envelope is None else envelope.fewest_bits_per_frame
        if not isinstance(envelope, BlockEnvelopeCoder):
            self._fewest_bits += codes.fewest_bits_per_frame
        elif envelope.digits.size and not 0 <= envelope.digits.min() <= envelope.digits.max() <= len(codes.levels):
            raise ValueError(f"{envelope.digits.max()} digits of {len(codes.levels)}: tables do not belong together")

    def num_digits(self, side: Int[np.ndarray, "n s"]) -> Int[np.ndarray, " n"] | None:
        """Digits that each frame has; None for all."""
        return self.envelope.num_digits(side) if isinstance(self.envelope, BlockEnvelopeCoder) else None

    def fewest_bytes(self, num_frames: int) -> int:
        """A size that every payload of this many frames has: what keeps a short file from asking for long audio.

        A payload is never shorter than its ideal code length; the margin is that of float rounding.
        """
        return int(0.999 * num_frames * self._fewest_bits / 8)

    @classmethod
    def fit(
        cls,
        sides: Sequence[Int[np.ndarray, "_ s"]],
        codes: Sequence[Int[np.ndarray, "_ q"]],
        *,
        side_levels: tuple[int, ...],
        code_levels: tuple[int, ...],
        packet_frames: int = 50,
    ) -> "PacketCoder":
        """Tables fitted to the tokens of recordings, to be used in packets of about `packet_frames`.

        Raises:
            ValueError: a symbol lies outside its alphabet, or there is side information to fit but no frame.
        """
        envelope = EnvelopeCoder.fit(sides, max(side_levels), packet_frames) if side_levels else None
        return cls(CodeCoder.fit(codes, code_levels), envelope)

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
            parts[_part_of(self.envelope)] = self.envelope.state()
        return {f"{part}.{name}": array for part, arrays in parts.items() for name, array in arrays.items()}

    @classmethod
    def from_state(cls, state: State) -> "PacketCoder":
        """The coder that `state` came from.

        Raises:
            ValueError: an array is missing, or is no probability table.
        """
        parts: dict[str, dict[str, np.ndarray]] = {"codes": {}, "envelope": {}, "block_envelope": {}}
        for key, array in state.items():
            part, _, name = key.partition(".")
            if part not in parts:
                raise ValueError(f"unknown entropy table {key!r}")
            parts[part][name] = array
        try:
            envelope = EnvelopeCoder.from_state(parts["envelope"]) if parts["envelope"] else None
            if parts["block_envelope"]:
                envelope = BlockEnvelopeCoder.from_state(parts["block_envelope"])
            return cls(CodeCoder.from_state(parts["codes"]), envelope)
        except KeyError as error:
            raise ValueError(f"the entropy tables lack {error}") from error


def _part_of(envelope: EnvelopeCoder | BlockEnvelopeCoder) -> str:
    return "block_envelope" if isinstance(envelope, BlockEnvelopeCoder) else "envelope"


def _kept(shape: tuple[int, ...], num_digits: Int[np.ndarray, " n"] | None) -> Bool[np.ndarray, "n q"]:
    """Which digits of each frame are coded."""
    if num_digits is None:
        return np.ones(shape, bool)
    return np.arange(shape[1]) < num_digits[:, None]


def _check_symbols(name: str, symbols: Int[np.ndarray, "n q"], levels: tuple[int, ...]) -> None:
    if symbols.shape[1] != len(levels):
        raise ValueError(f"{len(levels)} columns of {name}s expected, not {symbols.shape[1]}")
    if symbols.size and ((symbols < 0) | (symbols >= np.asarray(levels))).any():
        raise ValueError(f"a {name} lies outside its alphabet: {symbols.min()} ... {symbols.max()}, levels {levels}")
