"""Writes test/golden/*.mfc, the integers they hold and what those of the shipped models sound like:
`python test/write_golden_files.py`.

They must never be written anew: a later format gets files of its own beside them. But those of the shipped models are,
when their weights change before a release.
"""

import sys
import zipfile
from pathlib import Path

import numpy as np
from fixtures.golden_files import GOLDEN, SHIPPED, several_channels, speech_signal, write_golden_audio
from fixtures.tiny_models import scalable_codec, tiny_codec

from meanflow_audio_codec import Codec
from meanflow_audio_codec.codec.container import read_stream
from meanflow_audio_codec.inference.pretrained import load_pretrained


def main() -> None:
    path = GOLDEN / "tiny-version-2.mfc"
    if not path.exists():
        coder = tiny_codec().packet_coder
        data, tokens = several_channels(coder)
        path.write_bytes(data)
        _save(path.with_suffix(".npz"), {**tokens._asdict(), **coder.state()})
    path = GOLDEN / "scalable-version-2.mfc"
    if not path.exists():
        codec = scalable_codec()
        _write(path, codec, codec.encode(speech_signal(), 16_000, bitrate=1.2), codec.packet_coder.state())
    for name in SHIPPED:
        path = GOLDEN / f"{name}-version-2.mfc"
        weights_hash = load_pretrained(name).weights_hash
        current = path.exists() and read_stream(path.read_bytes()).header.weights_hash == weights_hash
        codec = Codec.from_pretrained(name)
        if not current:
            data = codec.encode(speech_signal(), 16_000, tags={"title": "glides"})
            _write(path, codec, data, {})
        if not current or not path.with_suffix(".flac").exists():
            write_golden_audio(name, *codec.decode(path.read_bytes()))


def _write(path: Path, codec: Codec, data: bytes, tables: dict[str, np.ndarray]) -> None:
    stream = read_stream(data)
    tokens = codec.decode_packets(stream.header, stream.packets)
    path.write_bytes(data)
    _save(path.with_suffix(".npz"), {**tokens._asdict(), **tables})
    sys.stdout.write(f"{path.name}: {len(data)} bytes, {tokens.codes.shape[1]} frames\n")


def _save(path: Path, arrays: dict[str, np.ndarray]) -> None:
    """As `numpy.savez_compressed`, but by LZMA, which makes tables a third smaller."""
    with zipfile.ZipFile(path, "w", zipfile.ZIP_LZMA) as archive:
        for name, array in arrays.items():
            with archive.open(f"{name}.npy", "w") as file:
                np.lib.format.write_array(file, np.asarray(array))


if __name__ == "__main__":
    main()
