"""Lyra V2 as a reference point: its published networks (github.com/google/lyra, Apache 2.0), run by LiteRT.

Frames of 20 ms at 16 kHz; a quantiser of 46 stages of 4 bits, of which a rate uses the first 16, 30 or 46. There is no
container: the bits of the codes are the payload. The decoded signal is not late.
"""

import importlib
import math
import os
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Float

from meanflow_audio_codec.errors import InputError
from meanflow_audio_codec.preprocessing.resampling import resample

SAMPLE_RATE = 16_000
HOP_LENGTH = 320
NUM_STAGES, BITS_PER_STAGE = 46, 4
FOLDER_VARIABLE = "LYRA_DIR"
FILES = ("soundstream_encoder.tflite", "quantizer.tflite", "lyragan.tflite")


class LyraClip(NamedTuple):
    """A clip after Lyra, as long as the original, and the bits of its codes."""

    decoded: Float[np.ndarray, " samples"]
    payload_bits: int


class LyraNetworks(NamedTuple):
    """Interpreters of its three networks; encoder and decoder carry state from frame to frame."""

    encoder: Any
    quantizer: Any
    decoder: Any


def find_lyra() -> None:
    """Check that Lyra can be run.

    Raises:
        InputError: LiteRT is not installed, or the folder that LYRA_DIR names lacks a file.
    """
    load_lyra()


def load_lyra() -> LyraNetworks:
    """The networks in the folder that LYRA_DIR names, as they are before a first frame.

    Raises:
        InputError: as `find_lyra`.
    """
    folder = Path(os.environ.get(FOLDER_VARIABLE, ""))
    missing = [name for name in FILES if not (folder / name).is_file()]
    if FOLDER_VARIABLE not in os.environ or missing:
        raise InputError(
            f"Lyra needs {', '.join(missing) or 'its networks'}: set {FOLDER_VARIABLE} to the folder model_coeffs of "
            "github.com/google/lyra"
        )
    try:
        interpreter = importlib.import_module("ai_edge_litert.interpreter")
    except ImportError:
        raise InputError("Lyra needs the package ai-edge-litert: install the extra visqol, or leave Lyra out") from None
    networks = [interpreter.Interpreter(str(folder / name), num_threads=1) for name in FILES]
    for network in networks:
        network.allocate_tensors()
    return LyraNetworks(*networks)


def stages_of_rate(kilobits_per_second: float) -> int:
    """How many stages of the quantiser a rate is.

    Raises:
        InputError: it is no whole number of them, or more than there are.
    """
    bits_per_frame = kilobits_per_second * 1000 * HOP_LENGTH / SAMPLE_RATE
    stages = round(bits_per_frame / BITS_PER_STAGE) if math.isfinite(bits_per_frame) else 0
    if not 1 <= stages <= NUM_STAGES or abs(stages * BITS_PER_STAGE - bits_per_frame) > 1e-6:
        raise InputError(f"Lyra codes at multiples of 0.2 up to 9.2 kbit/s, not at {kilobits_per_second:g}")
    return stages


def code_with_lyra(samples: Float[np.ndarray, " samples"], sample_rate: int, kilobits_per_second: float) -> LyraClip:
    """Encode and decode at a rate of whole stages: 0.2 kbit/s each.

    Raises:
        InputError: as `find_lyra`, or the rate is no whole number of stages.
    """
    stages = stages_of_rate(kilobits_per_second)
    # Loaded for each clip, in 12 ms: their state is in resource variables, which `reset_all_variables` leaves alone.
    encoder, quantizer, decoder = load_lyra()
    quantize, dequantize = (quantizer.get_signature_runner(name) for name in ("encode", "decode"))
    own = resample(samples, sample_rate, SAMPLE_RATE)
    frames = np.pad(own, (0, -len(own) % HOP_LENGTH)).reshape(-1, 1, HOP_LENGTH).astype(np.float32)
    output = np.empty(frames.size, np.float32)
    for index, frame in enumerate(frames):
        features = _apply(encoder, frame)
        codes = quantize(input_frames=features, num_quantizers=np.int32(stages))["output_0"]
        # Stages that are not sent are told by -1.
        kept = np.where(np.arange(NUM_STAGES).reshape(-1, 1, 1) < stages, codes.reshape(NUM_STAGES, 1, 1), -1)
        features = dequantize(encoding_indices=kept.astype(np.int32))["output_0"]
        output[index * HOP_LENGTH :][:HOP_LENGTH] = _apply(decoder, features).reshape(-1)
    decoded = resample(output[: len(own)], SAMPLE_RATE, sample_rate)[: len(samples)]
    decoded = np.pad(decoded, (0, len(samples) - len(decoded)))
    return LyraClip(decoded, stages * BITS_PER_STAGE * len(frames))


def _apply(network: Any, values: np.ndarray) -> np.ndarray:
    network.set_tensor(network.get_input_details()[0]["index"], values)
    network.invoke()
    return network.get_tensor(network.get_output_details()[0]["index"]).copy()
