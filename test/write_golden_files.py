"""Writes test/golden/*.mfc and the integers they hold: `python test/write_golden_files.py`.

All but `speech-16k-version-2` must never be written anew: a later format gets files of its own beside them. That one
only when the shipped weights change: then keep the old file, with its tables, under a name of its own, as
`speech-16k-first-version-2`, `-second-` and `-third-version-2` were.
"""

import sys
from pathlib import Path

import numpy as np
from golden_files import GOLDEN, several_channels, speech_signal
from tiny_models import scalable_codec, tiny_codec

from meanflow_audio_codec import Codec
from meanflow_audio_codec.codec.container import read_stream


def main() -> None:
    path = GOLDEN / "tiny-version-2.mfc"
    if not path.exists():
        coder = tiny_codec().packet_coder
        data, tokens = several_channels(coder)
        path.write_bytes(data)
        np.savez_compressed(path.with_suffix(".npz"), **tokens._asdict(), **coder.state())
    path = GOLDEN / "scalable-version-2.mfc"
    if not path.exists():
        codec = scalable_codec()
        _write(path, codec, codec.encode(speech_signal(), 16_000, bitrate=1.2), codec.packet_coder.state())
    codec = Codec.from_pretrained("speech-16k")
    data = codec.encode(speech_signal(), 16_000, bitrate=6.0, tags={"title": "glides"})
    _write(GOLDEN / "speech-16k-version-2.mfc", codec, data, {})


def _write(path: Path, codec: Codec, data: bytes, tables: dict[str, np.ndarray]) -> None:
    stream = read_stream(data)
    tokens = codec.decode_packets(stream.header, stream.packets)
    path.write_bytes(data)
    np.savez_compressed(path.with_suffix(".npz"), **tokens._asdict(), **tables)
    sys.stdout.write(f"{path.name}: {len(data)} bytes, {tokens.codes.shape[1]} frames\n")


if __name__ == "__main__":
    main()
