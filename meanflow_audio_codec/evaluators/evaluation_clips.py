"""The recordings that a codec is scored on: each is read by itself, so that a broken one is a row and no end."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Float

from meanflow_audio_codec.datasets.audio.audio_pack import mono_clip
from meanflow_audio_codec.datasets.audio.audio_sources import AudioSource, audio_sources, select
from meanflow_audio_codec.datasets.audio.recording_writer import INT16_SCALE, to_int16
from meanflow_audio_codec.errors import InputError
from meanflow_audio_codec.evaluators.clip_scores import reason_of


@dataclass(frozen=True)
class Clip:
    """A recording to be scored, mono; what is said in it, if that is known; and why it could not be read, if so."""

    name: str
    samples: Float[np.ndarray, " samples"]
    transcript: str = ""
    problem: str = ""


def clips_to_score(
    folders: tuple[Path, ...], split: str, where: tuple[tuple[str, str], ...], limit: int | None
) -> list[AudioSource]:
    """The recordings of a split, in the order of their names: all, or `limit` of them evenly spread.

    Raises:
        InputError: the limit is below 1, a folder holds no such recordings, or two hold files of the same name.
    """
    if limit is not None and limit < 1:
        raise InputError(f"--limit must be at least 1, not {limit}")
    every = [source for folder in folders for source in audio_sources(folder)]
    sources = select(every, split, where, advice="--split all takes every recording")
    if len({source.name for source in sources}) < len(sources):
        raise InputError(f"two of the folders {', '.join(map(str, folders))} hold files of the same name: rename")
    if limit is None or limit >= len(sources):
        return sources
    return [sources[index * len(sources) // limit] for index in range(limit)]


def read_clip(source: AudioSource, sample_rate: int, *, strict: bool = False) -> Clip:
    """Its channels averaged, at this rate and in the 16 bits that models are trained on.

    One that ends otherwise than it says is told on standard error, or with `strict` not read.
    """
    transcript = source.row.get("transcript", "")
    try:
        mono, _ = mono_clip(source.path, sample_rate, strict=strict)
        samples = to_int16(mono).astype(np.float32) / np.float32(INT16_SCALE)
    except Exception as error:  # whatever is wrong with one file, the others are scored
        return Clip(source.name, np.zeros(0, np.float32), transcript, f"not read: {reason_of(error)}")
    problem = "" if len(samples) else "not read: it holds no samples"
    return Clip(source.name, samples, transcript, problem)
