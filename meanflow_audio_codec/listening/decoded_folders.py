"""Folders of decoded recordings, whose files have the names of the originals; suffixes may differ."""

from pathlib import Path

import numpy as np
from jaxtyping import Float

from meanflow_audio_codec.datasets.audio_files import READABLE_SUFFIXES, read_audio
from meanflow_audio_codec.errors import InputError
from meanflow_audio_codec.preprocessing.resampling import resample

LARGEST_DIFFERENCE_SECONDS = 0.1  # in length: more means another recording, or a delay that a listener hears


def recordings_in(folder: Path) -> dict[str, Path]:
    """Audio files of a folder and the folders in it, by their path within it without the suffix, in order.

    Raises:
        InputError: no such folder, no audio in it, or two files that differ in the suffix only.
    """
    if not folder.is_dir():
        raise InputError(f"{folder}: is not a folder; give a folder of audio files")
    found: dict[str, Path] = {}
    for path in sorted(folder.rglob("*")):
        if path.suffix.lower() in READABLE_SUFFIXES and path.is_file():
            name = path.relative_to(folder).with_suffix("").as_posix()
            if name in found:
                raise InputError(f"{path}: {found[name].name} is in the same folder; keep one of them")
            found[name] = path
    if not found:
        raise InputError(f"{folder}: holds no audio; put {', '.join(READABLE_SUFFIXES)} files into it")
    return found


def read_decoded(
    folder: Path, name: str, original: Float[np.ndarray, "channels samples"], sample_rate: int, *, mono: bool = False
) -> Float[np.ndarray, "channels samples"]:
    """The decoded version of a recording: at its sample rate, cut or filled up with zeros to its length.

    With `mono`, `original` was mixed down, and so is what the file holds.

    Raises:
        InputError: none or several files of this name, other channels, or a length that differs by more than 0.1 s.
    """
    place = folder / name
    beside = sorted(place.parent.iterdir()) if place.parent.is_dir() else []
    candidates = [
        path
        for path in beside
        if path.stem == place.name and path.suffix.lower() in READABLE_SUFFIXES and path.is_file()
    ]
    if len(candidates) != 1:
        problem = "has no" if not candidates else "has several files"
        raise InputError(f"{folder}: {problem} {name} ({', '.join(READABLE_SUFFIXES)}); one of each name is needed")
    (path,) = candidates
    decoded, rate = read_audio(path)
    if mono:
        decoded = decoded.mean(axis=0, keepdims=True)
    if len(decoded) != len(original):
        raise InputError(f"{path}: has {len(decoded)} channel(s), the original has {len(original)}; decode it anew")
    decoded = resample(decoded, rate, sample_rate)
    num_samples = original.shape[1]
    excess = decoded.shape[1] - num_samples
    if abs(excess) > LARGEST_DIFFERENCE_SECONDS * sample_rate:
        raise InputError(
            f"{path}: lasts {decoded.shape[1] / sample_rate:.2f} s, the original {num_samples / sample_rate:.2f} s; "
            "align them first"
        )
    return np.pad(decoded, ((0, 0), (0, max(-excess, 0))))[:, :num_samples]
