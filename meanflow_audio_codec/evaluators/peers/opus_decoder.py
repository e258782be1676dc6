"""Opus as it is today: libopus 1.5's decoder, which can enhance speech by a network (LACE, NoLACE), run by Node.js."""

import os
import shutil
import struct
import subprocess
from enum import Enum
from functools import cache
from pathlib import Path

import numpy as np
from jaxtyping import Float

from meanflow_audio_codec.errors import InputError
from meanflow_audio_codec.evaluators.peers.ogg import last_granule_position, opus_packets

NPM_PACKAGE = "@wasm-audio-decoders/opus-ml"
INSTALL = f"run npm install -g {NPM_PACKAGE}"
PROGRAM = Path(__file__).with_name("opus_decoder.mjs")


class OpusDecoder(Enum):
    """Which network enhances what libopus 1.5 decodes; LACE and NoLACE: arXiv 2307.06610 and 2309.14521."""

    NONE = "none"
    LACE = "lace"
    NOLACE = "nolace"

    @property
    def title(self) -> str:
        """What a table adds to the name of the system."""
        return {"none": "", "lace": " with LACE", "nolace": " with NoLACE"}[self.value]

    def decode(self, content: bytes) -> Float[np.ndarray, " samples"]:
        """The samples at 48 kHz of a mono Ogg Opus file, without the encoder's delay (RFC 7845, section 4).

        Raises:
            InputError: Node.js or its package is not installed, or the file cannot be decoded.
        """
        head, packets = opus_packets(content)
        (pre_skip,) = struct.unpack_from("<H", head, 10)
        message = b"".join(struct.pack("<I", len(packet)) + packet for packet in packets)
        result = subprocess.run(
            [_node(), PROGRAM, self.value], input=message, capture_output=True, check=False, env=_environment()
        )
        if result.returncode != 0:
            lines = [line for line in result.stderr.decode(errors="replace").splitlines() if "Error" in line]
            if any("MODULE_NOT_FOUND" in line or "Cannot find module" in line for line in lines):
                raise InputError(f"libopus 1.5 needs the package {NPM_PACKAGE}: {INSTALL}")
            raise InputError(f"libopus 1.5 failed ({(lines or ['no message'])[0]}): check Node.js and {NPM_PACKAGE}")
        return np.frombuffer(result.stdout, "<f4")[pre_skip : last_granule_position(content)]


def find_opus_decoder() -> None:
    """Check that libopus 1.5 can be run, by decoding nothing.

    Raises:
        InputError: Node.js or its package is not installed.
    """
    result = subprocess.run(
        [_node(), "--eval", f"require.resolve({NPM_PACKAGE!r})"], capture_output=True, check=False, env=_environment()
    )
    if result.returncode != 0:
        raise InputError(f"libopus 1.5 needs the package {NPM_PACKAGE}: {INSTALL}, or leave --opus-decoder out")


def _node() -> str:
    node = shutil.which("node")
    if node is None:
        raise InputError(
            "libopus 1.5 is run by Node.js, which is not installed: install it (18 or newer), then "
            f"{INSTALL}, or leave --opus-decoder out"
        )
    return node


def _environment() -> dict[str, str]:
    """The environment, with the folders of npm packages: this folder's and the global one after those of NODE_PATH."""
    folders = [os.environ.get("NODE_PATH", ""), str(Path.cwd() / "node_modules"), _global_packages()]
    return os.environ | {"NODE_PATH": os.pathsep.join(folder for folder in folders if folder)}


@cache
def _global_packages() -> str:
    npm = shutil.which("npm")
    if npm is None:
        return ""
    return subprocess.run([npm, "root", "--global"], capture_output=True, text=True, check=False).stdout.strip()
