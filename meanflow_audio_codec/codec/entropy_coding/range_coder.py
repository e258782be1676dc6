"""constriction's range coder behind bytes: a short ending, and errors of our own."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import constriction
import numpy as np
from jaxtyping import Float, Int

from meanflow_audio_codec.codec.container import BitstreamError
from meanflow_audio_codec.codec.entropy_coding.tables import coder_weights

# A compiled module without type information: its models are `Any` in the annotations below.
_stream: Any = constriction.stream  # pyright: ignore[reportAttributeAccessIssue]
_queue = _stream.queue
_FAMILY = _stream.model.Categorical(perfect=False)
# Symbols whose tables are gathered at once: a bound on memory, not a property of the stream.
_BLOCK = 1 << 14


def table_model(frequencies: Int[np.ndarray, " symbols"]) -> Any:
    """An entropy model of two or more symbols from an integer table; exact, see `coder_weights`."""
    return _stream.model.Categorical(coder_weights(frequencies), perfect=False)


class RangeWriter:
    """Appends symbols to one range-coded stream."""

    def __init__(self) -> None:
        self._encoder = _queue.RangeEncoder()

    def write(self, symbols: Int[np.ndarray, " n"], model: Any) -> None:
        """Appends symbols that share one model."""
        if len(symbols):
            self._encoder.encode(np.ascontiguousarray(symbols, np.int32), model)

    def write_each(
        self,
        symbols: Int[np.ndarray, " n"],
        weights: Float[np.ndarray, "contexts levels"],
        contexts: Int[np.ndarray, " n"],
    ) -> None:
        """Appends symbols, each under the row of `coder_weights` that its context names."""
        symbols = np.ascontiguousarray(symbols, np.int32)
        for start in range(0, len(symbols), _BLOCK):
            block = slice(start, start + _BLOCK)
            self.write_rows(symbols[block], weights[contexts[block]])

    def write_rows(self, symbols: Int[np.ndarray, " n"], rows: Float[np.ndarray, "n levels"]) -> None:
        """Appends symbols, each under its own row of `coder_weights`."""
        self._encoder.encode(symbols, _FAMILY, rows)

    def to_bytes(self) -> bytes:
        """The stream: the fewest bytes that are sure to hold a number inside the coder's final interval.

        Decoders imply zeros after the end. With 2^d the largest power of 256 not above the interval's width, the number
        is the first multiple of 2^d in the interval, and its bytes below 2^d are not written. That costs less than 8
        bits above the ideal length; constriction's own ending, in words of 32 bits, up to 56. The length depends on the
        width alone, which is what lets a reader notice missing bytes.
        """
        words = self._encoder.get_compressed()
        if not len(words):
            return b""
        position, (lower, width) = self._encoder.pos()
        # The interval spans the two words from `position` on; the sealed words lie inside it, after any carry.
        size = 4 * (position + 2)
        sealed = int.from_bytes(words.astype(">u4").tobytes().ljust(size, b"\0"), "big")
        start = sealed - ((sealed - lower) & (2**64 - 1))
        dropped_bytes = (width.bit_length() - 1) // 8
        number = -(-start >> 8 * dropped_bytes)
        return number.to_bytes(size - dropped_bytes, "big")


class RangeReader:
    """Reads symbols in the order they were written, and knows at the end whether the bytes were really theirs.

    Every symbol read is written again: a message has one encoding only, so bytes left over, bytes missing, most damage
    and tables that are not the writer's all show as a difference. Use inside `checked_reading`.
    """

    def __init__(self, payload: bytes) -> None:
        self._payload = payload
        padded = payload.ljust(-(-len(payload) // 4) * 4, b"\0")
        self._decoder = _queue.RangeDecoder(np.frombuffer(padded, dtype=">u4").astype(np.uint32))
        self._mirror = RangeWriter()
        # Bare, for loops that need one symbol at a time; `confirm_each` must follow with all of them.
        self.read_symbol: Callable[[Any], int] = self._decoder.decode

    def read(self, count: int, model: Any) -> Int[np.ndarray, " count"]:
        """The next `count` symbols under one model."""
        if not count:
            return np.zeros(0, np.int32)
        symbols = self._decoder.decode(model, count)
        self._mirror.write(symbols, model)
        return symbols

    def read_each(
        self, weights: Float[np.ndarray, "contexts levels"], contexts: Int[np.ndarray, " n"]
    ) -> Int[np.ndarray, " n"]:
        """The next symbols, each under the row of `coder_weights` that its context names: a few at a time."""
        rows = weights[contexts]
        symbols = self._decoder.decode(_FAMILY, rows)
        self._mirror.write_rows(symbols, rows)
        return symbols

    def confirm_each(
        self,
        symbols: Int[np.ndarray, " n"],
        weights: Float[np.ndarray, "contexts levels"],
        contexts: Int[np.ndarray, " n"],
    ) -> None:
        """Tells the reader what `read_symbol` returned, and under which rows of `coder_weights`."""
        self._mirror.write_each(symbols, weights, contexts)

    def finish(self) -> None:
        """Confirms that the payload is what the symbols read are written as.

        Raises:
            BitstreamError: it is not.
        """
        if self._mirror.to_bytes() != self._payload:
            raise BitstreamError("a packet does not fit the model's probability tables: wrong weights or corrupt data")


@contextmanager
def checked_reading() -> Iterator[None]:
    """Turns constriction's error for undecodable data into `BitstreamError`."""
    try:
        yield
    except AssertionError as error:  # the type constriction raises
        raise BitstreamError("a packet is corrupted: it leads outside the probability tables") from error
