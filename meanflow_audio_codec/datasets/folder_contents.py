"""The files below a folder, also behind symbolic links to other folders."""

import os
from dataclasses import dataclass, field
from pathlib import Path


@dataclass
class FolderContents:
    """What lies below a folder: files in the order of their paths, what cannot be read, and links left out on purpose.

    The latter two with reasons. Names that begin with a dot are other programs' droppings (macOS writes ._name.wav
    beside name.wav) and are not told.
    """

    files: list[Path] = field(default_factory=list)
    unreadable: list[tuple[Path, str]] = field(default_factory=list)
    left_out: list[tuple[Path, str]] = field(default_factory=list)

    @property
    def remarks(self) -> list[str]:
        """A line for everything that is not among the files."""
        return [f"{path}: left out, {reason}" for path, reason in (*self.unreadable, *self.left_out)]


def folder_contents(folder: Path, suffixes: tuple[str, ...]) -> FolderContents:
    """All files with one of these suffixes, in lower case, below a folder.

    A link to a folder is followed, after all that lies there without links, unless it leads to a folder above or to one
    whose files are among the others: every file is found once, and no loop is entered.
    """
    found = FolderContents()
    root = folder.resolve()
    seen: set[Path] = set()
    links = _walk(folder, suffixes, found, seen)
    while links:
        link = links.pop(0)
        target = link.resolve()
        if target in seen:
            found.left_out.append((link, f"a link to {target}, whose files are worked on already"))
        elif target == root or target in root.parents:
            found.left_out.append((link, f"a link to {target}, which is above it"))
        else:
            links += _walk(link, suffixes, found, seen)
    found.files.sort()
    return found


def _walk(top: Path, suffixes: tuple[str, ...], found: FolderContents, seen: set[Path]) -> list[Path]:
    """Add the files below `top`; the links to folders are the result."""
    links: list[Path] = []

    def unreadable(error: OSError) -> None:
        found.unreadable.append((Path(error.filename), f"cannot be read ({error.strerror})"))

    for parent, folders, names in os.walk(top, onerror=unreadable):
        seen.add(Path(parent).resolve())
        inside = [Path(parent, name) for name in sorted(folders) if not name.startswith(".")]
        links += [path for path in inside if path.is_symlink()]
        folders[:] = [path.name for path in inside if not path.is_symlink() and path.resolve() not in seen]
        for name in names:
            path = Path(parent, name)
            if name.startswith(".") or path.suffix.lower() not in suffixes:
                continue
            if path.is_file():
                found.files.append(path)
            else:
                found.unreadable.append((path, "a link to nothing" if path.is_symlink() else "no regular file"))
    return links
