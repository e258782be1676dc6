"""PNG files of one byte per pixel, whose colours stand in a palette: a third of the size of full colour."""

import struct
import zlib

import numpy as np
from jaxtyping import UInt8


def palette_png(pixels: UInt8[np.ndarray, "rows columns"], palette: UInt8[np.ndarray, "256 3"]) -> bytes:
    """A PNG file (ISO/IEC 15948) of these indices into the palette, top row first."""
    rows, columns = pixels.shape
    # Every row begins with the number of its filter: none.
    lines = np.concatenate([np.zeros((rows, 1), np.uint8), pixels], axis=1)
    chunks = (
        (b"IHDR", struct.pack(">IIBBBBB", columns, rows, 8, 3, 0, 0, 0)),  # 8 bits, palette
        (b"PLTE", palette.tobytes()),
        (b"IDAT", zlib.compress(lines.tobytes(), 9)),
        (b"IEND", b""),
    )
    return b"\x89PNG\r\n\x1a\n" + b"".join(_chunk(*chunk) for chunk in chunks)


def _chunk(name: bytes, content: bytes) -> bytes:
    return struct.pack(">I", len(content)) + name + content + struct.pack(">I", zlib.crc32(name + content))
