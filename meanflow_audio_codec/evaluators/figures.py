"""Figures: spectrograms side by side, grids of images, training curves; written as PNG, complete or not at all."""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from jaxtyping import Float, Int

from meanflow_audio_codec.datasets.complete_file import complete_file
from meanflow_audio_codec.errors import InputError
from meanflow_audio_codec.preprocessing.mel import magnitude_blocks, window_length

if TYPE_CHECKING:
    from matplotlib.figure import Figure

DYNAMIC_RANGE_DB = 80.0
DOTS_PER_INCH = 150
PIXELS_PER_INCH = 45  # pixels of generated images
SMOOTHED_FROM = 100  # points of a training curve


def spectrogram_comparison(
    path: Path,
    clips: dict[str, Float[np.ndarray, " samples"]],
    sample_rate: int,
    *,
    highest_hz: float | None = None,
    window_samples: int | None = None,
) -> None:
    """Spectrograms below one another on one colour scale of 80 dB, up to `highest_hz` or to half of the sample rate.

    Windows have `window_samples`, a multiple of 4, or 32 ms.

    Its top is the level that one point in a thousand exceeds, so that a click or a hum does not darken the rest.

    Raises:
        InputError: the folder cannot be written to.
        ValueError: there are no clips, or one is empty.
    """
    if not clips or any(len(clip) == 0 for clip in clips.values()):
        raise ValueError("spectrograms need at least one clip, none of them empty")
    shown = 1.0 if highest_hz is None else min(2.0 * highest_hz / sample_rate, 1.0)
    levels = {name: power_decibels(clip, sample_rate, window_samples) for name, clip in clips.items()}
    levels = {name: level[:, : max(round(shown * level.shape[1]), 1)] for name, level in levels.items()}
    loudest = max(float(np.quantile(level, 0.999)) for level in levels.values())
    figure, axes = new_figure(len(clips), width=9.0, row_height=2.1)
    for ax, (name, level) in zip(axes, levels.items(), strict=True):
        ax.imshow(
            level.T,
            origin="lower",
            aspect="auto",
            cmap="magma",
            vmin=loudest - DYNAMIC_RANGE_DB,
            vmax=loudest,
            interpolation="nearest",
            extent=(0.0, len(clips[name]) / sample_rate, 0.0, shown * sample_rate / 2000.0),
        )
        ax.set_title(name, loc="left", fontsize=10)
        ax.set_ylabel("kHz")
        ax.label_outer()
    axes[-1].set_xlabel("time (s)")
    figure.colorbar(axes[0].images[0], ax=list(axes), label="dB", pad=0.015, fraction=0.04)
    write_figure(figure, path)


