"""Seven-segment digits drawn on the fly: ten classes of images that need no files."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int

from meanflow_audio_codec.datasets.base import Batch
from meanflow_audio_codec.datasets.synthetic import keyed_generator
from meanflow_audio_codec.preprocessing.specs import SignalSpec

SIZE = 28
NUM_CLASSES = 10
# Lit segments: top, middle and bottom bar; upper left, upper right, lower left and lower right post.
BARS = np.array(["101", "000", "111", "111", "010", "111", "111", "100", "111", "111"])
POSTS = np.array(["1111", "0101", "0110", "0101", "1101", "1001", "1011", "0101", "1111", "1101"])


@dataclass(frozen=True, kw_only=True)
class SyntheticImages:
    """Seven-segment digits of random position, size, slant, stroke width and sharpness; background -1, ink up to 1.

    The labels are the digits. Strokes lie wholly within the image.
    """

    batch_size: int
    split: str = "train"
    seed: int = 0
    num_evaluation_batches: int = 4

    def __post_init__(self) -> None:
        """Check the name of the split."""
        keyed_generator(self.seed, self.split, 0)

    @property
    def spec(self) -> SignalSpec:
        """Rows and columns."""
        return SignalSpec((SIZE, SIZE))

    @property
    def num_classes(self) -> int:
        """Ten digits."""
        return NUM_CLASSES

    def batch(self, step: int) -> Batch:
        """Fresh images for each step, of random digits."""
        random = keyed_generator(self.seed, self.split, step)
        label = random.integers(NUM_CLASSES, size=self.batch_size).astype(np.int32)
        return Batch(_draw(random, label), label, np.ones(self.batch_size, dtype=bool))

    def evaluation(self) -> Iterator[Batch]:
        """The first `num_evaluation_batches` batches of the split."""
        return (self.batch(step) for step in range(self.num_evaluation_batches))


def _draw(random: np.random.Generator, digits: Int[np.ndarray, " b"]) -> Float[np.ndarray, "b 28 28"]:
    """Each pixel by its distance to the nearest lit segment, in the coordinates of the upright digit."""
    half_height, aspect, slant, radius, edge, *place = random.uniform(
        # Pixels, but for the ratio of width to height, the slant (columns per row) and the place (share of the room).
        [[6.0], [0.45], [-0.1], [0.8], [1.0], [-1.0], [-1.0]],
        [[9.5], [0.65], [0.25], [1.7], [2.5], [1.0], [1.0]],
        (7, len(digits)),
    ).astype(np.float32)[:, :, None, None]
    half_width = aspect * half_height
    middle = (SIZE - 1) / 2
    stroke = radius + edge / 2
    pixel = np.arange(SIZE, dtype=np.float32) - np.float32(middle)
    y = pixel[:, None] - place[0] * (middle - half_height - stroke)
    x = pixel[None, :] - place[1] * (middle - half_width - np.abs(slant) * half_height - stroke) + slant * y

    # Squared distances; a segment that is not lit is far away.
    beyond_bar = np.maximum(np.abs(x) - half_width, 0.0) ** 2
    bars = [beyond_bar + (y - level * half_height) ** 2 for level in (-1, 0, 1)]
    beside = [(x - side * half_width) ** 2 for side in (-1, 1)]
    beyond_post = [np.maximum(np.abs(y - end * half_height / 2) - half_height / 2, 0.0) ** 2 for end in (-1, 1)]
    posts = [column + row for row in beyond_post for column in beside]
    nearest = np.full(np.shape(x), np.inf, np.float32)
    for lit, segments in ((BARS, bars), (POSTS, posts)):
        for number, segment in enumerate(segments):
            unlit = np.array([pattern[number] == "0" for pattern in lit])[digits]
            np.minimum(nearest, np.where(unlit[:, None, None], np.inf, segment), out=nearest)
    ink = np.clip(0.5 + (radius - np.sqrt(nearest)) / edge, 0.0, 1.0)
    # A smooth step rather than a ramp: what a slight blur does to the edge.
    return (2.0 * ink**2 * (3.0 - 2.0 * ink) - 1.0).astype(np.float32)
