"""Integer prediction of band gains from already decoded neighbours, and the context of each residual.

Method, equations and measurements: documentation/research/envelope_coding.md. x is a frame of s gain indices, e = x - q
its residual, q the prediction rounded to an index. All arithmetic is on integers; `>>` floors.
"""

from dataclasses import dataclass, fields

import numpy as np
from jaxtyping import Bool, Int

from meanflow_audio_codec.codec.entropy_coding.tables import check_frequencies

WEIGHT_BITS = 8  # predictions are in 1/256 of an index
HALF = 1 << (WEIGHT_BITS - 1)
REACH = 3  # lower bands of the same frame that a prediction uses
MAX_ERROR = 15  # larger residuals count as this when activity is predicted
DRIFT_THRESHOLDS = (-1024, -384, 384, 1024)  # of the previous index minus the prediction, in 1/256
NUM_DRIFTS = len(DRIFT_THRESHOLDS) + 1
NUM_SILENT_CONTEXTS = 4


@dataclass(frozen=True)
class EnvelopeModel:
    """The integers of an envelope coder for s bands; c classes of frames, the last for the first frame of a packet.

    Shapes: centroids (c - 1, s), prediction_past (c, 2 s + 1, s), activity_past (c, s + 1, s), both `current`
    (c, 3, s), frequencies (contexts, levels). `past` weights apply to (previous frame, the one before, 1) for the
    prediction, and to (previous frame's |e|, 1) for the activity; `current` weights to the bands 1 ... 3 below.

    Raises:
        ValueError: shapes that do not belong together, tables that are none, or entries beyond 2^20.
    """

    centroids: Int[np.ndarray, "_ _"]
    prediction_past: Int[np.ndarray, "_ _ _"]
    prediction_current: Int[np.ndarray, "_ _ _"]
    activity_past: Int[np.ndarray, "_ _ _"]
    activity_current: Int[np.ndarray, "_ _ _"]
    activity_thresholds: Int[np.ndarray, " _"]
    frequencies: Int[np.ndarray, "_ _"]

    def __post_init__(self) -> None:
        num_classes, s = len(self.centroids) + 1, self.centroids.shape[1]
        expected = {
            "prediction_past": (num_classes, 2 * s + 1, s),
            "prediction_current": (num_classes, REACH, s),
            "activity_past": (num_classes, s + 1, s),
            "activity_current": (num_classes, REACH, s),
            "frequencies": (num_contexts(len(self.activity_thresholds)), self.num_levels),
        }
        for name, shape in expected.items():
            if getattr(self, name).shape != shape:
                raise ValueError(f"corrupt envelope model: {name} has shape {getattr(self, name).shape}, not {shape}")
        for field in fields(self):
            # 2^20 keeps every sum of products inside 64 bits.
            if np.abs(getattr(self, field.name).astype(np.int64)).max(initial=0) >= 2**20:
                raise ValueError(f"corrupt envelope model: an entry of {field.name} exceeds 2^20")
        if num_classes < 2 or (np.diff(self.activity_thresholds) < 0).any():
            raise ValueError("corrupt envelope model: no frame classes, or thresholds out of order")
        check_frequencies(self.frequencies)

    @property
    def num_bands(self) -> int:
        """Bands of a frame."""
        return self.centroids.shape[1]

    @property
    def num_levels(self) -> int:
        """Alphabet size of an index."""
        return self.frequencies.shape[1]

    @property
    def first_class(self) -> int:
        """Class of the first frame of a packet."""
        return len(self.centroids)


def num_contexts(num_thresholds: int) -> int:
    """Tables needed: first frame or not, activity, rounding direction, drift; and the silent ones."""
    return 2 * (num_thresholds + 1) * 2 * NUM_DRIFTS + NUM_SILENT_CONTEXTS


def nearest_centroid(frames: Int[np.ndarray, "n s"], centroids: Int[np.ndarray, "c s"]) -> Int[np.ndarray, " n"]:
    """Index of the centroid at the least squared distance, the first of equals."""
    points = centroids.astype(np.int64)
    return ((points**2).sum(axis=1) - 2 * (frames.astype(np.int64) @ points.T)).argmin(axis=1)


def previous_frames(
    frames: Int[np.ndarray, "n s"], first: Bool[np.ndarray, " n"]
) -> tuple[Int[np.ndarray, "n s"], Int[np.ndarray, "n s"]]:
    """The frame before each frame of its packet (0 before the first), and the one before that (repeated, not 0)."""
    one = np.roll(frames, 1, axis=0)
    one[first] = 0
    second = np.roll(first, 1)
    two = np.where((first | second)[:, None], one, np.roll(frames, 2, axis=0))
    return one, two


