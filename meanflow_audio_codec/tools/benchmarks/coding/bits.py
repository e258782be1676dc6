"""Where the bits of a model of several bit rates go, beside the order-0 coding that the project began with.

Command: `python -m meanflow_audio_codec.tools.benchmarks.coding.bits --data-dir DATA`. Every figure is in bit/s of
ideal code length over the recordings of a split, in packets of 10 s.
"""

import argparse
import sys
from collections.abc import Iterable
from pathlib import Path

import jax.numpy as jnp
import numpy as np
from jaxtyping import Float, Int

from meanflow_audio_codec.codec.codec import Codec
from meanflow_audio_codec.codec.entropy_coding.tables import ideal_bits, integer_frequencies
from meanflow_audio_codec.codec.packets import FRAMES_PER_PACKET
from meanflow_audio_codec.datasets.audio.audio_folder import AudioFolder
from meanflow_audio_codec.datasets.data_directory import find_data_directory
from meanflow_audio_codec.errors import InputError
from meanflow_audio_codec.preprocessing.bands import band_edges
from meanflow_audio_codec.preprocessing.mdct import mdct

# Of the scheme that the project began with: a step per band and frame, tables of differences in time, fixed codes.
BASELINE_STEP_DB, BASELINE_BANDS = 4.0, 21
# From the rounding noise of 16-bit audio to louder than a full-scale tone.
BASELINE_RANGE_DB = (-96.3, 30.1)
BASELINE_DIGITS = 30
SILENT_SECONDS = 10


def main() -> None:
    """Print one table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", default="speech-16k")
    parser.add_argument("--data-dir", type=Path, help="folder of the data sets (or set MEANFLOW_DATA_DIR)")
    parser.add_argument("--split", default="test")
    parser.add_argument("--bitrate", type=float, nargs="+", default=[1.5, 3.0, 6.0, 9.0, 12.0])
    arguments = parser.parse_args()
    codec = Codec.from_pretrained(arguments.model)
    coder = codec.packet_coder
    if coder.envelope is None or not codec.pretrained.normalizer.bit_rates:
        raise InputError(f"model {codec.name} has one bit rate: nothing to compare")
    folder = find_data_directory(arguments.data_dir) / "speech"
    clips = _clips(codec, folder, arguments.split)
    seconds = sum(map(len, clips)) / codec.sample_rate
    frames_per_second = codec.frames_per_second
    envelope = order_0_envelope(codec, _clips(codec, folder, "train"), clips) / seconds
    codes = BASELINE_DIGITS * np.log2(5) * frames_per_second
    sys.stdout.write(
        "| what | envelope | detail | codes | together | digits per frame | of uniform | digital silence |\n"
        "| --- | --- | --- | --- | --- | --- | --- | --- |\n"
        f"| order 0: {BASELINE_STEP_DB:g} dB, {BASELINE_DIGITS} digits | {envelope:.0f} | | {codes:.0f} | "
        f"{envelope + codes:.0f} | {BASELINE_DIGITS} | | |\n"
    )
    for bitrate in arguments.bitrate:
        parts = {"envelope": 0.0, "detail": 0.0, "codes": 0.0}
        digits, frames, uniform = 0, 0, 0.0
        for samples in clips:
            tokens = codec.analyze(samples, codec.sample_rate, bitrate=bitrate)
            for first in range(0, tokens.codes.shape[1], FRAMES_PER_PACKET):
                side, values = (part[0, first : first + FRAMES_PER_PACKET] for part in tokens)
                sounding = coder.envelope.sounding(side)
                detail = coder.envelope.detail_cost(side[sounding, -2], int(side[0, -1]))
                kept = coder.envelope.num_digits(side)
                cost = coder.cost(side, values)
                parts["envelope"] += cost["envelope"] - detail
                parts["detail"] += detail
                parts["codes"] += cost["codes"]
                uniform += sum(np.log2(coder.codes.levels[:count]).sum() for count in kept)
                digits, frames = digits + int(kept.sum()), frames + len(side)
        silence = codec.encode(
            np.zeros(SILENT_SECONDS * codec.sample_rate, np.float32), codec.sample_rate, bitrate=bitrate
        )
        rates = {name: bits / seconds for name, bits in parts.items()}
        sys.stdout.write(
            f"| {bitrate:g} kbit/s | {rates['envelope']:.0f} | {rates['detail']:.0f} | {rates['codes']:.0f} | "
            f"{sum(rates.values()):.0f} | {digits / frames:.1f} | {100 * parts['codes'] / max(uniform, 1):.1f} % | "
            f"{codec.bits(silence) / SILENT_SECONDS:.0f} |\n"
        )
        sys.stdout.flush()


def order_0_envelope(
    codec: Codec,
    training: Iterable[Float[np.ndarray, " samples"]],
    clips: Iterable[Float[np.ndarray, " samples"]],
) -> float:
    """Bits of the gain indices of clips under one table per band of differences in time, fitted on other clips."""
    edges = band_edges(codec.num_bins, codec.sample_rate, BASELINE_BANDS)
    lowest, highest = BASELINE_RANGE_DB
    levels = int((highest - lowest) / BASELINE_STEP_DB) + 1
    counts = np.zeros((2, BASELINE_BANDS, 2 * levels - 1), np.int64)
    bands = np.arange(BASELINE_BANDS)

    def gains(coefficients: Float[np.ndarray, "n bins"]) -> Int[np.ndarray, "n s"]:
        energy = np.add.reduceat(coefficients**2, edges[:-1], axis=-1) / np.diff(edges)
        decibels = 10.0 * np.log10(np.maximum(energy, 10.0 ** (lowest / 10.0)))
        return np.clip(np.rint((decibels - lowest) / BASELINE_STEP_DB), 0, levels - 1).astype(np.int32)

    def differences(samples: Float[np.ndarray, " samples"]) -> tuple[Int[np.ndarray, "n s"], Int[np.ndarray, "n s"]]:
        padded = np.pad(samples, (0, -len(samples) % (codec.sample_rate * 4)))
        coefficients = mdct(jnp.asarray(padded), codec.hop_length)
        side = gains(np.asarray(coefficients))[: codec.num_frames(len(samples), codec.sample_rate)]
        change = np.diff(side, axis=0, prepend=0) + levels - 1
        first = (np.arange(len(side)) % FRAMES_PER_PACKET == 0)[:, None] & np.ones_like(side, bool)
        change[first] = side[first] + levels - 1
        return change, first.astype(np.int32)

    for samples in training:
        change, first = differences(samples)
        np.add.at(counts, (first, np.broadcast_to(bands, change.shape), change), 1)
    tables = integer_frequencies(counts)
    bits = 0.0
    for samples in clips:
        change, first = differences(samples)
        rows = tables[first, np.broadcast_to(bands, change.shape)]
        bits += ideal_bits(rows.reshape(-1, rows.shape[-1]), change.ravel())
    return bits


def _clips(codec: Codec, folder: Path, split: str) -> list[Float[np.ndarray, " samples"]]:
    data = AudioFolder(
        folders=(folder,), sample_rate=codec.sample_rate, crop_samples=codec.sample_rate, batch_size=1, split=split
    )
    return [samples for _, samples, _ in data.clips()]


if __name__ == "__main__":
    main()
