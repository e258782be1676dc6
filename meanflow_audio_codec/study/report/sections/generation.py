"""Generation from labels: scores, sample grids, the effect of guidance, temperature and number of evaluations."""

from pathlib import Path

import numpy as np

from meanflow_audio_codec.evaluators.figures import sample_grid, spectrogram_comparison
from meanflow_audio_codec.study.report.methods import group_title, title
from meanflow_audio_codec.study.report.metrics import dataset_title
from meanflow_audio_codec.study.report.pages.document import Block, Blocks, Details, Gallery, Heading, Picture, missing
from meanflow_audio_codec.study.report.pages.recordings import recordings
from meanflow_audio_codec.study.report.records import Cell, Results
from meanflow_audio_codec.study.report.sections.evaluations import setting_curves
from meanflow_audio_codec.study.report.sections.samples import cut
from meanflow_audio_codec.study.report.sections.sampling_settings import sampling_settings
from meanflow_audio_codec.study.report.sections.scores import score_table

NUM_COLUMNS = 10
NUM_HEARD = 2  # groups of cells with players
Arrays = dict[str, np.ndarray]


def generation(results: Results, figures: Path) -> Blocks:
    """The section."""
    blocks: list[Block] = [Heading("Generation from labels")]
    if not results.datasets("generation"):
        return [*blocks, missing("No cell of the generation task.")]
    for dataset in results.datasets("generation"):
        blocks += [Heading(dataset_title(dataset), 3), *score_table(results, "generation", dataset)]
        cells = results.cells("generation", dataset)
        for number, group in enumerate(dict.fromkeys(cell.group for cell in cells)):
            inner = _group(results, [cell for cell in cells if cell.group == group], figures, number)
            if inner:
                blocks += inner if number == 0 else [Details(group_title(*group), tuple(inner))]
    return blocks


def by_label(arrays: Arrays, columns: int) -> np.ndarray:
    """Signals in rows with one column per label 0, 1, ..., as many rows as every label fills; in order without labels.

    With labels in turn, which is how they are drawn, this is the order of the file.
    """
    signals, labels = arrays["signals"], arrays.get("labels")
    if labels is None:
        return signals
    places = [np.flatnonzero(labels == label) for label in range(columns)]
    rows = min(len(place) for place in places)
    return signals[np.array([place[row] for row in range(rows) for place in places], int)] if rows else signals


def _group(results: Results, cells: list[Cell], figures: Path, number: int) -> list[Block]:
    """Samples of all methods of one architecture and tokenization, and their curves."""
    dataset, group = cells[0].dataset, cells[0].group
    found = {}
    for cell in cells:
        arrays = next((arrays for run in results.finished(cell) if (arrays := results.samples(run))), None)
        if arrays and "signals" in arrays:
            found[cell] = arrays
    blocks: list[Block] = []
    if found:
        is_audio = any("sample_rate" in arrays for arrays in found.values())
        if not is_audio:
            blocks.append(_grids(found, figures))
        elif number < NUM_HEARD:
            blocks += _sounds(results, found, figures)
    for over in ("num_evaluations", "guidance_scale", "temperature"):
        picture = setting_curves(results, "generation", dataset, group, over, figures)
        blocks += [picture] if picture else []
    table = sampling_settings(results, cells)
    return [*blocks, table] if table else blocks


def _grids(found: dict[Cell, Arrays], figures: Path) -> Gallery:
    pictures = []
    for cell, arrays in found.items():
        path = figures / f"generated-{cell.method}-{'-'.join(cell.group)}-{cell.dataset}.png"
        sample_grid(path, by_label(arrays, NUM_COLUMNS), columns=NUM_COLUMNS)
        name = f"{title(cell.method)}, {group_title(*cell.group)}"
        pictures.append(Picture(path, f"Generated digits of {name}.", f"{name}. Columns: labels 0 to 9."))
    return Gallery(tuple(pictures))


def _sounds(results: Results, found: dict[Cell, Arrays], figures: Path) -> list[Block]:
    """Spectrograms and players, one per method: the sounds of all labels after one another."""
    first, arrays = next(iter(found.items()))
    rate = int(arrays["sample_rate"])
    real = results.reference(first.dataset)
    sources = ({"real recordings": real} if "signals" in real else {}) | {title(c.method): a for c, a in found.items()}
    clips = {
        name: np.concatenate(cut({name: one["signals"]}, one.get("lengths"))[name]) for name, one in sources.items()
    }
    path = figures / f"generated-{'-'.join(first.group)}-{first.dataset}.png"
    spectrogram_comparison(path, clips, rate)
    name = group_title(*first.group)
    caption = f"{name}: one sound per label, in the order of the labels; real ones in any. One colour scale for all."
    return [
        Picture(path, f"Spectrograms of {', '.join(clips)}.", caption),
        recordings(f"{name}: one sound per label, after one another", clips, rate),
    ]
