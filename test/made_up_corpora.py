"""Archives laid out like those of public corpora, with noise in them, and the folders that they become."""

import hashlib
import io
import tarfile
import zipfile
from dataclasses import replace
from pathlib import Path

import numpy as np
import soundfile
from archive_server import Served

from meanflow_audio_codec.datasets.corpora import find_corpus
from meanflow_audio_codec.datasets.corpus import Archive, Corpus


def sound(suffix: str, rate: int, seed: int = 0) -> bytes:
    """Noise that does not compress, so that an archive has bytes to be cut at."""
    file = io.BytesIO()
    noise = np.random.default_rng(seed).integers(-9000, 9000, rate // 10).astype(np.int16)
    soundfile.write(file, noise, rate, format=suffix, subtype="PCM_16")
    return file.getvalue()


def tar_gz(members: dict[str, bytes | None]) -> bytes:
    """An archive of files; a member without content is a symbolic link."""
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode="w:gz") as archive:
        for name, content in members.items():
            entry = tarfile.TarInfo(name)
            if content is None:
                entry.type, entry.linkname = tarfile.SYMTYPE, "/etc/passwd"
            entry.size = len(content or b"")
            archive.addfile(entry, io.BytesIO(content or b""))
    return file.getvalue()


def zip_of(members: dict[str, bytes]) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return file.getvalue()


def libritts_part(part: str, speaker: int) -> bytes:
    """Two utterances of one speaker among the texts that the real archive has."""
    stem = f"LibriTTS/{part}/{speaker}/121123/{speaker}_121123_00000"
    return tar_gz(
        {
            "LibriTTS/SPEAKERS.txt": b"84 | F | dev-clean",
            f"{stem}1_000000.wav": sound("wav", 24_000, speaker),
            f"{stem}1_000000.normalized.txt": b"Go on.",
            f"{stem}2_000000.wav": sound("wav", 24_000, speaker + 1),
            f"LibriTTS/{part}/{speaker}/121123/._{speaker}_121123_000002_000000.wav": b"droppings",
        }
    )


def published(name: str, served: Served, contents: dict[str, bytes]) -> Corpus:
    """The corpus with these contents of its archives, on the local server."""
    corpus = find_corpus(name)
    parts = {}
    for part, archive in corpus.parts.items():
        content = contents.get(archive.file_name, b"")
        served.files[f"/{archive.file_name}"] = content
        parts[part] = Archive(
            archive.file_name,
            (f"{served.address}/{archive.file_name}",),
            len(content),
            f"sha256:{hashlib.sha256(content).hexdigest()}",
        )
    return replace(corpus, parts=parts)


def published_libritts(served: Served) -> Corpus:
    """With one part for each split."""
    parts = {"dev-clean": 84, "test-clean": 61, "train-clean-100": 19}
    return published("libritts", served, {f"{part}.tar.gz": libritts_part(part, s) for part, s in parts.items()})


def files(folder: Path) -> set[str]:
    return {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}
