"""Axes, scales and legends that all figures of the report share."""

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Literal

import numpy as np

from meanflow_audio_codec.evaluators.figures import new_figure
from meanflow_audio_codec.study.report.methods import METHODS, look, order

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

LOGARITHMIC_FROM = 15.0  # ratio of the largest to the smallest value
GREY = "#6b7178"


def panels(rows: int, columns: int, width: float, height: float) -> "tuple[Figure, np.ndarray]":
    """A figure and its axes in reading order; width and height are those of one panel in inches."""
    figure, axes = new_figure(rows, width=width * columns, row_height=height, columns=columns)
    for ax in axes:
        ax.spines[["top", "right"]].set_visible(False)
        ax.tick_params(labelsize=8.5, color=GREY)
        ax.grid(alpha=0.25, linewidth=0.6)
        ax.set_axisbelow(True)
    return figure, axes


def logarithmic(values: Sequence[float]) -> bool:
    """Whether the values are positive and span so much that a linear axis would hide most of them."""
    return bool(len(values) and min(values) > 0.0 and max(values) > LOGARITHMIC_FROM * min(values))


def scale_axis(ax: "Axes", which: Literal["x", "y"], values: Sequence[float]) -> None:
    """Make the x or y axis logarithmic where the values ask for it, labelled with plain numbers."""
    from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

    if not logarithmic(values):
        return
    (ax.set_xscale if which == "x" else ax.set_yscale)("log")
    axis = ax.xaxis if which == "x" else ax.yaxis
    few = max(values) < 300 * min(values)
    axis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0) if few else (1.0,)))
    axis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    axis.set_minor_formatter(NullFormatter())


def limits(values: Sequence[float]) -> tuple[float, float]:
    """Ends of an axis with some room on either side of the values."""
    low, high = min(values), max(values)
    if logarithmic(values):
        room = (high / low) ** 0.07
        return low / room, high * room
    room = 0.08 * (high - low) or 0.1 * abs(high) or 1.0
    return low - room, high + room


def method_legend(figure: "Figure", methods: Iterable[str], extra: Iterable = ()) -> None:
    """One legend above all panels: every method that occurs, in the report's order."""
    from matplotlib.lines import Line2D

    handles = []
    for method in sorted(set(methods), key=lambda name: order(name, tuple(METHODS))):
        style = look(method)
        handles.append(
            Line2D([], [], color=style.colour, marker=style.marker, linestyle="", markersize=6, label=style.title)
        )
    handles += list(extra)
    figure.legend(
        handles=handles, loc="outside upper left", ncols=min(len(handles), 7), fontsize=8.5, frameon=False,
        handletextpad=0.4, columnspacing=1.4,
    )  # fmt: skip
