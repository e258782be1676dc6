"""What the cells are scored on: the same items, in the same order, for every cell of a dataset."""

from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np
from jaxtyping import Float, Int
from pydantic import TypeAdapter

from meanflow_audio_codec.configs.data import AudioFolderConfig, DatasetConfig
from meanflow_audio_codec.datasets.build import Split, build_dataset
from meanflow_audio_codec.study.cells import SPEECH_RATE, StudyCell

SPEECH_SECONDS = 4  # the middle of each recording, filled up with silence
WORD_SECONDS = 1
NUM_CODED_WORDS = 200
NUM_SIDE_CLIPS = 100  # training clips that the tables of the side information are fitted to
NUM_REFERENCES = {"smoke": 64, "small": 2_000, "full": 10_000}


@dataclass(frozen=True)
class Items:
    """Signals of one shape, and their labels where they have any."""

    signals: Float[np.ndarray, "b *signal"]
    labels: Int[np.ndarray, " b"] | None
    sample_rate: int | None


def test_signals(cell: StudyCell, data_directory: Path | None) -> Items:
    """Test items of a codec cell: images with their digits, or excerpts of speech."""
    config = cell.config(0).dataset
    if cell.dataset == "audio":
        config = config.model_copy(update={"crop_samples": SPEECH_SECONDS * SPEECH_RATE})
    return _items(config, "test", data_directory, cell.scale.num_items)


def coded_words(cell: StudyCell, data_directory: Path | None) -> Items | None:
    """Spoken words at the codec's rate, whose recognition after coding is scored; None where there are none (smoke)."""
    if cell.dataset != "audio" or cell.preset == "smoke":
        return None
    config = AudioFolderConfig(
        folders=("digits", "keywords"),
        sample_rate=SPEECH_RATE,
        crop_samples=WORD_SECONDS * SPEECH_RATE,
        label_columns=("digit", "keyword"),
        level_dbfs=-26.0,
    )
    return _items(config, "test", data_directory, NUM_CODED_WORDS)


def side_clips(cell: StudyCell, data_directory: Path | None) -> Items:
    """Training excerpts as long as the test items."""
    config = cell.config(0).dataset
    if cell.dataset == "audio":
        config = config.model_copy(update={"crop_samples": SPEECH_SECONDS * SPEECH_RATE})
    return _items(config, "train", data_directory, 8 if cell.preset == "smoke" else NUM_SIDE_CLIPS)


def real_examples(cell: StudyCell, data_directory: Path | None) -> Items:
    """What generated signals are compared with: test images, or training words (the test words have one speaker)."""
    split: Split = "test" if cell.dataset == "mnist" else "train"
    return _items(cell.config(0).dataset, split, data_directory, NUM_REFERENCES[cell.preset])


def _items(config: DatasetConfig, split: Split, data_directory: Path | None, count: int) -> Items:
    """`count` items spread evenly over the split, or all if it has fewer."""
    return _read_items(config.model_dump_json(), split, data_directory, count)


@lru_cache(maxsize=8)
def _read_items(description: str, split: Split, data_directory: Path | None, count: int) -> Items:
    config = TypeAdapter[DatasetConfig](DatasetConfig).validate_json(description)
    data = build_dataset(config, split, data_directory=data_directory, batch_size=min(count, 250), seed=0)
    signals, labels = [], []
    for batch in data.evaluation():
        signals.append(batch.signal[batch.mask])
        if batch.label is not None:
            labels.append(batch.label[batch.mask])
    every = np.concatenate(signals)
    keep = np.arange(min(count, len(every))) * len(every) // min(count, len(every))
    return Items(every[keep], np.concatenate(labels)[keep] if labels else None, data.spec.sample_rate)
