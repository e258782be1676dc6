"""A corpus in the data directory: downloaded, unpacked, and with the manifest that audio folders are read by."""

import csv
import io
from pathlib import Path

from meanflow_audio_codec.datasets.audio.audio_sources import MANIFEST, AudioSource, audio_sources
from meanflow_audio_codec.datasets.complete_file import complete_file
from meanflow_audio_codec.datasets.downloads.corpus import Corpus
from meanflow_audio_codec.datasets.downloads.download import download
from meanflow_audio_codec.datasets.downloads.extraction import extract
from meanflow_audio_codec.errors import InputError

ARCHIVES = ".archives"  # hidden, so that no listing takes it for data


def install(corpus: Corpus, directory: Path, parts: tuple[str, ...]) -> list[AudioSource]:
    """Bring parts of a corpus into its folder of the data directory; gives all recordings that it holds then.

    Parts that are there stay as they are, and so do rows of the manifest. Archives are looked for, and kept, in the
    folder `.archives` of the corpus.

    Raises:
        InputError: there is no such part, or it cannot be downloaded or unpacked.
    """
    for part in parts:
        if part not in corpus.parts:
            raise InputError(f"{part}: no such part of {corpus.name}; choose from {', '.join(corpus.parts)}")
    folder = directory / corpus.name
    missing = [part for part in parts if not (folder / part).exists()]
    for archive in dict.fromkeys(corpus.parts[part] for part in missing):
        download(archive, folder / ARCHIVES / archive.file_name)
    for part in missing:
        extract(
            folder / ARCHIVES / corpus.parts[part].file_name,
            folder / part,
            lambda member, part=part: corpus.recording(part, member),
        )
    list_in_manifest(corpus, folder)
    return audio_sources(folder)


def list_in_manifest(corpus: Corpus, folder: Path) -> None:
    """Add to the manifest the recordings of those parts that are there and that it says nothing of.

    Raises:
        InputError: such a part holds no recordings, or the manifest there is not one.
    """
    columns, rows = ["path", "split"], []
    if (folder / MANIFEST).exists():
        rows = [dict(source.row) for source in audio_sources(folder)]
        columns = list(rows[0])
    listed = {part for part in corpus.parts if any(_is_of(row["path"], corpus.name, part) for row in rows)}
    added = []
    for part in corpus.parts:
        if part not in listed and (folder / part).exists():
            recordings = corpus.recordings_in(folder / part)
            if not recordings:
                raise InputError(f"{folder / part} holds no recordings of {corpus.title}: remove it and download again")
            added += [{"path": f"{part}/{path}", **corpus.row(part, path)} for path in recordings]
    if not added:
        return
    columns += [column for column in added[0] if column not in columns]
    text = io.StringIO(newline="")
    writer = csv.DictWriter(text, columns, restval="", lineterminator="\n")
    writer.writeheader()
    writer.writerows([*rows, *added])
    with complete_file(folder / MANIFEST) as file:
        file.write(text.getvalue().encode())


def _is_of(path: str, corpus: str, part: str) -> bool:
    return path.startswith((f"{part}/", f"{corpus}/{part}/"))
