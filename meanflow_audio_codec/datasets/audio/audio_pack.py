"""Many clips in one 16-bit file that is mapped into memory, so that a random crop costs one small read.

Layout: the samples of all clips one after the other (int16, little endian), a JSON index, and a footer of 16 bytes: the
length of the index and a magic number. The footer comes last, so a file cut short is recognised.
"""

import hashlib
import json
import struct
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Float, Int16

from meanflow_audio_codec.datasets.audio.audio_sources import AudioSource
from meanflow_audio_codec.datasets.audio.recording_reader import opened_recording
from meanflow_audio_codec.datasets.audio.recording_writer import INT16_SCALE, to_int16
from meanflow_audio_codec.datasets.complete_file import complete_file
from meanflow_audio_codec.errors import InputError
from meanflow_audio_codec.preprocessing.resampling import resample

MAGIC = b"MFPACK01"
FOOTER = struct.Struct("<Q8s")


@dataclass(frozen=True)
class AudioPack:
    """An opened pack: mapped samples, and name, manifest row, start and length in samples of each clip.

    `remarks` are on recordings that ended otherwise than they said; None in packs from before that was looked at.
    """

    samples: Int16[np.ndarray, " total"]
    names: tuple[str, ...]
    rows: tuple[dict[str, str], ...]
    starts: np.ndarray
    lengths: np.ndarray
    request: dict
    fingerprint: str
    class_names: tuple[str, ...]
    remarks: tuple[str, ...] | None

    def read(self, clip: int, start: int, length: int) -> Float[np.ndarray, " length"]:
        """Part of a clip as float32, full scale 1."""
        first = int(self.starts[clip]) + start
        return self.samples[first : first + length].astype(np.float32) / np.float32(INT16_SCALE)


def fingerprint(sources: Iterable[AudioSource]) -> str:
    """Hash of names, manifest rows, sizes and modification times: changes whenever a source file does."""
    digest = hashlib.sha256()
    for source in sources:
        status = source.path.stat()
        entry = [source.name, source.split, source.row, status.st_size, status.st_mtime_ns]
        digest.update(json.dumps(entry, sort_keys=True).encode() + b"\n")
    return digest.hexdigest()


def mono_clip(path: Path, sample_rate: int, *, strict: bool = False) -> tuple[Float[np.ndarray, " samples"], str]:
    """A file's channels averaged and resampled, and the remark on its end if that is not where it says.

    A peak above 1 is scaled down to 1, with no other change of level.

    Raises:
        InputError: it cannot be read, or it gives rise to a remark and `strict` is set.
    """
    with opened_recording(path, str(path), strict=strict) as recording:
        audio = np.concatenate(list(recording.blocks()), axis=1)
    mono = resample(audio.mean(axis=0), recording.sample_rate, sample_rate)
    return mono / max(1.0, float(np.abs(mono).max())), recording.remark


def write_pack(
    path: Path, sources: list[AudioSource], request: dict, class_names: tuple[str, ...], *, strict: bool = False
) -> None:
    """Decode, average, resample and pack the sources, showing progress on a terminal; complete or not at all.

    Raises:
        InputError: a source cannot be read, or the pack cannot be written; with `strict`, a source ends otherwise than
            it says.
    """
    from rich.console import Console
    from rich.progress import track

    console = Console(stderr=True)
    shown = track(
        sources, f"packing {len(sources)} clips", console=console, transient=True, disable=not console.is_terminal
    )
    # Taken before reading: a file that changes meanwhile then makes the pack stale.
    before = fingerprint(sources)
    clips, remarks = [], []
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with complete_file(path) as file:
            for source in shown:
                samples, remark = mono_clip(source.path, request["sample_rate"], strict=strict)
                clip = to_int16(samples)
                file.write(clip.astype("<i2").tobytes())
                clips.append({"name": source.name, "samples": len(clip), "row": source.row})
                if remark:
                    remarks.append(f"{source.name} {remark}")
            contents = {
                "request": request,
                "fingerprint": before,
                "classes": class_names,
                "clips": clips,
                "remarks": remarks,
            }
            index = json.dumps(contents).encode()
            file.write(index + FOOTER.pack(len(index), MAGIC))
    except OSError as error:
        raise InputError(f"{path} cannot be written ({error.strerror}): choose another cache folder or pack") from error


def open_pack(path: Path) -> AudioPack:
    """Map a pack into memory.

    Raises:
        InputError: there is no such file, or it is not a complete pack.
    """
    if not path.is_file():
        raise InputError(f"there is no pack {path}: make it with `meanflow-codec data --pack FOLDER`")
    size = path.stat().st_size
    broken = InputError(f"{path} is not a complete audio pack: delete it and pack again")
    with path.open("rb") as file:
        if size < FOOTER.size:
            raise broken
        file.seek(size - FOOTER.size)
        index_length, magic = FOOTER.unpack(file.read())
        data_length = size - FOOTER.size - index_length
        if magic != MAGIC or data_length < 2 or data_length % 2:
            raise broken
        file.seek(data_length)
        try:
            index = json.loads(file.read(index_length))
            lengths = np.array([clip["samples"] for clip in index["clips"]], np.int64)
        except (ValueError, KeyError, TypeError) as error:
            raise broken from error
    if 2 * lengths.sum() != data_length:
        raise broken
    return AudioPack(
        samples=np.memmap(path, "<i2", "r", shape=(data_length // 2,)),
        names=tuple(clip["name"] for clip in index["clips"]),
        rows=tuple(clip["row"] for clip in index["clips"]),
        starts=np.concatenate([[0], np.cumsum(lengths)[:-1]]),
        lengths=lengths,
        request=index["request"],
        fingerprint=index["fingerprint"],
        class_names=tuple(index["classes"]),
        remarks=tuple(index["remarks"]) if "remarks" in index else None,
    )
