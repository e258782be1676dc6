"""Where data lies: named by the user, never guessed; and where downloads and packs are kept."""

import os
from pathlib import Path

from meanflow_audio_codec.errors import InputError

DATA_VARIABLE = "MEANFLOW_DATA_DIR"
CACHE_VARIABLE = "MEANFLOW_CACHE_DIR"


def find_data_directory(explicit: Path | None) -> Path:
    """The data directory: the one given, or else the one that MEANFLOW_DATA_DIR names.

    Raises:
        InputError: neither is given, or the folder does not exist.
    """
    from_environment = os.environ.get(DATA_VARIABLE)
    if explicit is None and not from_environment:
        raise InputError(f"no data directory: give --data-dir or set {DATA_VARIABLE}")
    directory = (explicit if explicit is not None else Path(str(from_environment))).expanduser()
    if not directory.is_dir():
        origin = "--data-dir" if explicit is not None else DATA_VARIABLE
        raise InputError(
            f"{directory} (from {origin}) is not a folder: give an existing one by --data-dir or {DATA_VARIABLE}"
        )
    return directory


def cache_directory() -> Path:
    """Folder for downloads and packed audio: MEANFLOW_CACHE_DIR, or the platform's user cache; it may not exist yet."""
    from_environment = os.environ.get(CACHE_VARIABLE)
    if from_environment:
        return Path(from_environment).expanduser()
    import pooch

    return Path(pooch.os_cache("meanflow_audio_codec"))
