"""Opus as the reference point: a clip coded by opusenc and decoded by opusdec, of opus-tools, or by libopus 1.5."""

import math
import shutil
import subprocess
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import NamedTuple

import numpy as np
from jaxtyping import Float

from meanflow_audio_codec.datasets.audio_files import read_audio, write_audio
from meanflow_audio_codec.errors import InputError
from meanflow_audio_codec.evaluators.peers.alignment import find_lag, remove_lag
from meanflow_audio_codec.evaluators.peers.ogg import opus_payload_bytes
from meanflow_audio_codec.evaluators.peers.opus_decoder import OpusDecoder
from meanflow_audio_codec.preprocessing.resampling import resample

LOWEST_KILOBITS, HIGHEST_KILOBITS = 6.0, 256.0
DECODED_RATE = 48_000
LARGEST_LAG = 48  # at 48 kHz: 1 ms
# OPUS_SET_BANDWIDTH of libopus, 8 kHz: left alone, the encoder falls back to less, where nothing is enhanced.
WIDE_BAND = ("--set-ctl-int", "4008=1103")


class OpusClip(NamedTuple):
    """A clip after Opus: as long as the original and aligned with it, and the bytes of its audio packets."""

    decoded: Float[np.ndarray, " samples"]
    payload_bytes: int


def find_opus_tools() -> tuple[str, str]:
    """Paths of `opusenc` and `opusdec`.

    Raises:
        InputError: one of them is not installed.
    """
    programs = [shutil.which(name) for name in ("opusenc", "opusdec")]
    if programs[0] is None or programs[1] is None:
        raise InputError("opusenc or opusdec is not installed: install the package opus-tools, or leave Opus out")
    return programs[0], programs[1]


def check_opus_rate(kilobits_per_second: float) -> None:
    """Refuse a rate that Opus does not code at.

    Raises:
        InputError: it is out of range.
    """
    if not LOWEST_KILOBITS <= kilobits_per_second <= HIGHEST_KILOBITS:
        raise InputError(f"Opus codes at 6 to 256 kbit/s, not at {kilobits_per_second:g}: choose a rate in that range")


def code_with_opus(
    samples: Float[np.ndarray, " samples"],
    sample_rate: int,
    kilobits_per_second: float,
    decoder: OpusDecoder | None = None,
) -> OpusClip:
    """Encode at a target rate (variable bit rate, highest complexity, 20 ms frames) and decode again.

    By opusdec; or, after an encoder that is told to keep wide band, by `decoder`. The real rate, from `payload_bytes`,
    differs from the target, most of all below 8 kbit/s.

    Raises:
        InputError: opus-tools, or what runs libopus 1.5, is not installed, the target is out of Opus's range, or a
            program fails.
    """
    check_opus_rate(kilobits_per_second)
    encode, decode = find_opus_tools()
    bandwidth = () if decoder is None else WIDE_BAND
    with TemporaryDirectory() as folder:
        original, coded, decoded = (Path(folder) / name for name in ("original.wav", "coded.opus", "decoded.wav"))
        write_audio(original, samples, sample_rate, overwrite=False)
        target = ("--vbr", "--comp", "10", "--bitrate", f"{kilobits_per_second:g}")
        _run(encode, "--quiet", *target, *bandwidth, original, coded)
        content = coded.read_bytes()
        if decoder is None:
            # Decoded at Opus's own rate, as floats: opusdec's resampler and dither would count as coding error.
            _run(decode, "--quiet", "--float", "--rate", str(DECODED_RATE), coded, decoded)
            audio = read_audio(decoded)[0][0]
        else:
            audio = decoder.decode(content)
    # The decoder drops the encoder's delay but for 2 to 4 samples, early or late, which would cost up to 7 dB of SNR.
    at_decoded_rate = resample(samples, sample_rate, DECODED_RATE)
    lag = find_lag(at_decoded_rate, audio, LARGEST_LAG)
    aligned = _resample_gently(remove_lag(audio, lag, len(at_decoded_rate)), DECODED_RATE, sample_rate)
    return OpusClip(remove_lag(aligned, 0, len(samples)), opus_payload_bytes(content))


def _resample_gently(audio: Float[np.ndarray, " samples"], from_rate: int, to_rate: int) -> np.ndarray:
    """With a soft filter edge: a steep one empties the topmost bins, which cost Opus 0.14 in LSD at 12 kbit/s."""
    from scipy.signal import resample_poly

    divisor = math.gcd(from_rate, to_rate)
    return resample_poly(audio, to_rate // divisor, from_rate // divisor).astype(np.float32)


def _run(program: str, *arguments: str | Path) -> None:
    result = subprocess.run([program, *arguments], capture_output=True, text=True, errors="replace", check=False)
    if result.returncode != 0:
        last_line = (result.stderr.strip().splitlines() or ["no message"])[-1]
        raise InputError(
            f"{Path(program).name} failed ({last_line}): check the clip and the installation of opus-tools"
        )
