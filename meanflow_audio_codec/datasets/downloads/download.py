"""Large files from the network: continued where they stopped, and checked before they get their name."""

import shutil
from collections.abc import Callable
from http.client import HTTPException
from pathlib import Path
from urllib.request import Request, urlopen

from meanflow_audio_codec.datasets.downloads.byte_progress import byte_progress
from meanflow_audio_codec.datasets.downloads.corpus import Archive
from meanflow_audio_codec.errors import InputError

TIMEOUT = 60.0  # seconds without a byte
PIECE = 2**20  # bytes


def download(archive: Archive, path: Path) -> None:
    """Bring an archive to this path, or check the one that is there already; nothing is ever overwritten.

    Until it is complete and its checksum is right, it has the suffix `.part`. An interrupted download goes on there.

    Raises:
        InputError: no mirror gives it, the disk is too small, or what is there or comes has the wrong checksum.
    """
    if path.exists():
        _check(archive, path, repair=f"delete {path} and download again")
        return
    partial = path.with_name(f"{path.name}.part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        missing, free = archive.size - _size(partial), shutil.disk_usage(path.parent).free
        if missing > free:
            raise InputError(f"{path.name} needs {missing} more bytes, but {path.parent} has {free} free: make room")
        with byte_progress(path.name, _size(partial), archive.size) as advance_to:
            _fetch(archive, partial, advance_to)
        try:
            _check(archive, partial, repair="it was removed, download again")
        except InputError:
            partial.unlink()
            raise
        partial.rename(path)
    except OSError as error:
        raise InputError(
            f"{path} cannot be written ({error.strerror or error}): check the folder and the disk"
        ) from error


def _fetch(archive: Archive, partial: Path, advance_to: Callable[[int], None]) -> None:
    """All bytes that are missing, from one mirror after the other, as long as connections bring any."""
    most, failures = -1, []
    while most < _size(partial) < archive.size:
        most, failures = _size(partial), []
        for url in archive.urls:
            try:
                _receive(url, archive.size, partial, advance_to)
            except (OSError, HTTPException) as error:
                failures.append(f"{url}: {error or type(error).__name__}")
            if _size(partial) >= archive.size:
                return
    if _size(partial) < archive.size:
        reasons = "; ".join(failures) or "connections end early"
        raise InputError(
            f"{archive.file_name} could not be downloaded ({reasons}): {_size(partial)} of {archive.size} bytes"
            f" are kept, run the command again to go on, or put the file into {partial.parent} by other means"
        )


def _receive(url: str, size: int, partial: Path, advance_to: Callable[[int], None]) -> None:
    """Append what this connection brings.

    Raises:
        OSError: it cannot be reached, or offers a file of another size, such as a page that says sorry.
    """
    start = _size(partial)
    request = Request(url, headers={"User-Agent": "meanflow-audio-codec", "Range": f"bytes={start}-"})
    with urlopen(request, timeout=TIMEOUT) as response, partial.open("ab") as file:
        # With status 206 the length is that of the rest; a server that cannot continue sends 200 and the whole.
        if response.status != 206:
            start = 0
        length = response.headers.get("Content-Length", "")
        if not length.isdecimal() or start + int(length) != size:
            held = start + int(length) if length.isdecimal() else "an unknown number of"
            raise OSError(f"holds {held} bytes, not {size}")
        file.truncate(start)
        position = start
        while position < size and (piece := response.read(min(PIECE, size - position))):
            file.write(piece)
            position += len(piece)
            advance_to(position)


def _check(archive: Archive, path: Path, *, repair: str) -> None:
    if _size(path) != archive.size:
        raise InputError(f"{path} has {_size(path)} bytes, not {archive.size}: {repair}")
    actual = archive.checksum_of(path)
    if actual != archive.checksum:
        raise InputError(f"{path} has {actual}, not {archive.checksum}: {repair}")


def _size(path: Path) -> int:
    return path.stat().st_size if path.exists() else 0
