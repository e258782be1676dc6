"""Texts in audio files: title, artist and what else libsndfile knows."""

from collections.abc import Mapping
from typing import Any

from meanflow_audio_codec.datasets.audio.kept_errors import KeptErrors

# As libsndfile calls them; a format that cannot hold one leaves it out.
TAG_NAMES = (
    "title",
    "artist",
    "album",
    "date",
    "genre",
    "comment",
    "copyright",
    "tracknumber",
    "license",
    "software",
)


def tags_of(sound: Any) -> dict[str, str]:
    """The texts of an open `soundfile.SoundFile`."""
    texts = {name: getattr(sound, name) for name in TAG_NAMES}
    return {name: text for name, text in texts.items() if text}


def set_tags(sound: Any, tags: Mapping[str, str]) -> None:
    """Put texts into a `soundfile.SoundFile` that is being written, before its samples; other names are left out."""
    for name in TAG_NAMES:
        if name in tags:
            setattr(sound, name, tags[name])


def read_tags(source: Any) -> dict[str, str]:
    """The texts of a seekable binary file that holds audio."""
    import soundfile

    guard: Any = KeptErrors(source)
    with guard.raised(), soundfile.SoundFile(guard) as sound:
        return tags_of(sound)
