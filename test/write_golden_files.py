"""Writes test/golden/*.mfc and the integers they hold: `python test/write_golden_files.py`.

`tiny-version-2` must never be written anew: a later format gets files of its own beside it. `speech-16k-version-2` only
when the shipped weights change, which makes all older files undecodable in any case.
"""

import sys

import numpy as np
from golden_files import GOLDEN, several_channels, speech_signal
from tiny_models import tiny_codec

from meanflow_audio_codec import Codec
from meanflow_audio_codec.codec.container import read_stream


def main() -> None:
    path = GOLDEN / "tiny-version-2.mfc"
    if not path.exists():
        coder = tiny_codec().packet_coder
        data, tokens = several_channels(coder)
        path.write_bytes(data)
        np.savez_compressed(path.with_suffix(".npz"), **tokens._asdict(), **coder.state())
    codec = Codec.from_pretrained("speech-16k")
    data = codec.encode(speech_signal(), 16_000, tags={"title": "glides"})
    stream = read_stream(data)
    tokens = codec.decode_packets(stream.header, stream.packets)
    path = GOLDEN / "speech-16k-version-2.mfc"
    path.write_bytes(data)
    np.savez_compressed(path.with_suffix(".npz"), **tokens._asdict())
    sys.stdout.write(f"{len(data)} bytes, {tokens.codes.shape[1]} frames\n")


if __name__ == "__main__":
    main()
