"""Quality against the number of network evaluations."""

from pathlib import Path

from meanflow_audio_codec.study.report.methods import group_title
from meanflow_audio_codec.study.report.metrics import METRICS, dataset_title
from meanflow_audio_codec.study.report.pages.document import Block, Blocks, Details, Heading, Picture, missing
from meanflow_audio_codec.study.report.plots import quality_curves
from meanflow_audio_codec.study.report.records import Results
from meanflow_audio_codec.study.report.sweeps import Curve, curve, swept_seeds


def evaluations(results: Results, figures: Path) -> Blocks:
    """The section: the convnet codecs, the MDCT first."""
    blocks: list[Block] = [Heading("Quality against the number of evaluations")]
    for dataset in sorted(results.datasets("codec")):  # audio first
        groups = dict.fromkeys(cell.group for cell in results.cells("codec", dataset) if cell.architecture == "convnet")
        for number, group in enumerate(groups):
            picture = setting_curves(results, "codec", dataset, group, "num_evaluations", figures)
            if picture is None:
                continue
            title = f"{dataset_title(dataset)}, {group_title(*group)}"
            if number == 0:
                blocks += [Heading(title, 3), picture]
            else:
                blocks.append(Details(title, (picture,)))
    return blocks if len(blocks) > 1 else [*blocks, missing("No convnet codec was decoded in several ways.")]


def setting_curves(
    results: Results, task: str, dataset: str, group: tuple[str, str], over: str, figures: Path
) -> Picture | None:
    """All metrics of a group of cells over one setting, None where no cell was scored at two values of it.

    Methods without the setting are drawn across.
    """
    cells = [cell for cell in results.cells(task, dataset) if cell.group == group]
    curves: dict[str, dict[str, Curve]] = {}
    levels: dict[str, dict[str, list[float]]] = {}
    seeds = {seed for cell in cells for seed in swept_seeds(results, cell)}
    for metric in METRICS:
        for cell in cells:
            points = curve(results, cell, over, metric)
            if len(points) > 1:
                curves.setdefault(metric, {})[cell.method] = points
                continue
            # Seeds that the curves are of, where there are such: like is to stand beside like.
            runs = [run for run in results.finished(cell) if metric in run.values]
            values = [run.values[metric] for run in runs if run.seed in seeds] or [run.values[metric] for run in runs]
            if values:
                levels.setdefault(metric, {})[cell.method] = values
    if not curves:
        return None
    path = figures / f"{over.replace('_', '-')}-{task}-{dataset}-{'-'.join(group)}.png"
    shown = [metric for name, metric in METRICS.items() if name in curves]
    label = {
        "num_evaluations": "network evaluations",
        "guidance_scale": "guidance scale",
        "temperature": "temperature",
    }[over]
    quality_curves(path, shown, curves, {name: levels.get(name, {}) for name in curves}, label)
    across = sorted({method for by_method in levels.values() for method in by_method})
    which = f"seed{'s' * (len(seeds) > 1)} {', '.join(map(str, sorted(seeds)))}"
    caption = f"All else as in the tables; {which}."
    if across:
        caption += " Lines across: methods scored at one value only."
    description = f"{', '.join(metric.heading for metric in shown)} against {label}."
    return Picture(path, description, caption)
