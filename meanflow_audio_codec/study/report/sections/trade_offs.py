"""Rate, distortion and perception: where each method stands, and what the temperature trades."""

from pathlib import Path

from meanflow_audio_codec.study.report.metrics import MAIN_DISTORTION, METRICS, PERCEPTION, Metric, dataset_title
from meanflow_audio_codec.study.report.pages.document import Block, Blocks, Heading, Paragraph, Picture, missing
from meanflow_audio_codec.study.report.panel import scored
from meanflow_audio_codec.study.report.plots import Group, Point, Rate, trade_off
from meanflow_audio_codec.study.report.records import Results
from meanflow_audio_codec.study.report.sweeps import curve

RATES = (("codec", "lower rate"), ("codec-high-rate", "higher rate"))
Places = dict[Group, dict[str, list[Rate]]]


def trade_offs(results: Results, figures: Path) -> Blocks:
    """The section."""
    blocks: list[Block] = [
        Heading("Rate, distortion, perception"),
        Paragraph(
            "At a given rate the best decoders can lower their distortion only at the cost of outputs that look or "
            "sound less like real ones (Blau and Michaeli, arXiv 1901.07821). Lower left is better in both; a higher "
            "rate should move a method there."
        ),
    ]
    count = len(blocks)
    for dataset in results.datasets("codec"):
        if dataset not in MAIN_DISTORTION:
            continue
        cells = [cell for task, _ in RATES for cell in results.cells(task, dataset)]
        for perception in (PERCEPTION, *scored(results, cells)):
            blocks += _pictures(results, dataset, METRICS[perception], figures)
    return blocks if len(blocks) > count else [*blocks, missing("No finished codec cell with both scores.")]


def _pictures(results: Results, dataset: str, perception: Metric, figures: Path) -> Blocks:
    """Distortion against one metric of perception: by rate, and by temperature."""
    distortion, title = METRICS[MAIN_DISTORTION[dataset]], dataset_title(dataset)
    what = f"{distortion.heading} against {perception.heading} on {title}"
    ending = dataset if perception.name == PERCEPTION else f"{dataset}-{perception.name}"
    better = "" if not perception.higher_is_better else " Upper left is better in both."
    blocks: list[Block] = []
    if places := _by_rate(results, dataset, perception.name):
        path = trade_off(figures / f"trade-off-{ending}.png", distortion, perception, places, labelled=False)
        caption = (
            f"{title}: a mark per seed; filled at the lower rate, open at the higher; a line joins the two means of a "
            f"method.{better}"
        )
        blocks.append(Picture(path, f"{what}, by method and rate.", caption))
    if places := _by_temperature(results, dataset, perception.name):
        path = trade_off(figures / f"temperature-{ending}.png", distortion, perception, places, labelled=True)
        caption = (
            f"{title}: the same trained decoders at other temperatures, the scale of the noise they start from; "
            f"numbers stand at the lowest and the highest.{better}"
        )
        blocks.append(Picture(path, f"{what}, by method and temperature.", caption))
    return blocks


def _by_rate(results: Results, dataset: str, perception: str) -> Places:
    places: Places = {}
    for task, label in RATES:
        for cell in results.cells(task, dataset):
            points = [
                Point(run.values[MAIN_DISTORTION[dataset]], run.values[perception])
                for run in results.finished(cell)
                if MAIN_DISTORTION[dataset] in run.values and perception in run.values
            ]
            if points:
                places.setdefault(cell.group, {}).setdefault(cell.method, []).append(Rate(label, points))
    return places


def _by_temperature(results: Results, dataset: str, perception: str) -> Places:
    """Groups in which some method was decoded at several temperatures; the others stand beside it."""
    places: Places = {}
    for cell in results.cells("codec", dataset):
        distortions = curve(results, cell, "temperature", MAIN_DISTORTION[dataset])
        perceptions = curve(results, cell, "temperature", perception)
        rates = [
            Rate(f"{temperature:g}", [Point(*pair) for pair in zip(values, perceptions[temperature], strict=True)])
            for temperature, values in distortions.items()
            if len(values) == len(perceptions.get(temperature, ()))
        ]
        if len(rates) > 1:
            places.setdefault(cell.group, {})[cell.method] = rates
    for cell in results.cells("codec", dataset):
        means = [results.mean(cell, name) for name in (MAIN_DISTORTION[dataset], perception)]
        if cell.group in places and cell.method not in places[cell.group] and None not in means:
            places[cell.group][cell.method] = [Rate("", [Point(*means)])]  # pyright: ignore[reportArgumentType]
    return places
