"""What a public corpus is: the archives it is published in, its licence, and which recordings belong to which split."""

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath


@dataclass(frozen=True)
class Archive:
    """A published file: where it can be had, first choice first, its size in bytes, and its checksum.

    The checksum is written as algorithm and hexadecimal digest, e.g. "sha256:da0864...".
    """

    file_name: str
    urls: tuple[str, ...]
    size: int
    checksum: str

    def checksum_of(self, path: Path) -> str:
        """The checksum of a file by this archive's algorithm."""
        algorithm = self.checksum.partition(":")[0]
        with path.open("rb") as file:
            digest = hashlib.file_digest(file, lambda: hashlib.new(algorithm, usedforsecurity=False))
        return f"{algorithm}:{digest.hexdigest()}"


@dataclass(frozen=True, kw_only=True)
class Corpus:
    """A corpus of recordings, published in parts.

    A part is a folder of the archive that `parts` names for it, and becomes a folder of the same name below the data
    directory's folder `name`. Its recordings are the files that `pattern` (relative to the part) matches; `row` gives a
    recording's manifest columns, split among them, from the part and the path below it.
    """

    name: str
    title: str
    licence: str
    # What the licence means for whoever trains on it; one sentence.
    terms: str
    parts: Mapping[str, Archive]
    default_parts: tuple[str, ...]
    pattern: str
    row: Callable[[str, PurePosixPath], dict[str, str]]

    def recording(self, part: str, member: str) -> PurePosixPath | None:
        """The path below the part of a recording that is a member of its archive; None for any other member."""
        depth = len(PurePosixPath(self.pattern).parts)
        components = PurePosixPath(member).parts
        below = PurePosixPath(*components[-depth:])
        is_in_part = len(components) > depth and components[-depth - 1] == part
        return below if is_in_part and below.match(self.pattern) and not below.name.startswith(".") else None

    def recordings_in(self, folder: Path) -> list[PurePosixPath]:
        """Paths of all recordings in a part's folder, relative to it, sorted."""
        paths = (path for path in folder.glob(self.pattern) if path.is_file() and not path.name.startswith("."))
        return sorted(PurePosixPath(path.relative_to(folder).as_posix()) for path in paths)
