"""Chosen files out of an archive: all of them or none, and never outside their folder."""

import os
import shutil
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path, PurePosixPath
from typing import Any

from meanflow_audio_codec.datasets.downloads.byte_progress import byte_progress
from meanflow_audio_codec.errors import InputError


def extract(archive: Path, folder: Path, target_of: Callable[[str], PurePosixPath | None]) -> None:
    """Make a new folder of those members of a .zip or .tar.gz that `target_of` gives a path below it.

    Only contents are taken, so there are no links, devices or permissions in it. It has a temporary name until the last
    file is written; what an interrupted run left under that name is removed.

    Raises:
        InputError: the archive is damaged, holds nothing that was chosen, has a member whose name leads out of the
            folder, or a chosen one that is no file; or the disk is full.
    """
    temporary = folder.with_name(f".{folder.name}.tmp")
    try:
        if temporary.exists():
            shutil.rmtree(temporary)
        temporary.mkdir(parents=True)
        with byte_progress(f"unpacking {archive.name}", 0, archive.stat().st_size) as advance_to:
            for name, member, position in _members(archive):
                # Names that nobody wants too: an archive that holds such a one is not what it is said to be.
                _refuse_way_out(archive, name, temporary / name, temporary)
                target = target_of(name)
                if target is None:
                    continue
                _refuse_way_out(archive, name, temporary / target, temporary)
                if member is None:
                    raise InputError(f"{archive}: {name!r} is no regular file, so the archive is not the published one")
                path = temporary / target
                path.parent.mkdir(parents=True, exist_ok=True)
                with member() as source, path.open("xb") as file:
                    shutil.copyfileobj(source, file, 2**20)
                advance_to(position)
        if not any(temporary.iterdir()):
            raise InputError(f"{archive} holds no recordings of {folder.name}: delete it and download again")
        temporary.rename(folder)
    except (tarfile.TarError, zipfile.BadZipFile, zlib.error, EOFError) as error:
        raise InputError(f"{archive} is damaged ({error}): delete it and download again") from error
    except OSError as error:
        raise InputError(f"{archive} cannot be unpacked to {folder} ({error}): check both and the disk") from error
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def _members(archive: Path) -> Iterator[tuple[str, Callable[[], Any] | None, int]]:
    """Name, opener (None for what is no regular file) and place in the archive of every member but folders."""
    return _in_zip(archive) if archive.suffix == ".zip" else _in_tar(archive)


def _in_zip(archive: Path) -> Iterator[tuple[str, Callable[[], Any] | None, int]]:
    with zipfile.ZipFile(archive) as file:
        for entry in file.infolist():
            if not entry.is_dir():
                yield entry.filename, partial(file.open, entry), entry.header_offset + entry.compress_size


def _in_tar(archive: Path) -> Iterator[tuple[str, Callable[[], Any] | None, int]]:
    with archive.open("rb") as compressed, tarfile.open(fileobj=compressed, mode="r:gz") as file:
        for entry in file:
            if not entry.isdir():
                yield entry.name, partial(file.extractfile, entry) if entry.isreg() else None, compressed.tell()


def _refuse_way_out(archive: Path, name: str, path: Path, folder: Path) -> None:
    if not Path(os.path.abspath(path)).is_relative_to(os.path.abspath(folder)):
        raise InputError(f"{archive}: {name!r} leads out of the folder, so the archive is not the published one")