def sample_grid(
    path: Path,
    images: Float[np.ndarray, "b rows columns"],
    labels: Int[np.ndarray, " b"] | None = None,
    columns: int = 10,
) -> None:
    """Images in [-1, 1] in reading order, each with its label above it where labels are given."""
    if len(images) == 0 or columns < 1:
        raise ValueError(f"a grid needs images and columns, not {len(images)} and {columns}")
    num_columns = min(columns, len(images))
    num_rows = -(-len(images) // num_columns)
    height, width = images.shape[1:]
    gap = 2
    top = gap if labels is None else gap + 11  # room for a label
    # One picture rather than one pair of axes per image, which takes seconds for a hundred of them.
    page = np.ones((num_rows * (top + height), num_columns * (gap + width)), np.float32)
    corners = [(top + i // num_columns * (top + height), i % num_columns * (gap + width)) for i in range(len(images))]
    for (row, column), image in zip(corners, images, strict=True):
        page[row : row + height, column : column + width] = image
    figure, (ax,) = new_figure(1, width=page.shape[1] / PIXELS_PER_INCH, row_height=page.shape[0] / PIXELS_PER_INCH)
    ax.set_axis_off()
    ax.imshow(page, cmap="gray", vmin=-1.0, vmax=1.0, interpolation="nearest")
    if labels is not None:
        for (row, column), label in zip(corners, labels, strict=True):
            ax.text(column + width / 2, row - 2, str(int(label)), fontsize=8, ha="center", va="baseline")
    write_figure(figure, path)


def training_curves(path: Path, metrics_jsonl: Path, columns: int = 3) -> None:
    """One panel per figure of a run's `metrics.jsonl` over the step, one line per kind of entry (train, validation).

    Raises:
        InputError: the file is missing, is not a log of figures, or has no entries.
    """
    curves = read_curves(metrics_jsonl)
    num_columns = min(columns, len(curves))
    num_rows = -(-len(curves) // num_columns)
    figure, axes = new_figure(num_rows, width=4.2 * num_columns, row_height=2.6, columns=num_columns)
    for ax, (name, by_kind) in zip(axes, curves.items(), strict=False):
        for kind, points in by_kind.items():
            steps, values = np.array(points).T
            few = len(steps) < SMOOTHED_FROM
            (line,) = ax.plot(
                steps, values, linewidth=1.2, alpha=1.0 if few else 0.3, marker="o" if few else None, markersize=3
            )
            if few:
                line.set_label(kind)
                continue
            # A running mean over a fiftieth of the run, over the single values in a fainter line.
            width = len(values) // 50
            mean = np.convolve(values, np.ones(width) / width, mode="valid")
            ax.plot(steps[width - 1 :], mean, linewidth=1.2, color=line.get_color(), label=f"{kind}, running mean")
        everything = np.array([value for points in by_kind.values() for _, value in points])
        if everything.min() > 0 and everything.max() > 20 * everything.min():
            ax.set_yscale("log")
        ax.set_title(name, loc="left", fontsize=10)
        ax.set_xlabel("step")
        ax.grid(alpha=0.3)
        if len(by_kind) > 1:
            ax.legend(fontsize=8)
    for ax in axes[len(curves) :]:
        ax.set_axis_off()
    write_figure(figure, path)


def read_curves(metrics_jsonl: Path) -> dict[str, dict[str, list[tuple[int, float]]]]:
    """Points (step, value) by figure and kind of entry; values that are not finite are left out.

    Raises:
        InputError: the file is missing, is not a log of figures, or has no entries.
    """
    try:
        lines = metrics_jsonl.read_text(encoding="utf-8").splitlines()
    except OSError as error:
        raise InputError(f"{metrics_jsonl} cannot be read ({error.strerror}): give a run's metrics.jsonl") from None
    curves: dict[str, dict[str, list[tuple[int, float]]]] = {}
    for number, line in enumerate(lines, 1):
        try:
            entry: dict[str, Any] = json.loads(line)
            step, kind = entry.pop("step"), entry.pop("kind", "train")
        except (json.JSONDecodeError, KeyError, AttributeError):
            if number == len(lines):  # the line being written when the run was killed
                continue
            raise InputError(f"{metrics_jsonl}, line {number} is not a log entry: give a run's metrics.jsonl") from None
        for name, value in entry.items():
            if isinstance(value, int | float) and np.isfinite(value):
                curves.setdefault(name, {}).setdefault(kind, []).append((step, float(value)))
    if not curves:
        raise InputError(f"{metrics_jsonl} has no entries: train for some steps first")
    return curves


def power_decibels(
    samples: Float[np.ndarray, " samples"], sample_rate: int, window_samples: int | None = None
) -> Float[np.ndarray, "frames bins"]:
    """Spectrogram in dB, where a full-scale sine reads 0; windows of 32 ms, or of so many samples."""
    n_fft = window_length(sample_rate) if window_samples is None else window_samples
    blocks = [block for block, _ in magnitude_blocks(samples, samples, n_fft)]
    # The window halves the sum over a sine's samples, and a sine is two lines of half its height.
    return 20.0 * np.log10(np.maximum(np.concatenate(blocks) / (n_fft / 4), 1e-7))


def new_figure(rows: int, *, width: float, row_height: float, columns: int = 1) -> "tuple[Figure, np.ndarray]":
    """A figure and its axes in reading order; sizes in inches."""
    from matplotlib.figure import Figure

    # No pyplot: it keeps every figure alive and wants a display.
    figure = Figure(figsize=(width, row_height * rows), layout="constrained")
    return figure, figure.subplots(rows, columns, squeeze=False).ravel()


def write_figure(figure: "Figure", path: Path) -> None:
    """Write a figure as PNG, complete or not at all.

    Raises:
        InputError: the folder cannot be written to.
    """
    try:
        with complete_file(path) as file:
            figure.savefig(file, format="png", dpi=DOTS_PER_INCH)
    except OSError as error:
        raise InputError(f"{path} cannot be written ({error.strerror}): check the folder") from error
