"""What a signal and its token grid look like, known before any data is read."""

from dataclasses import dataclass
from math import prod


@dataclass(frozen=True)
class SignalSpec:
    """Shape of one example, and its sample rate in Hz (None for images)."""

    shape: tuple[int, ...]
    sample_rate: int | None = None


@dataclass(frozen=True)
class TokenSpec:
    """Grid of tokens, (frames,) or (rows, columns), and the channels of each token."""

    grid: tuple[int, ...]
    channels: int

    @property
    def num_tokens(self) -> int:
        """Tokens per example."""
        return prod(self.grid)
