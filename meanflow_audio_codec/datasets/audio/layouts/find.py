"""Which layout a file has, by its first bytes."""

from typing import Any

from meanflow_audio_codec.datasets.audio.layouts.flac import flac_layout
from meanflow_audio_codec.datasets.audio.layouts.layout import Layout, read_at, size_of
from meanflow_audio_codec.datasets.audio.layouts.mp3 import mp3_layout, skip_texts
from meanflow_audio_codec.datasets.audio.layouts.ogg import ogg_layout
from meanflow_audio_codec.datasets.audio.layouts.other_formats import other_layout
from meanflow_audio_codec.datasets.audio.layouts.wav import KINDS, wav_layout


def layout_of(file: Any, *, by_header: bool = False) -> Layout:
    """The layout of a seekable file; one of a kind that is not looked into is a single recording.

    With `by_header`, only Ogg is read through: there, the lengths stand at the ends.
    """
    start = read_at(file, 0, 4)
    if start in KINDS:
        return wav_layout(file)
    if start == b"fLaC":
        return flac_layout(file, by_header=by_header)
    if start == b"OggS":
        return ogg_layout(file)
    if start[:3] == b"ID3":
        first = skip_texts(file, 0, size_of(file))
        if read_at(file, first, 4) == b"fLaC":
            return flac_layout(file, first, by_header=by_header)
    if start[:3] == b"ID3" or (start[:1] == b"\xff" and start[1:2] >= b"\xe0"):
        return mp3_layout(file, by_header=by_header)
    return other_layout(file)
