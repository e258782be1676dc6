"""Figures that compare methods on the same items: images, spectrograms. At most 900 pixels wide."""

import textwrap
from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np
from jaxtyping import Float

from meanflow_audio_codec.evaluators.figures import DYNAMIC_RANGE_DB, new_figure, power_decibels

if TYPE_CHECKING:
    from matplotlib.figure import Figure

WIDTH = 6.0  # inches
LARGEST_IMAGE = 1.0  # inches
PER_ROW = 4  # panels, and entries of a legend
TEXT_SIZE = 8
CHARACTER_WIDTH = 0.075  # inches at this size, with some room


def image_comparison(
    originals: Float[np.ndarray, "b rows columns"], reconstructions: Mapping[str, Float[np.ndarray, "b rows columns"]]
) -> "Figure":
    """Images in [-1, 1]: the originals in the first row, below them one row per method, named at the left.

    Raises:
        ValueError: there are no images, or a method's images differ from the originals in number or size.
    """
    wrong = [name for name, images in reconstructions.items() if images.shape != originals.shape]
    if len(originals) == 0 or wrong:
        raise ValueError(f"each row needs as many images of one size as the first, and one or more: {wrong}")
    num_images, height, width = originals.shape
    gap = max(1, height // 14)
    step = height + gap
    # A wider gap below the originals sets them apart.
    tops = [0] + [i * step + gap for i in range(1, len(reconstructions) + 1)]
    page = np.ones((tops[-1] + height, num_images * (width + gap) - gap), np.float32)
    for top, images in zip(tops, [originals, *reconstructions.values()], strict=True):
        for i, image in enumerate(images):
            page[top : top + height, i * (width + gap) : i * (width + gap) + width] = image
    names = [_wrapped(name, 20) for name in ("original", *reconstructions)]
    label_width = 0.15 + CHARACTER_WIDTH * max(len(line) for name in names for line in name.split("\n"))
    page_width = min(WIDTH - label_width, LARGEST_IMAGE * num_images)
    page_height = page_width * page.shape[0] / page.shape[1]
    figure, (ax,) = new_figure(1, width=label_width + page_width, row_height=page_height + 0.1)
    ax.set_anchor("E")
    ax.imshow(page, cmap="gray", vmin=-1.0, vmax=1.0, interpolation="nearest")
    ax.set_yticks([top + (height - 1) / 2 for top in tops], names, fontsize=TEXT_SIZE)
    ax.set_xticks([])
    ax.tick_params(length=0)
    ax.spines[:].set_visible(False)
    return figure


def spectrogram_panel(signals: Mapping[str, Float[np.ndarray, " samples"]], sample_rate: int) -> "Figure":
    """Spectrograms side by side, four to a row, on one scale of 80 dB; 0 dB is a full-scale sine.

    The top of the scale is the level that one point in a thousand exceeds, in the signal where that is highest.

    Raises:
        ValueError: there are no signals, or one is empty.
    """
    if not signals or any(len(signal) == 0 for signal in signals.values()):
        raise ValueError("spectrograms need at least one signal, none of them empty")
    levels = {name: power_decibels(signal, sample_rate) for name, signal in signals.items()}
    loudest = max(float(np.quantile(level, 0.999)) for level in levels.values())
    num_columns = _columns(len(signals))
    longest = max(len(signal) for signal in signals.values()) / sample_rate
    figure, axes = new_figure(-(-len(signals) // num_columns), width=WIDTH, row_height=2.1, columns=num_columns)
    for i, (ax, (name, level)) in enumerate(zip(axes, levels.items(), strict=False)):
        ax.imshow(
            level.T,
            origin="lower",
            aspect="auto",
            cmap="magma",
            vmin=loudest - DYNAMIC_RANGE_DB,
            vmax=loudest,
            extent=(0.0, len(signals[name]) / sample_rate, 0.0, sample_rate / 2000.0),
        )
        ax.set_xlim(0.0, longest)
        ax.set_title(_wrapped(name, 64 // num_columns), loc="left", fontsize=TEXT_SIZE)
        ax.tick_params(labelsize=TEXT_SIZE, labelleft=i % num_columns == 0)
        if i % num_columns == 0:
            ax.set_ylabel("frequency (kHz)", fontsize=TEXT_SIZE)
        if i + num_columns >= len(signals):
            ax.set_xlabel("time (s)", fontsize=TEXT_SIZE)
    for ax in axes[len(signals) :]:
        ax.set_axis_off()
    bar = figure.colorbar(axes[0].images[0], ax=list(axes), pad=0.015, fraction=0.04)
    bar.set_label("level (dB re full-scale sine)", fontsize=TEXT_SIZE)
    bar.ax.tick_params(labelsize=TEXT_SIZE)
    return figure


def _columns(number: int) -> int:
    """Columns of as few rows of at most four as will do, equally filled."""
    num_rows = -(-number // PER_ROW)
    return -(-number // num_rows)


def _wrapped(name: str, width: int) -> str:
    return "\n".join(textwrap.fill(line, width) for line in name.split("\n"))
