"""Folders of audio files as a source of random crops for training and of whole clips for evaluation."""

import hashlib
import json
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
from jaxtyping import Float, Int

from meanflow_audio_codec.datasets.audio_pack import AudioPack, fingerprint, open_pack, write_pack
from meanflow_audio_codec.datasets.audio_sources import AudioSource, audio_sources, select
from meanflow_audio_codec.datasets.base import Batch
from meanflow_audio_codec.datasets.data_directory import cache_directory
from meanflow_audio_codec.errors import InputError
from meanflow_audio_codec.preprocessing.specs import SignalSpec


@dataclass(frozen=True, kw_only=True)
class AudioFolder:
    """One split of one or more audio folders, as mono crops of `crop_samples` at `sample_rate` Hz.

    The clips are packed once into a file (see `audio_pack`) under the cache directory, or at `pack_file`, and packed
    again when a source file changes. If `pack_file` exists and `folders` is empty or none of them exists, the pack is
    used as it is: training needs neither the original files nor an audio library.

    `where` keeps the clips whose manifest columns have the given values; the values of `label_column`, over all splits
    and sorted, are the classes. `gain_range_db` scales every training crop by a random gain, without clipping.
    """

    folders: tuple[Path, ...]
    sample_rate: int
    crop_samples: int
    batch_size: int
    split: str = "train"
    seed: int = 0
    where: tuple[tuple[str, str], ...] = ()
    label_column: str | None = None
    gain_range_db: tuple[float, float] = (0.0, 0.0)
    pack_file: Path | None = None

    def __post_init__(self) -> None:
        """Check the ranges."""
        for name in ("sample_rate", "crop_samples", "batch_size"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} must be at least 1, not {getattr(self, name)}")
        if self.seed < 0:
            raise ValueError(f"seed must not be negative, but is {self.seed}")
        if self.gain_range_db[0] > self.gain_range_db[1]:
            raise ValueError(f"gain_range_db must be (lowest, highest), not {self.gain_range_db}")

    @property
    def spec(self) -> SignalSpec:
        """Shape of a crop, and the sample rate."""
        return SignalSpec((self.crop_samples,), self.sample_rate)

    @property
    def class_names(self) -> tuple[str, ...]:
        """Values of the label column over all splits, sorted; the label is the index."""
        return self.pack.class_names

    @property
    def num_classes(self) -> int:
        """Number of labels; 0 without a label column."""
        # Without labels the pack is not needed to know.
        return 0 if self.label_column is None else len(self.class_names)

    @property
    def pack_path(self) -> Path:
        """Where the pack is, or will be: `pack_file`, or a file of the cache named after folders and settings."""
        if self.pack_file is not None:
            return self.pack_file
        folders = [folder.resolve() for folder in self.folders]
        settings = json.dumps([[str(folder) for folder in folders], self._request])
        name = "-".join(folder.name for folder in folders)[:60]
        digest = hashlib.sha256(settings.encode()).hexdigest()[:16]
        return cache_directory() / "packs" / f"{name}-{self.split}-{self.sample_rate}-{digest}.pack"

    @cached_property
    def pack(self) -> AudioPack:
        """The packed clips of this split, made at first use.

        Raises:
            InputError: the folders hold no such audio, or the pack named was made for other settings.
        """
        path = self.pack_path
        if self.pack_file is not None and path.exists():
            pack = open_pack(path)
            if pack.request != self._request:
                raise InputError(
                    f"{path} was packed for {json.dumps(pack.request)}: name another pack file or use these"
                )
            if not any(folder.exists() for folder in self.folders):
                return pack
        if not self.folders:
            raise InputError("no audio folder given: give at least one, or a pack file that exists")
        sources, class_names = self._sources()
        if not path.exists() or open_pack(path).fingerprint != fingerprint(sources):
            write_pack(path, sources, self._request, class_names)
        return open_pack(path)

    def batch(self, step: int) -> Batch:
        """Random crops, clips drawn in proportion to their length; a shorter clip lies at random among zeros."""
        random = np.random.Generator(np.random.Philox(key=np.array([self.seed, step], np.uint64)))
        positions = random.integers(len(self.pack.samples), size=self.batch_size)
        fractions = random.random(self.batch_size)
        gains = 10.0 ** (random.uniform(*self.gain_range_db, self.batch_size) / 20.0)
        clips = np.searchsorted(self.pack.starts, positions, side="right") - 1
        signal = np.stack([self._crop(clip, fraction) for clip, fraction in zip(clips, fractions, strict=True)])
        return Batch(
            signal * gains[:, None].astype(np.float32), self._label(clips), np.ones(self.batch_size, dtype=bool)
        )

    def evaluation(self) -> Iterator[Batch]:
        """The centre of every clip once, in the order of their names; the last batch is filled up with zeros."""
        for first in range(0, len(self.pack.names), self.batch_size):
            clips = np.arange(first, min(first + self.batch_size, len(self.pack.names)))
            missing = self.batch_size - len(clips)
            signal = np.stack([self._crop(clip, 0.5) for clip in clips])
            label = self._label(clips)
            yield Batch(
                np.pad(signal, ((0, missing), (0, 0))),
                None if label is None else np.pad(label, (0, missing)),
                np.arange(self.batch_size) < len(clips),
            )

    def clips(self) -> Iterator[tuple[str, Float[np.ndarray, " samples"], dict[str, str]]]:
        """Every whole clip of the split in the order of names: its name, samples and manifest row."""
        for clip, (name, row) in enumerate(zip(self.pack.names, self.pack.rows, strict=True)):
            yield name, self.pack.read(clip, 0, int(self.pack.lengths[clip])), dict(row)

    @property
    def _request(self) -> dict:
        """What a pack depends on apart from the files."""
        return {
            "sample_rate": self.sample_rate,
            "split": self.split,
            "where": [list(pair) for pair in self.where],
            "label_column": self.label_column,
        }

    def _crop(self, clip: int | np.integer, fraction: float | np.floating) -> Float[np.ndarray, " samples"]:
        """The crop that begins at this fraction of all positions it may begin at."""
        length = int(self.pack.lengths[clip])
        slack = abs(length - self.crop_samples)
        offset = min(int(fraction * (slack + 1)), slack)
        if length >= self.crop_samples:
            return self.pack.read(int(clip), offset, self.crop_samples)
        crop = np.zeros(self.crop_samples, np.float32)
        crop[offset : offset + length] = self.pack.read(int(clip), 0, length)
        return crop

    @cached_property
    def _labels(self) -> Int[np.ndarray, " clips"] | None:
        if self.label_column is None:
            return None
        index = {name: number for number, name in enumerate(self.class_names)}
        return np.array([index[row[self.label_column]] for row in self.pack.rows], np.int32)

    def _label(self, clips: Int[np.ndarray, " b"]) -> Int[np.ndarray, " b"] | None:
        return None if self._labels is None else self._labels[clips]

    def _sources(self) -> tuple[list[AudioSource], tuple[str, ...]]:
        """The sources of this split, and the classes of all splits."""
        every = [source for folder in self.folders for source in audio_sources(folder)]
        names = [source.name for source in every]
        if len(set(names)) < len(names):
            raise InputError(
                f"two of the folders {', '.join(map(str, self.folders))} hold files of the same name: rename"
            )
        class_names: tuple[str, ...] = ()
        if self.label_column is not None:
            labelled = [source for source in every if all(source.row.get(c) == v for c, v in self.where)]
            for source in labelled:
                if not source.row.get(self.label_column):
                    raise InputError(f"{source.name} has no value in the manifest column {self.label_column!r}")
            class_names = tuple(sorted({source.row[self.label_column] for source in labelled}))
        return select(every, self.split, self.where), class_names
