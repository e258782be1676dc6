"""WAV files written into a pipe: their header could not say how long they would become."""

import io
import struct
from typing import Any

_CHUNK = struct.Struct("<4sI")


def repair_wav_length(file: Any) -> None:
    """Give a WAV file, open for reading and writing, the length that its header leaves open by saying 0.

    The other ways of saying so, the largest or a very large size as ffmpeg and sox write, are understood by libsndfile.
    """
    size = file.seek(0, io.SEEK_END)
    file.seek(0)
    start = file.read(12)
    if len(start) == 12 and start[:4] == b"RIFF" and start[8:] == b"WAVE":
        riff_bytes = int.from_bytes(start[4:8], "little")
        position = 12
        while position + _CHUNK.size <= size:
            file.seek(position)
            kind, length = _CHUNK.unpack(file.read(_CHUNK.size))
            position += _CHUNK.size
            if kind == b"data":
                # A file that really has no samples may have other chunks behind, and says how long it is itself.
                if length == 0 and riff_bytes + 8 != size:
                    file.seek(position - 4)
                    file.write(struct.pack("<I", min(size - position, 2**32 - 1)))
                break
            position += length + length % 2
    file.seek(0)
