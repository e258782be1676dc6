"""Curves of one trained cell over one setting of its decoder, the others as in its main row."""

import math
from collections.abc import Iterator, Mapping

from meanflow_audio_codec.study.report.records import Cell, Results, Setting

Curve = dict[float, list[float]]
SETTINGS = ("num_evaluations", "temperature", "guidance_scale")


def curve(results: Results, cell: Cell, over: str, metric: str) -> Curve:
    """Values of a metric, one per seed, at every value of the setting `over`; empty where nothing was swept.

    A guided sample costs twice the evaluations in some methods, so over guidance the number of evaluations may halve
    where there is none.
    """
    points: Curve = {}
    for setting in _alike(results, cell, over):
        if over in setting.values and metric in setting.values:
            points.setdefault(setting.values[over], []).append(setting.values[metric])
    return dict(sorted(points.items()))


def swept_seeds(results: Results, cell: Cell) -> set[int]:
    """Seeds of a cell with other settings than the main one."""
    return {setting.seed for setting in results.settings if setting.cell == cell}


def _alike(results: Results, cell: Cell, over: str) -> Iterator[Setting]:
    """Settings that differ from the cell's main row in `over` alone."""
    runs = results.finished(cell)
    if not runs:
        return
    main = runs[0]
    for setting in results.settings:
        if setting.cell == cell and setting.solver == main.texts["solver"]:
            others = [name for name in SETTINGS if name != over]
            if all(_same(setting.values, main.values, name, over) for name in others):
                yield setting


def _same(setting: Mapping[str, float], main: Mapping[str, float], name: str, over: str) -> bool:
    value, usual = setting.get(name), main.get(name)
    if value is None or usual is None:
        return value is usual
    if name == "num_evaluations" and over == "guidance_scale" and setting.get(over) == 1.0 and value == usual / 2:
        return True
    return math.isclose(value, usual)
