"""What a data directory holds."""

from collections import Counter, defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from meanflow_audio_codec.datasets.audio.audio_sources import audio_sources
from meanflow_audio_codec.datasets.audio.recording_reader import opened_recording
from meanflow_audio_codec.datasets.base import SPLITS
from meanflow_audio_codec.datasets.mnist import CHECKSUMS, FILES, read_idx
from meanflow_audio_codec.errors import InputError


@dataclass(frozen=True)
class DataFolder:
    """One data set: examples and hours of each split, sample rates in Hz, and what is wrong with it, if anything."""

    name: str
    kind: str
    examples: dict[str, int] = field(default_factory=dict)
    hours: dict[str, float] = field(default_factory=dict)
    sample_rates: tuple[int, ...] = ()
    problem: str | None = None


def inventory(directory: Path, *, strict: bool = False) -> Iterator[DataFolder]:
    """Each folder below the data directory that is MNIST, has a manifest, or holds audio files, by name.

    MNIST is checked by its checksums, audio files by their headers; one whose header leaves its length open is read.
    Recordings that are seen to end otherwise than they say are told, and with `strict` counted as unreadable.
    """
    for folder in sorted(path for path in directory.iterdir() if path.is_dir()):
        if any((folder / f"{name}.gz").exists() for name in FILES):
            yield _mnist(folder)
        else:
            found = _audio(folder, strict=strict)
            if found is not None:
                yield found


def _mnist(folder: Path) -> DataFolder:
    try:
        sizes = [len(read_idx(folder / f"{name}.gz", CHECKSUMS[name])) for name in FILES]
    except InputError as error:
        return DataFolder(folder.name, "mnist", problem=str(error))
    return DataFolder(folder.name, "mnist", examples={"train": sizes[0], "test": sizes[2]})


def _audio(folder: Path, *, strict: bool) -> DataFolder | None:
    try:
        sources = audio_sources(folder)
    except InputError as error:
        has_manifest = (folder / "manifest.csv").exists()
        return DataFolder(folder.name, "audio", problem=str(error)) if has_manifest else None
    examples: Counter[str] = Counter()
    seconds: dict[str, float] = defaultdict(float)
    rates: set[int] = set()
    unreadable = []
    for source in sources:
        try:
            with opened_recording(source.path, source.name, strict=strict, by_header=True) as recording:
                num_samples = recording.num_samples
                if num_samples is None:
                    num_samples = sum(block.shape[1] for block in recording.blocks())
        except InputError:
            unreadable.append(source.name)
            continue
        examples[source.split] += 1
        seconds[source.split] += num_samples / recording.sample_rate
        rates.add(recording.sample_rate)
    # The usual splits in their usual order, then others.
    splits = sorted(examples, key=lambda split: (SPLITS.index(split) if split in SPLITS else len(SPLITS), split))
    return DataFolder(
        name=folder.name,
        kind="audio",
        examples={split: examples[split] for split in splits},
        hours={split: seconds[split] / 3600.0 for split in splits},
        sample_rates=tuple(sorted(rates)),
        problem=f"{len(unreadable)} files cannot be read, the first is {unreadable[0]}" if unreadable else None,
    )
