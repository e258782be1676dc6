"""The figures of the study: scores of all cells, effects, trade-offs, and quality against cost."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from meanflow_audio_codec.evaluators.figures import write_figure
from meanflow_audio_codec.study.report.drawing import GREY, limits, method_legend, panels, scale_axis
from meanflow_audio_codec.study.report.methods import METHODS, Look, group_title, look, order
from meanflow_audio_codec.study.report.metrics import Metric

if TYPE_CHECKING:
    from matplotlib.axes import Axes

Group = tuple[str, str]
BETTER, WORSE = "#0072b2", "#d55e00"


def score_overview(
    path: Path,
    groups: Sequence[Group],
    scores: Mapping[tuple[Group, str], list[tuple[float, ...]]],
    metrics: list[Metric],
) -> Path:
    """One panel per metric; a dot per seed and a bar at the mean, methods side by side within each group of cells.

    `scores` holds for every group and method the values of all metrics, seed by seed.
    """
    methods = sorted({method for _, method in scores}, key=lambda name: order(name, tuple(METHODS)))
    figure, axes = panels(len(metrics), 1, 2.6 + 1.05 * len(groups), 2.7)
    for index, (ax, metric) in enumerate(zip(axes, metrics, strict=True)):
        everything = []
        for (group, method), seeds in scores.items():
            values = np.array([seed[index] * metric.scale for seed in seeds])
            offset = (methods.index(method) - (len(methods) - 1) / 2) * 0.15
            x = groups.index(group) + offset
            style = look(method)
            ax.scatter(
                np.full(len(values), x), values, s=26, color=style.colour, marker=style.marker, alpha=0.75, linewidth=0
            )
            if len(values) > 1:
                ax.hlines(values.mean(), x - 0.06, x + 0.06, color=style.colour, linewidth=2.2)
            everything += list(values)
        scale_axis(ax, "y", everything)
        ax.set_xticks(range(len(groups)), [group_title(*group).replace(" · ", "\n") for group in groups])
        ax.set_xlim(-0.6, len(groups) - 0.4)
        ax.grid(visible=False, axis="x")
        for edge in range(1, len(groups)):
            ax.axvline(edge - 0.5, color=GREY, linewidth=0.5, alpha=0.4)
        ax.set_ylabel(metric.title, fontsize=9.5)
    method_legend(figure, methods)
    write_figure(figure, path)
    return path


class Bar(NamedTuple):
    """A relative difference in percent and its interval, and whether it is for the better."""

    mean: float
    low: float
    high: float
    verdict: str


def effect_bars(path: Path, titles: Sequence[str], columns: Mapping[str, Sequence[Bar | None]]) -> Path:
    """Relative differences with intervals, one panel per metric, one line per comparison (None: not run)."""
    figure, axes = panels(1, len(columns), 3.2, 0.9 + 0.34 * len(titles))
    figure.set_figwidth(2.4 + 3.2 * len(columns))
    places = np.arange(len(titles))[::-1]
    for number, (ax, (heading, bars)) in enumerate(zip(axes, columns.items(), strict=True)):
        for place, bar in zip(places, bars, strict=True):
            if bar is None:
                where = {"transform": ax.get_yaxis_transform(), "ha": "center", "va": "center"}
                ax.text(0.5, place, "not run", fontsize=8, color=GREY, **where)
                continue
            colour = {"better": BETTER, "worse": WORSE}.get(bar.verdict, GREY)
            if np.isfinite(bar.low):
                ax.hlines(place, bar.low, bar.high, color=colour, linewidth=2.4, alpha=0.8)
            ax.plot(bar.mean, place, marker="o", markersize=5.5, color=colour, linestyle="")
        ax.axvline(0.0, color=GREY, linewidth=1.0)
        ax.set_yticks(places, titles if number == 0 else [""] * len(titles))
        ax.set_ylim(-0.7, len(titles) - 0.3)
        ax.set_title(heading, fontsize=10, loc="left")
        ax.set_xlabel("difference (% of the second)", fontsize=9)
    write_figure(figure, path)
    return path


class Point(NamedTuple):
    """Distortion and perception of one seed."""

    distortion: float
    perception: float


class Rate(NamedTuple):
    """Where a method stands at one rate or temperature: one point per seed, and a word to write beside them."""

    label: str
    points: list[Point]


def trade_off(
    path: Path,
    distortion: Metric,
    perception: Metric,
    places: Mapping[Group, Mapping[str, list[Rate]]],
    *,
    labelled: bool,
) -> Path:
    """Distortion against perception, one panel per group of cells; a line joins the rates of a method.

    The first rate is drawn filled, the others open; where `labelled`, all are filled and the ends
    of the line bear their labels.
    """
    from matplotlib.lines import Line2D

    columns = min(3, len(places))
    figure, axes = panels(-(-len(places) // columns), columns, 3.6 if columns > 1 else 5.0, 3.3)
    every = [
        point for methods in places.values() for rates in methods.values() for rate in rates for point in rate.points
    ]
    x_limits = limits([point.distortion for point in every])
    y_limits = limits([point.perception for point in every])
    for ax, (group, methods) in zip(axes, places.items(), strict=False):
        for method, rates in methods.items():
            _draw_rates(ax, look(method), rates, labelled)
        ax.set_title(group_title(*group), fontsize=10, loc="left")
        scale_axis(ax, "x", [point.distortion for point in every])
        scale_axis(ax, "y", [point.perception for point in every])
        # One scale for all panels, so that they can be compared.
        ax.set_xlim(*x_limits)
        ax.set_ylim(*y_limits)
        ax.label_outer()
    for ax in axes[len(places) :]:
        ax.set_axis_off()
    figure.supxlabel(distortion.title, fontsize=10)
    figure.supylabel(perception.title, fontsize=10)
    labels = dict.fromkeys(rate.label for methods in places.values() for rates in methods.values() for rate in rates)
    extra = [
        Line2D([], [], color=GREY, marker="o", linestyle="", markerfacecolor="white" if index else GREY, label=label)
        for index, label in enumerate(labels if len(labels) > 1 and not labelled else ())
    ]
    method_legend(figure, [method for methods in places.values() for method in methods], extra)
    write_figure(figure, path)
    return path


def _draw_rates(ax: "Axes", style: Look, rates: list[Rate], labelled: bool) -> None:
    means = [np.mean(rate.points, axis=0) for rate in rates]
    ax.plot(*np.transpose(means), color=style.colour, linewidth=1.2, alpha=0.7)
    for index, (rate, mean) in enumerate(zip(rates, means, strict=True)):
        fill = style.colour if index == 0 or labelled else "white"
        x, y = np.transpose(rate.points)
        ax.scatter(x, y, s=38, marker=style.marker, facecolor=fill, edgecolor=style.colour, linewidth=1.2, zorder=3)
        if labelled and len(rates) > 1 and index in (0, len(rates) - 1):
            ax.annotate(rate.label, mean, textcoords="offset points", xytext=(5, 4), fontsize=7.5, color=style.colour)


Curve = Mapping[float, list[float]]


def quality_curves(
    path: Path,
    metrics: Sequence[Metric],
    curves: Mapping[str, Mapping[str, Curve]],
    levels: Mapping[str, Mapping[str, list[float]]],
    setting: str,
) -> Path:
    """Quality against a setting of the decoder, one panel per metric: the mean over seeds, and their range as a band.

    `curves` holds by metric and method the values of all seeds at every value of the setting, `levels` those of the
    methods without it, drawn across.
    """
    columns = min(3, len(metrics))
    figure, axes = panels(-(-len(metrics) // columns), columns, 3.4 if columns > 1 else 5.0, 2.6)
    counts = sorted({count for by_method in curves.values() for curve in by_method.values() for count in curve})
    methods = [method for by_metric in (*curves.values(), *levels.values()) for method in by_metric]
    for number, (ax, metric) in enumerate(zip(axes, metrics, strict=False)):
        everything = []
        for method, curve in curves.get(metric.name, {}).items():
            style = look(method)
            steps = sorted(curve)
            means = [float(np.mean(curve[step])) * metric.scale for step in steps]
            ax.plot(steps, means, color=style.colour, marker=style.marker, markersize=5, linewidth=1.5)
            low, high = ([float(end(curve[step])) * metric.scale for step in steps] for end in (np.min, np.max))
            ax.fill_between(steps, low, high, color=style.colour, alpha=0.15, linewidth=0)
            everything += low + high
        for method, values in levels.get(metric.name, {}).items():
            style = look(method)
            mean = float(np.mean(values)) * metric.scale
            dashes = "--" if method == "autoencoder" else ":"
            ax.axhline(mean, color=style.colour, linewidth=1.5, linestyle=dashes)
            ax.plot(counts[0], mean, color=style.colour, marker=style.marker, markersize=5)
            everything.append(mean)
        if counts[-1] >= 8 * counts[0]:
            ax.set_xscale("log", base=2)
        ax.set_xticks(counts, [f"{count:g}" for count in counts])
        ax.minorticks_off()
        scale_axis(ax, "y", everything)
        ax.set_title(metric.title, fontsize=10, loc="left")
        if number >= len(metrics) - columns:
            ax.set_xlabel(setting, fontsize=9)
    for ax in axes[len(metrics) :]:
        ax.set_axis_off()
    method_legend(figure, methods)
    write_figure(figure, path)
    return path
