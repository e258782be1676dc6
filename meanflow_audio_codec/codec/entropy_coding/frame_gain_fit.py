"""Finds the integers of an envelope model: k-means, least squares and counting, all rounded at the end."""

from collections.abc import Sequence

import numpy as np
from jaxtyping import Bool, Float, Int

from meanflow_audio_codec.codec.entropy_coding.frame_gain_model import (
    MAX_ERROR,
    REACH,
    WEIGHT_BITS,
    EnvelopeModel,
    analyse,
    classify,
    linear_map,
    nearest_centroid,
    num_contexts,
    previous_errors,
    previous_frames,
    round_prediction,
    silent,
)
from meanflow_audio_codec.codec.entropy_coding.tables import TOTAL, integer_frequencies

NUM_CLASSES = 8
NUM_ACTIVITIES = 12
# In steps of the index: quiet and loud copies, because a recording's level is arbitrary.
LEVEL_SHIFTS = (-8, -4, 4)
# As many silent packets as this share of the real ones, so that digital silence is cheap whatever the recordings hold.
SILENT_SHARE = 0.05
PRIOR_COUNT = 8
RIDGE = 0.1


def fit_envelope_model(
    sides: Sequence[Int[np.ndarray, "_ s"]], num_levels: int, packet_frames: int = 50
) -> EnvelopeModel:
    """The model for indices of an alphabet of `num_levels`, on recordings cut into packets.

    Half of the packets it sees are the recordings, half are copies at other levels; a few are silence.

    Raises:
        ValueError: an index lies outside the alphabet, there are no frames, or the alphabet has fewer than two levels.
    """
    if num_levels < 2 or not sum(len(side) for side in sides):
        raise ValueError(f"an envelope model needs frames and two levels or more, not {num_levels}")
    frames, first = _training_frames(sides, num_levels, packet_frames)
    one, two = previous_frames(frames, first)
    centroids = _k_means(one[~first] if (~first).any() else frames)
    classes = classify(one, first, centroids)
    quiet = silent(frames, one)
    past = np.concatenate([one, two], axis=1)
    prediction_weights = _least_squares(past, frames, classes, len(centroids) + 1)
    prediction = linear_map(past, frames, classes, *prediction_weights)
    errors = np.minimum(np.abs(frames - round_prediction(prediction, quiet, num_levels)), MAX_ERROR)
    past_errors = previous_errors(errors, first)
    activity_weights = _least_squares(past_errors, errors, classes, len(centroids) + 1)
    activity = linear_map(past_errors, errors, classes, *activity_weights)[~quiet]
    quantiles = np.arange(1, NUM_ACTIVITIES) / NUM_ACTIVITIES
    thresholds = np.quantile(activity if activity.size else np.zeros(1), quantiles).astype(np.int32)
    contexts = num_contexts(len(thresholds))
    uniform = integer_frequencies(np.ones((contexts, num_levels), np.int64))
    arrays = (*prediction_weights, *activity_weights, thresholds)
    draft = EnvelopeModel(centroids, *arrays, frequencies=uniform)
    symbols, context = analyse(draft, frames, first)
    flat = np.bincount((context * num_levels + symbols).ravel(), minlength=contexts * num_levels)
    return EnvelopeModel(centroids, *arrays, frequencies=_smoothed(flat.reshape(contexts, num_levels)))


def _training_frames(
    sides: Sequence[Int[np.ndarray, "_ s"]], num_levels: int, packet_frames: int
) -> tuple[Int[np.ndarray, "n s"], Bool[np.ndarray, " n"]]:
    packets = [side[i : i + packet_frames] for side in sides for i in range(0, len(side), packet_frames)]
    lowest, highest = min(int(p.min()) for p in packets), max(int(p.max()) for p in packets)
    if lowest < 0 or highest >= num_levels:
        raise ValueError(f"gain indices must lie in 0 ... {num_levels - 1}, not {lowest} ... {highest}")
    shifted = [
        np.clip(packet.astype(np.int32) + LEVEL_SHIFTS[i % len(LEVEL_SHIFTS)], 0, num_levels - 1)
        for i, packet in enumerate(packets)
    ]
    zeros = [np.zeros((packet_frames, packets[0].shape[1]), np.int32)] * max(1, int(SILENT_SHARE * len(packets)))
    everything = [*packets, *shifted, *zeros]
    starts = np.cumsum([0] + [len(packet) for packet in everything])
    first = np.zeros(starts[-1], bool)
    first[starts[:-1]] = True
    return np.concatenate(everything).astype(np.int32), first


def _k_means(frames: Int[np.ndarray, "n s"], iterations: int = 20) -> Int[np.ndarray, "c s"]:
    """Lloyd's algorithm from frames of evenly spaced loudness; each step on the integer centroids that will be used."""
    sample = frames[:: max(1, len(frames) // 40_000)]
    by_loudness = np.argsort(sample.sum(axis=1), kind="stable")
    centroids = sample[by_loudness[((np.arange(NUM_CLASSES) + 0.5) / NUM_CLASSES * len(sample)).astype(int)]]
    for _ in range(iterations):
        nearest = nearest_centroid(sample, centroids)
        members = [sample[nearest == index] for index in range(NUM_CLASSES)]
        means = [np.rint(m.mean(axis=0)) if len(m) else c for m, c in zip(members, centroids, strict=True)]
        centroids = np.stack(means).astype(np.int32)
    return centroids


def _least_squares(
    inputs: Int[np.ndarray, "n i"], targets: Int[np.ndarray, "n s"], classes: Int[np.ndarray, " n"], num_classes: int
) -> tuple[Int[np.ndarray, "c i+1 s"], Int[np.ndarray, "c 3 s"]]:
    """Weights of `linear_map` that predict each band of the targets from the inputs, 1 and the bands below it."""
    num_inputs, num_bands = inputs.shape[1] + 1, targets.shape[1]
    past = np.zeros((num_classes, num_inputs, num_bands), np.int32)
    current = np.zeros((num_classes, REACH, num_bands), np.int32)
    for index in range(num_classes):
        rows = classes == index
        design = np.concatenate([inputs[rows], np.ones((rows.sum(), 1)), targets[rows]], axis=1).astype(np.float64)
        gram = design.T @ design
        for band in range(num_bands):
            below = np.arange(band - 1, max(-1, band - 1 - REACH), -1)
            used = np.concatenate([np.arange(num_inputs), num_inputs + below])
            regularised = gram[np.ix_(used, used)] + RIDGE * np.eye(len(used))
            solution = np.linalg.solve(regularised, gram[used, num_inputs + band])
            weights = _rounded(solution)
            past[index, :, band] = weights[:num_inputs]
            current[index, : len(below), band] = weights[num_inputs:]
    return past, current


def _rounded(weights: Float[np.ndarray, " _"]) -> Int[np.ndarray, " _"]:
    limit = 1 << (WEIGHT_BITS + 8)
    return np.rint(weights * (1 << WEIGHT_BITS)).clip(-limit, limit).astype(np.int32)


def _smoothed(counts: Int[np.ndarray, "contexts levels"]) -> Int[np.ndarray, "contexts levels"]:
    """Tables of counts to which every context adds a few symbols of the average context."""
    pooled = integer_frequencies(counts.sum(axis=0)).astype(np.int64)
    scale = TOTAL // PRIOR_COUNT
    return integer_frequencies(counts * scale + pooled)
