"""Files that appear complete or not at all."""

import contextlib
import errno
import os
import secrets
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO


@contextmanager
def complete_file(path: Path) -> Iterator[IO[bytes]]:
    """A new file, open for writing and reading, that takes this name once the block ends without an error.

    Until then it has a temporary name of its own in the same folder, and an older file of this name stays what it was.
    The new one has the old one's mode and, where that is allowed, its owner. A symbolic link stays: what it leads to
    is written. Of several writers of one path the last wins. The content is on the disk before the name is.

    Raises:
        OSError: it cannot be written, or is a folder, a pipe or a device.
    """
    target = link_target(path)
    try:
        old = target.stat()
    except FileNotFoundError:
        old = None
    if old is not None and not stat.S_ISREG(old.st_mode):
        # A device or a pipe, which a file must not take the place of.
        raise OSError(errno.EINVAL, "it is no regular file", str(path))
    # A short name: that of the file may be as long as the system allows. The process alone would not do: it may have
    # threads, and containers that share a folder have processes of one number.
    temporary = target.with_name(f".{secrets.token_hex(8)}.{os.getpid()}.tmp")
    # What was private is so from the first byte.
    mode = 0o666 if old is None else 0o600
    flags = os.O_RDWR | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0)
    file = None
    try:  # from here on: a signal may raise as soon as the file is there
        file = os.fdopen(os.open(temporary, flags, mode), "w+b")
        yield file
        file.flush()
        if old is not None:
            _take_over(file.fileno(), old)
        os.fsync(file.fileno())
        file.close()
        temporary.replace(target)
    finally:
        # After an error the file may be one that cannot even be closed in good order.
        with contextlib.suppress(OSError):
            if file is not None:
                file.close()
        with contextlib.suppress(OSError):
            temporary.unlink(missing_ok=True)


def link_target(path: Path) -> Path:
    """Where a file of this name really lies, or would.

    Raises:
        OSError: symbolic links lead in a circle.
    """
    if not path.is_symlink():
        return path
    target = Path(os.path.realpath(path))
    if target.is_symlink():
        raise OSError(errno.ELOOP, os.strerror(errno.ELOOP), str(path))
    return target


def _take_over(descriptor: int, old: os.stat_result) -> None:
    """Give an open file the owner and the mode of an older one."""
    if not hasattr(os, "fchown"):
        return
    new = os.fstat(descriptor)
    if (new.st_uid, new.st_gid) != (old.st_uid, old.st_gid):
        with contextlib.suppress(OSError):  # only the administrator may give files away
            os.fchown(descriptor, old.st_uid, old.st_gid)
    os.fchmod(descriptor, stat.S_IMODE(old.st_mode))


def remove_temporary_files(path: Path, process: int) -> None:
    """Delete what `complete_file` of this path left behind in a process that was killed."""
    with contextlib.suppress(OSError):
        for temporary in link_target(path).parent.glob(f".*.{process}.tmp"):
            temporary.unlink(missing_ok=True)
