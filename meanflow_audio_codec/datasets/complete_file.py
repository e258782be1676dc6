"""Files that appear complete or not at all."""

import contextlib
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO


@contextmanager
def complete_file(path: Path) -> Iterator[IO[bytes]]:
    """A new file, open for writing and reading, that takes this name once the block ends without an error.

    Until then it has a temporary name in the same folder, and an older file of this name stays what it was.
    The content is on the disk before the name is.

    Raises:
        OSError: it cannot be written.
    """
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        with temporary.open("w+b") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    finally:
        with contextlib.suppress(OSError):
            temporary.unlink(missing_ok=True)


def remove_temporary_files(folder: Path, process: int) -> None:
    """What `complete_file` of a process that was killed left behind in a folder."""
    for path in folder.glob(f".*.{process}.tmp"):
        with contextlib.suppress(OSError):
            path.unlink(missing_ok=True)
