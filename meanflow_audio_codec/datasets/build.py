"""From configuration to data source."""

from pathlib import Path
from typing import Literal

from meanflow_audio_codec.configs.data import (
    AudioFolderConfig,
    DatasetConfig,
    GaussianConfig,
    MnistConfig,
    SyntheticAudioConfig,
    SyntheticImagesConfig,
)
from meanflow_audio_codec.datasets.audio.audio_folder import AudioFolder
from meanflow_audio_codec.datasets.base import Dataset
from meanflow_audio_codec.datasets.data_directory import find_data_directory
from meanflow_audio_codec.datasets.mnist import Mnist
from meanflow_audio_codec.datasets.synthetic import GaussianDataset, SyntheticAudio
from meanflow_audio_codec.datasets.synthetic_images import SyntheticImages

Split = Literal["train", "valid", "test"]


def build_dataset(
    config: DatasetConfig, split: Split, *, data_directory: Path | None, batch_size: int, seed: int
) -> Dataset:
    """The data source of a configuration; `data_directory` is needed by those that read files.

    Raises:
        InputError: no data directory was given, or it does not hold the data.
    """
    match config:
        case AudioFolderConfig():
            root = find_data_directory(data_directory)
            return AudioFolder(
                folders=tuple(root / folder for folder in config.folders),
                split=split,
                sample_rate=config.sample_rate,
                crop_samples=config.crop_samples,
                batch_size=batch_size,
                seed=seed,
                # Random changes are for training: scores are of the recordings as they are.
                gain_range_db=config.gain_range_db if split == "train" else (0.0, 0.0),
                augmentation=config.augmentation if split == "train" else None,
                label_columns=config.label_columns,
                level_dbfs=config.level_dbfs,
            )
        case MnistConfig():
            return Mnist(data_directory=data_directory, split=split, batch_size=batch_size, seed=seed)
        case SyntheticImagesConfig():
            return SyntheticImages(split=split, batch_size=batch_size, seed=seed)
        case SyntheticAudioConfig():
            return SyntheticAudio(
                sample_rate=config.sample_rate,
                crop_samples=config.crop_samples,
                split=split,
                batch_size=batch_size,
                seed=seed,
            )
        case GaussianConfig():
            return GaussianDataset(
                shape=config.shape, scale=config.scale, split=split, batch_size=batch_size, seed=seed
            )