def classify(
    previous: Int[np.ndarray, "n s"], first: Bool[np.ndarray, " n"], centroids: Int[np.ndarray, "c s"]
) -> Int[np.ndarray, " n"]:
    """Class of each frame: by the frame before it, or the last one for the first of a packet."""
    return np.where(first, len(centroids), nearest_centroid(previous, centroids))


def linear_map(
    inputs: Int[np.ndarray, "n i"],
    current: Int[np.ndarray, "n s"],
    classes: Int[np.ndarray, " n"],
    past_weights: Int[np.ndarray, "c i+1 s"],
    current_weights: Int[np.ndarray, "c 3 s"],
) -> Int[np.ndarray, "n s"]:
    """Weighted sums, per class, of the inputs, 1, and the lower bands of the current frame; 64 bits."""
    result = np.empty(current.shape, np.int64)
    for index in range(len(past_weights)):
        rows = classes == index
        result[rows] = inputs[rows].astype(np.int64) @ past_weights[index, :-1] + past_weights[index, -1]
    for k in range(min(REACH, current.shape[1] - 1)):
        result[:, k + 1 :] += current_weights[classes, k, k + 1 :].astype(np.int64) * current[:, : -k - 1]
    return result


def silent(frames: Int[np.ndarray, "n s"], previous: Int[np.ndarray, "n s"]) -> Bool[np.ndarray, "n s"]:
    """Where the previous frame and all lower bands are 0; the prediction there is 0."""
    return (previous.sum(axis=1) == 0)[:, None] & (np.cumsum(frames, axis=1) == frames)


def round_prediction(
    prediction: Int[np.ndarray, "n s"], quiet: Bool[np.ndarray, "n s"], num_levels: int
) -> Int[np.ndarray, "n s"]:
    """The prediction as an index."""
    return np.where(quiet, 0, ((prediction + HALF) >> WEIGHT_BITS).clip(0, num_levels - 1))


def previous_errors(errors: Int[np.ndarray, "n s"], first: Bool[np.ndarray, " n"]) -> Int[np.ndarray, "n s"]:
    """Absolute residuals of the frame before, 0 before the first."""
    previous = np.roll(errors, 1, axis=0)
    previous[first] = 0
    return previous


def contexts(
    prediction: Int[np.ndarray, "n s"],
    activity: Int[np.ndarray, "n s"],
    previous: Int[np.ndarray, "n s"],
    quiet: Bool[np.ndarray, "n s"],
    first: Bool[np.ndarray, " n"],
    thresholds: Int[np.ndarray, " _"],
) -> Int[np.ndarray, "n s"]:
    """Number of the table each residual is coded under."""
    drift = np.searchsorted(DRIFT_THRESHOLDS, (previous << WEIGHT_BITS) - prediction)
    direction = ((prediction + HALF) >> (WEIGHT_BITS - 1)) & 1
    level = np.searchsorted(thresholds, activity) + first[:, None] * (len(thresholds) + 1)
    loud = (level * 2 + direction) * NUM_DRIFTS + drift
    above_first_band = np.arange(prediction.shape[1]) > 0
    silent_context = num_contexts(len(thresholds)) - NUM_SILENT_CONTEXTS + 2 * first[:, None] + above_first_band
    return np.where(quiet, silent_context, loud)


def analyse(
    model: EnvelopeModel, frames: Int[np.ndarray, "n s"], first: Bool[np.ndarray, " n"]
) -> tuple[Int[np.ndarray, "n s"], Int[np.ndarray, "n s"]]:
    """Residuals modulo the alphabet, and their contexts, of whole packets one after the other."""
    frames = frames.astype(np.int64)
    one, two = previous_frames(frames, first)
    classes = classify(one, first, model.centroids)
    quiet = silent(frames, one)
    prediction = linear_map(
        np.concatenate([one, two], axis=1), frames, classes, model.prediction_past, model.prediction_current
    )
    residual = frames - round_prediction(prediction, quiet, model.num_levels)
    errors = np.minimum(np.abs(residual), MAX_ERROR)
    activity = linear_map(previous_errors(errors, first), errors, classes, model.activity_past, model.activity_current)
    context = contexts(prediction, activity, one, quiet, first, model.activity_thresholds)
    return residual % model.num_levels, context
