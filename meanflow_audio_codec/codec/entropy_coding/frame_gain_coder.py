"""Range coding of the band gains under the integer model of `envelope_model`."""

from bisect import bisect_left
from collections.abc import Mapping, Sequence
from dataclasses import fields

import numpy as np
from jaxtyping import Int

from meanflow_audio_codec.codec.entropy_coding.frame_gain_fit import fit_envelope_model
from meanflow_audio_codec.codec.entropy_coding.frame_gain_model import (
    DRIFT_THRESHOLDS,
    HALF,
    MAX_ERROR,
    NUM_DRIFTS,
    NUM_SILENT_CONTEXTS,
    WEIGHT_BITS,
    EnvelopeModel,
    analyse,
    num_contexts,
)
from meanflow_audio_codec.codec.entropy_coding.range_coder import RangeReader, RangeWriter, table_model
from meanflow_audio_codec.codec.entropy_coding.tables import PRECISION, coder_weights, ideal_bits


class EnvelopeCoder:
    """Side information of the frames of one packet; nothing is predicted from other packets."""

    def __init__(self, model: EnvelopeModel) -> None:
        self.model = model
        self._weights = coder_weights(model.frequencies)
        self._models = [table_model(table) for table in model.frequencies]
        # The weights for `read`: one matrix per class for all that is known before a frame, and numbers.
        bands, classes = model.num_bands, len(model.prediction_past)
        self._past = np.zeros((classes, 3 * bands + 1, 2 * bands), np.int64)
        self._past[:, : 2 * bands, :bands] = model.prediction_past[:, :-1]
        self._past[:, -1, :bands] = model.prediction_past[:, -1]
        self._past[:, 2 * bands :, bands:] = model.activity_past
        current = np.concatenate([model.prediction_current, model.activity_current], axis=1)
        self._current = current.transpose(0, 2, 1).tolist()
        self._centroids = 2 * model.centroids.astype(np.int64)
        self._centroid_norms = (model.centroids.astype(np.int64) ** 2).sum(axis=1)

    @property
    def levels(self) -> tuple[int, ...]:
        """Alphabet size of each band."""
        return (self.model.num_levels,) * self.model.num_bands

    @classmethod
    def fit(cls, sides: Sequence[Int[np.ndarray, "_ s"]], num_levels: int, packet_frames: int = 50) -> "EnvelopeCoder":
        """A coder fitted to the side information of recordings, and to copies of it at other levels.

        Raises:
            ValueError: an index lies outside 0 ... num_levels - 1, or there are no frames.
        """
        return cls(fit_envelope_model(sides, num_levels, packet_frames))

    def write(self, side: Int[np.ndarray, "n s"], writer: RangeWriter) -> None:
        """Appends the frames of one packet, frame after frame, each from the lowest band up.

        Raises:
            ValueError: the number of bands differs from the model's, or an index lies outside its alphabet.
        """
        symbols, context = self._analyse(side)
        writer.write_each(symbols.ravel(), self._weights, context.ravel())

    @property
    def fewest_bits_per_frame(self) -> float:
        """Ideal code length of a frame whose bands all have the cheapest symbol of all contexts."""
        return self.model.num_bands * (PRECISION - float(np.log2(self.model.frequencies.max())))

    def cost(self, side: Int[np.ndarray, "n s"]) -> float:
        """Ideal code length of one packet in bits."""
        symbols, context = self._analyse(side)
        return ideal_bits(self.model.frequencies[context.ravel()], symbols.ravel())

    def _analyse(self, side: Int[np.ndarray, "n s"]) -> tuple[Int[np.ndarray, "n s"], Int[np.ndarray, "n s"]]:
        model = self.model
        if side.shape[1] != model.num_bands:
            raise ValueError(f"{model.num_bands} bands of side information expected, not {side.shape[1]}")
        if side.size and (side.min() < 0 or side.max() >= model.num_levels):
            raise ValueError(f"a gain index lies outside 0 ... {model.num_levels - 1}: {side.min()} ... {side.max()}")
        return analyse(model, side, np.arange(len(side)) == 0)

    def read(self, num_frames: int, reader: RangeReader) -> Int[np.ndarray, "n s"]:
        """The next frames of a packet: `envelope_model.analyse` once more, one symbol at a time.

        Each prediction needs the symbol before it, so this part cannot be vectorised; it runs on Python's own integers,
        and what depends on the previous frames alone is computed for all bands at once.
        """
        models, read_symbol = self._models, reader.read_symbol
        thresholds = self.model.activity_thresholds.tolist()
        silent_start = num_contexts(len(thresholds)) - NUM_SILENT_CONTEXTS
        top, num_bands = self.model.num_levels - 1, self.model.num_bands
        side = np.zeros((num_frames, num_bands), np.int32)
        previous = [0] * num_bands
        before = errors = previous
        symbols, contexts = [], []
        for t in range(num_frames):
            inputs = np.array([*previous, *before, *errors, 1], np.int64)
            if t == 0:
                frame_class = self.model.first_class
                first_offset, silent_context = len(thresholds) + 1, silent_start + 2
            else:
                frame_class = (self._centroid_norms - self._centroids @ inputs[:num_bands]).argmin()
                first_offset, silent_context = 0, silent_start
            sums = (inputs @ self._past[frame_class]).tolist()
            parts = zip(sums[:num_bands], sums[num_bands:], previous, self._current[frame_class], strict=True)
            quiet = not any(previous)
            frame, errors = [], []
            x1 = x2 = x3 = e1 = e2 = e3 = 0
            for base, activity, last, (u1, u2, u3, v1, v2, v3) in parts:
                if quiet:
                    rounded = 0
                    context = silent_context + (len(frame) > 0)
                else:
                    prediction = base + u1 * x1 + u2 * x2 + u3 * x3
                    level = bisect_left(thresholds, activity + v1 * e1 + v2 * e2 + v3 * e3) + first_offset
                    halves = (prediction + HALF) >> (WEIGHT_BITS - 1)
                    drift = bisect_left(DRIFT_THRESHOLDS, (last << WEIGHT_BITS) - prediction)
                    rounded = min(max(halves >> 1, 0), top)
                    context = (level * 2 + (halves & 1)) * NUM_DRIFTS + drift
                symbol = read_symbol(models[context])
                symbols.append(symbol)
                contexts.append(context)
                x3, x2, x1 = x2, x1, (rounded + symbol) % (top + 1)
                e3, e2, e1 = e2, e1, min(abs(x1 - rounded), MAX_ERROR)
                quiet = quiet and x1 == 0
                frame.append(x1)
                errors.append(e1)
            before, previous = previous if t else frame, frame
            side[t] = frame
        reader.confirm_each(np.array(symbols, np.int32), self._weights, np.array(contexts, np.int32))
        return side

    def state(self) -> dict[str, np.ndarray]:
        """The model as int32 arrays."""
        return {field.name: getattr(self.model, field.name).astype(np.int32) for field in fields(self.model)}

    @classmethod
    def from_state(cls, state: Mapping[str, np.ndarray]) -> "EnvelopeCoder":
        """The coder that `state` came from.

        Raises:
            ValueError: the arrays do not belong together.
            KeyError: one is missing.
        """
        return cls(EnvelopeModel(**{field.name: state[field.name] for field in fields(EnvelopeModel)}))
