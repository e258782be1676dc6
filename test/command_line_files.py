"""Files for the command line to read, good and bad, and what it has made of them."""

from pathlib import Path

import numpy as np
import soundfile
from tiny_models import RATE, other_name_codec, sound, tiny_codec

SECOND = sound(RATE)


def write_files() -> None:
    """Into the working directory."""
    soundfile.write("good.wav", SECOND, RATE)
    Path("text.wav").write_text("Dear diary, this is no audio.\n" * 9)
    Path("empty.wav").write_bytes(b"")
    soundfile.write("none.wav", np.zeros((0, 1)), RATE)
    soundfile.write("nan.wav", np.array([0.0, np.nan, 0.0]), RATE, subtype="FLOAT")
    soundfile.write("integers.wav", 20_000.0 * SECOND, RATE, subtype="FLOAT")
    data = tiny_codec().encode(SECOND, RATE)
    Path("good.mfc").write_bytes(data)
    Path("cut.mfc").write_bytes(data[:-9])
    Path("flipped.mfc").write_bytes(data[:-9] + bytes([data[-9] ^ 4]) + data[-8:])
    Path("newer.mfc").write_bytes(data[:3] + b"\x03" + data[4:])
    Path("older.mfc").write_bytes(data[:3] + b"\x01" + data[4:])
    Path("other.mfc").write_bytes(other_name_codec().encode(SECOND[:10], RATE))
    Path("kept.mfc").write_bytes(b"precious")
    Path("kept.wav").write_bytes(b"precious")
    Path("kept.png").write_bytes(b"precious")
    Path("field.json").write_text('{"training": {"num_stepps": 3}}')
    Path("notes.json").write_text("{not json")


def contents(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}
