"""Speed and memory of the codec in a stream: `python -m meanflow_audio_codec.tools.benchmarks.speed.streaming`.

One JSON line per length and packet length: times real time, and the peak memory of a process that only coded. The sound
is a synthetic recording that is repeated, and is never in memory as a whole.
"""

import argparse
import json
import resource
import subprocess
import sys
import time
from collections.abc import Iterator

import numpy as np


def main() -> None:
    """Run every case in a process of its own, since peak memory never falls."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", default="speech-16k")
    parser.add_argument("--minutes", type=float, nargs="+", default=[10.0, 60.0])
    parser.add_argument("--bitrate", type=float, metavar="KBPS", help="kbit/s (default: the model's)")
    parser.add_argument("--frames-per-packet", type=int, nargs="+", help="default: those of a live stream and of files")
    parser.add_argument("--in-this-process", action="store_true", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.in_this_process:
        _measure(arguments.model, arguments.minutes[0], arguments.frames_per_packet[0], arguments.bitrate)
        return
    for minutes in arguments.minutes:
        for frames in arguments.frames_per_packet or _usual_lengths(arguments.model):
            options = ["--model", arguments.model, "--minutes", str(minutes), "--frames-per-packet", str(frames)]
            if arguments.bitrate is not None:
                options += ["--bitrate", str(arguments.bitrate)]
            subprocess.run([sys.executable, "-m", __spec__.name, *options, "--in-this-process"], check=True)


def _usual_lengths(model: str) -> list[int]:
    from meanflow_audio_codec.codec.codec import Codec
    from meanflow_audio_codec.codec.packets import FRAMES_PER_PACKET

    return [Codec.from_pretrained(model).stream_frames_per_packet, FRAMES_PER_PACKET]


def _measure(model: str, minutes: float, frames_per_packet: int, bitrate: float | None) -> None:
    from meanflow_audio_codec.codec.codec import Codec
    from meanflow_audio_codec.codec.files.packet_streams import decode_stream, encode_stream
    from meanflow_audio_codec.datasets.audio.example_recording import example_recording

    codec = Codec.from_pretrained(model)
    rate, recording = codec.sample_rate, example_recording(codec.sample_rate)
    num_samples = round(60.0 * minutes * rate)

    def blocks(remaining: int) -> Iterator[np.ndarray]:
        while remaining > 0:
            yield recording[:remaining]
            remaining -= len(recording)

    def encode(length: int) -> list:
        return list(encode_stream(codec, blocks(length), rate, bitrate=bitrate, frames_per_packet=frames_per_packet))

    def decode(packets: list, length: int) -> int:
        decoded = decode_stream(codec, packets, rate, length, frames_per_packet=frames_per_packet)
        return sum(block.shape[1] for block in decoded)

    # Compiles every window, also the one of recordings that fill no packet.
    long_enough = (frames_per_packet + 1) * codec.sample_rate
    for length in (rate, round(long_enough / codec.frames_per_second)):
        decode(encode(length), length)
    start = time.perf_counter()
    packets = encode(num_samples)
    encoded = time.perf_counter()
    if decode(packets, num_samples) != num_samples:
        raise RuntimeError("samples were lost")
    finished = time.perf_counter()
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    encoder, decoder = (
        make(frames_per_packet=frames_per_packet) for make in (codec.streaming_encoder, codec.streaming_decoder)
    )
    payload_bits = 8 * sum(len(packet.payload) for packet in packets)
    report = {
        "model": codec.name,
        "minutes": minutes,
        "frames_per_packet": frames_per_packet,
        "payload_kbit_per_second": round(payload_bits / (60_000.0 * minutes), 2),
        "latency_ms": round(encoder.latency_ms + decoder.latency_ms, 1),
        "encode_times_real_time": round(60.0 * minutes / (encoded - start), 1),
        "decode_times_real_time": round(60.0 * minutes / (finished - encoded), 1),
        "peak_memory_mib": round(peak / (2**20 if sys.platform == "darwin" else 2**10)),
    }
    sys.stdout.write(json.dumps(report) + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main()
