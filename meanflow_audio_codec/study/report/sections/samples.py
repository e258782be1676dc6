"""What the codecs make of the same test items: pictures, spectrograms, recordings."""

from pathlib import Path

import numpy as np
from jaxtyping import Float

from meanflow_audio_codec.evaluators.figures import write_figure
from meanflow_audio_codec.study.report.methods import group_title, title
from meanflow_audio_codec.study.report.metrics import dataset_title
from meanflow_audio_codec.study.report.pages.document import Block, Blocks, Details, Heading, Picture, missing
from meanflow_audio_codec.study.report.pages.recordings import recordings
from meanflow_audio_codec.study.report.records import Cell, Results
from meanflow_audio_codec.study.report.sample_figures import image_comparison, spectrogram_panel

NUM_IMAGES = 12
NUM_SPECTROGRAMS = 2  # clips drawn
NUM_HEARD = 2  # groups of cells with clips; more would make the page heavy
ORIGINAL = "original"
Signals = dict[str, np.ndarray]


def samples(results: Results, figures: Path) -> Blocks:
    """The section: the first architecture and tokenization in full, the others on demand."""
    blocks: list[Block] = [Heading("The same test items through every method")]
    for dataset in results.datasets("codec"):
        original = results.reference(dataset)
        cells = results.cells("codec", dataset)
        groups = [group for group in dict.fromkeys(cell.group for cell in cells) if shown(results, cells, group)]
        if not groups:
            continue
        blocks.append(Heading(dataset_title(dataset), 3))
        if "signals" not in original:
            blocks.append(missing("The originals of these items were not written."))
            continue
        for number, group in enumerate(groups):
            signals = {ORIGINAL: original["signals"]} | shown(results, cells, group)
            if "sample_rate" in original:
                clips = cut(signals, original.get("lengths"))
                inner = _clips(clips, int(original["sample_rate"]), dataset, group, figures, number)
            else:
                inner = [_images(signals, dataset, group, figures)]
            if number and inner:
                inner = [Details(group_title(*group), tuple(inner))]
            blocks += inner
    return blocks if len(blocks) > 1 else [*blocks, missing("No decoded items were written.")]


def shown(results: Results, cells: list[Cell], group: tuple[str, str]) -> Signals:
    """Decoded or generated signals by method, of the first seed that has them."""
    found: Signals = {}
    for cell in cells:
        arrays = next((arrays for run in results.finished(cell) if (arrays := results.samples(run))), {})
        if cell.group == group and "signals" in arrays:
            found[title(cell.method)] = arrays["signals"]
    return found


def cut(signals: Signals, lengths: np.ndarray | None) -> dict[str, list[Float[np.ndarray, " samples"]]]:
    """Clips without the zeros that fill them up."""
    return {
        name: [clip if lengths is None else clip[: lengths[index]] for index, clip in enumerate(clips)]
        for name, clips in signals.items()
    }


def _images(signals: Signals, dataset: str, group: tuple[str, str], figures: Path) -> Picture:
    path = figures / f"samples-{dataset}-{'-'.join(group)}.png"
    count = min(NUM_IMAGES, *(len(images) for images in signals.values()))
    rows = {name: images[:count] for name, images in signals.items()}
    write_figure(image_comparison(rows.pop(ORIGINAL), rows), path)
    caption = f"{group_title(*group)}: the same test images, seed 0."
    return Picture(path, f"Test images and what {', '.join(rows)} make of them.", caption)


def _clips(
    clips: dict[str, list[np.ndarray]], rate: int, dataset: str, group: tuple[str, str], figures: Path, number: int
) -> list[Block]:
    blocks: list[Block] = []
    count = min(len(versions) for versions in clips.values())
    if number >= NUM_HEARD:
        return []
    for index in range(min(count, NUM_SPECTROGRAMS if number == 0 else 1)):
        path = figures / f"spectrograms-{dataset}-{'-'.join(group)}-{index + 1}.png"
        write_figure(spectrogram_panel({name: versions[index] for name, versions in clips.items()}, rate), path)
        caption = f"{group_title(*group)}: test clip {index + 1}, seed 0, one colour scale for all."
        blocks.append(Picture(path, f"Spectrograms of a test clip: {', '.join(clips)}.", caption))
    for index in range(count):
        versions = {name: versions[index] for name, versions in clips.items()}
        blocks.append(recordings(f"Clip {index + 1}, {group_title(*group)}", versions, rate))
    return blocks
