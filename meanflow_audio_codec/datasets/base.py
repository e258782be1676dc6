"""The contract between data sources and everything that consumes them."""

from collections.abc import Iterator
from typing import NamedTuple, Protocol, runtime_checkable

import numpy as np
from jaxtyping import Bool, Float, Int

from meanflow_audio_codec.preprocessing.specs import SignalSpec

SPLITS = ("train", "valid", "test")


class Batch(NamedTuple):
    """Examples, their labels where the source has them, and which rows are real (the last batch may be padded)."""

    signal: Float[np.ndarray, "b *signal"]
    label: Int[np.ndarray, " b"] | None
    mask: Bool[np.ndarray, " b"]


@runtime_checkable
class Dataset(Protocol):
    """A source of training batches by step number, and of one evaluation pass in fixed order."""

    @property
    def spec(self) -> SignalSpec:
        """Shape and sample rate of one example."""
        ...

    @property
    def num_classes(self) -> int:
        """Number of labels; 0 where the source has none."""
        ...

    def batch(self, step: int) -> Batch:
        """The training batch of this step: a pure function of (seed, step), so that resuming needs only the step."""
        ...

    def evaluation(self) -> Iterator[Batch]:
        """Every evaluation example once, in a fixed order; rows past the end are masked."""
        ...
