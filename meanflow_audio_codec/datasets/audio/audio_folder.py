"""Folders of audio files as a source of random crops for training and of whole clips for evaluation."""

import hashlib
import json
import os
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
from jaxtyping import Float, Int

from meanflow_audio_codec.configs.data import AugmentationConfig
from meanflow_audio_codec.datasets.audio.audio_pack import AudioPack, fingerprint, open_pack, write_pack
from meanflow_audio_codec.datasets.audio.audio_sources import AudioSource, audio_sources, select
from meanflow_audio_codec.datasets.augmentation.augmentation import Augmentation
from meanflow_audio_codec.datasets.augmentation.playback_speed import excerpt_samples, margin_samples, play
from meanflow_audio_codec.datasets.base import Batch
from meanflow_audio_codec.datasets.data_directory import cache_directory
from meanflow_audio_codec.datasets.remarks import tell
from meanflow_audio_codec.errors import InputError
from meanflow_audio_codec.preprocessing.specs import SignalSpec

# Of the folders' names in that of a pack, which has some more to hold.
_NAME_BYTES = 120


@dataclass(frozen=True, kw_only=True)
class AudioFolder:
    """One split of one or more audio folders, as mono crops of `crop_samples` at `sample_rate` Hz.

    The clips are packed once into a file (see `audio_pack`) under the cache directory, or at `pack_file`, and packed
    again when a source file changes. If `pack_file` exists and `folders` is empty or none of them exists, the pack is
    used as it is: training needs neither the original files nor an audio library.

    `where` keeps the clips whose manifest columns have the given values. The label of a clip is the value of the first
    of `label_columns` in which its manifest row has one; these values, over all splits and sorted, are the classes.

    `level_dbfs` scales every clip to this root mean square over the whole clip (dB relative to full scale), also in
    evaluation and `clips()`. A clip that would then exceed full scale is scaled down as a whole to a peak of 1, so it
    stays below the level; a silent clip stays silent. In `batch`, `augmentation` changes speed, colour and noise of a
    crop, then `gain_range_db` scales it by a random gain. Neither clips: a crop may exceed full scale.

    A recording that ends earlier or later than it says is packed as far as it goes, and told on standard error;
    `strict` refuses it.
    """

    folders: tuple[Path, ...]
    sample_rate: int
    crop_samples: int
    batch_size: int
    split: str = "train"
    seed: int = 0
    where: tuple[tuple[str, str], ...] = ()
    label_columns: tuple[str, ...] = ()
    level_dbfs: float | None = None
    gain_range_db: tuple[float, float] = (0.0, 0.0)
    augmentation: AugmentationConfig | None = None
    pack_file: Path | None = None
    strict: bool = False

    def __post_init__(self) -> None:
        """Check the ranges."""
        for name in ("sample_rate", "crop_samples", "batch_size"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} must be at least 1, not {getattr(self, name)}")
        if self.seed < 0:
            raise ValueError(f"seed must not be negative, but is {self.seed}")
        if self.level_dbfs is not None and self.level_dbfs > 0.0:
            raise ValueError(f"level_dbfs must not be above full scale, 0 dB, but is {self.level_dbfs}")
        if self.gain_range_db[0] > self.gain_range_db[1]:
            raise ValueError(f"gain_range_db must be (lowest, highest), not {self.gain_range_db}")

    @property
    def spec(self) -> SignalSpec:
        """Shape of a crop, and the sample rate."""
        return SignalSpec((self.crop_samples,), self.sample_rate)

    @property
    def class_names(self) -> tuple[str, ...]:
        """Values of the label columns over all splits, sorted; the label is the index."""
        return self.pack.class_names

    @property
    def num_classes(self) -> int:
        """Number of labels; 0 without label columns."""
        # Without labels the pack is not needed to know.
        return len(self.class_names) if self.label_columns else 0

    @property
    def pack_path(self) -> Path:
        """Where the pack is, or will be: `pack_file`, or a file of the cache named after folders and settings."""
        if self.pack_file is not None:
            return self.pack_file
        # Not `resolve`, which raises an error of its own where symbolic links lead in a circle.
        folders = [os.path.realpath(folder) for folder in self.folders]
        settings = json.dumps([folders, self._request])
        name = "-".join(os.path.basename(folder) for folder in folders)[:60]
        name = os.fsdecode(os.fsencode(name)[:_NAME_BYTES])
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
                return self._looked_at(pack)
        if not self.folders:
            raise InputError("no audio folder given: give at least one, or a pack file that exists")
        sources, class_names = self._sources()
        if not path.exists() or open_pack(path).fingerprint != fingerprint(sources):
            write_pack(path, sources, self._request, class_names, strict=self.strict)  # tells each recording
            return open_pack(path)
        return self._looked_at(open_pack(path))

    def _looked_at(self, pack: AudioPack) -> AudioPack:
        """A pack made earlier, once what was told of its recordings then is told again in short.

        Raises:
            InputError: something was, or may have been, and `strict` is set.
        """
        if self.strict and pack.remarks is None:
            raise InputError(f"{self.pack_path} was made before ends were looked at: delete it and pack again")
        if pack.remarks:
            told = f"{self.pack_path} has {len(pack.remarks)} recording(s) with a wrong end; {pack.remarks[0]}"
            if self.strict:
                raise InputError(f"{told}: give whole recordings, or leave out --strict")
            tell(told)
        return pack

    def batch(self, step: int) -> Batch:
        """Random crops, clips drawn in proportion to their length; a shorter clip lies at random among zeros."""
        random = np.random.Generator(np.random.Philox(key=np.array([self.seed, step], np.uint64)))
        clips, fractions = self._draw(random, self.batch_size)
        gains = 10.0 ** (random.uniform(*self.gain_range_db, self.batch_size) / 20.0)
        if self.augmentation is None:
            signal = self._crops(clips, fractions)
        else:
            augmentation = Augmentation(self.augmentation, self.seed, step)
            signal = self._crops(clips, fractions, augmentation.speeds(self.batch_size))
            signal = augmentation.equalized(signal)
            signal = augmentation.noisy(signal, lambda random, count: self._crops(*self._draw(random, count)))
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

    def clips(self, every: int = 1) -> Iterator[tuple[str, Float[np.ndarray, " samples"], dict[str, str]]]:
        """Whole clips of the split in the order of names, all or every n-th: name, samples and manifest row."""
        for clip in range(0, len(self.pack.names), every):
            samples = self._read(clip, 0, int(self.pack.lengths[clip]))
            yield self.pack.names[clip], samples, dict(self.pack.rows[clip])

    @property
    def _request(self) -> dict:
        """What a pack depends on apart from the files."""
        return {
            "sample_rate": self.sample_rate,
            "split": self.split,
            "where": [list(pair) for pair in self.where],
            "label_columns": list(self.label_columns),
        }

    def _draw(self, random: np.random.Generator, count: int) -> tuple[Int[np.ndarray, " n"], Float[np.ndarray, " n"]]:
        """Clips in proportion to their length, and where in them a crop lies."""
        positions = random.integers(len(self.pack.samples), size=count)
        return np.searchsorted(self.pack.starts, positions, side="right") - 1, random.random(count)

    def _crops(
        self,
        clips: Int[np.ndarray, " n"],
        fractions: Float[np.ndarray, " n"],
        speeds: Float[np.ndarray, " n"] | None = None,
    ) -> Float[np.ndarray, "n samples"]:
        speeds = np.ones(len(clips)) if speeds is None else speeds
        return np.stack([self._crop(*each) for each in zip(clips, fractions, speeds, strict=True)])

    def _crop(
        self, clip: int | np.integer, fraction: float | np.floating, speed: float | np.floating = 1.0
    ) -> Float[np.ndarray, " samples"]:
        """The crop that begins at this fraction of all positions it may begin at, played at this speed."""
        rate = round(float(speed) * self.sample_rate)
        length = excerpt_samples(self.crop_samples, self.sample_rate, rate)
        margin = margin_samples(self.sample_rate, rate)
        excerpt = self._excerpt(int(clip), float(fraction), length, margin)
        return play(excerpt, self.crop_samples, self.sample_rate, rate)

    def _excerpt(self, clip: int, fraction: float, length: int, margin: int) -> Float[np.ndarray, " excerpt"]:
        """Samples around a place in a clip, or around the clip if that is shorter, with zeros outside the clip."""
        clip_length = int(self.pack.lengths[clip])
        slack = abs(clip_length - length)
        offset = min(int(fraction * (slack + 1)), slack)
        first = (offset if clip_length >= length else -offset) - margin
        excerpt = np.zeros(length + 2 * margin, np.float32)
        start, end = max(first, 0), min(first + len(excerpt), clip_length)
        excerpt[start - first : end - first] = self._read(clip, start, end - start)
        return excerpt

    def _read(self, clip: int, start: int, length: int) -> Float[np.ndarray, " length"]:
        samples = self.pack.read(clip, start, length)
        return samples if self._gains is None else samples * self._gains[clip]

    @cached_property
    def _gains(self) -> Float[np.ndarray, " clips"] | None:
        """What brings each clip to the level asked for."""
        if self.level_dbfs is None:
            return None
        gains = np.ones(len(self.pack.names), np.float32)
        for clip, length in enumerate(self.pack.lengths):
            samples = self.pack.read(clip, 0, int(length))
            peak = float(np.abs(samples).max(initial=0.0))
            if peak > 0.0:
                level = float(np.sqrt(np.mean(np.square(samples, dtype=np.float64))))
                gains[clip] = min(10.0 ** (self.level_dbfs / 20.0) / level, 1.0 / peak)
        return gains

    @cached_property
    def _labels(self) -> Int[np.ndarray, " clips"] | None:
        if not self.label_columns:
            return None
        index = {name: number for number, name in enumerate(self.class_names)}
        return np.array([index[_label(row, self.label_columns)] for row in self.pack.rows], np.int32)

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
        if self.label_columns:
            labelled = [source for source in every if all(source.row.get(c) == v for c, v in self.where)]
            for source in labelled:
                if not _label(source.row, self.label_columns):
                    columns = " or ".join(map(repr, self.label_columns))
                    raise InputError(f"{source.name} has no value in the manifest column {columns}")
            class_names = tuple(sorted({_label(source.row, self.label_columns) for source in labelled}))
        return select(every, self.split, self.where), class_names


def _label(row: dict[str, str], columns: tuple[str, ...]) -> str:
    """The value of the first column that has one; empty if none has."""
    return next((row[column] for column in columns if row.get(column)), "")
