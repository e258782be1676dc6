"""Speed and memory of the codec: `python -m meanflow_audio_codec.tools.benchmarks.speed.codec`.

One JSON line per length: encoding and decoding times real time (warm, shortest of the rounds), and the peak memory of a
process that did nothing else.
"""

import argparse
import json
import resource
import subprocess
import sys
import time


def main() -> None:
    """Run every length in a process of its own, since peak memory never falls."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", default="speech-16k")
    parser.add_argument("--seconds", type=float, nargs="+", default=[60.0, 1800.0])
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--num-steps", type=int, default=1)
    parser.add_argument("--in-this-process", action="store_true", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.in_this_process:
        _measure(arguments.model, arguments.seconds[0], arguments.rounds, arguments.num_steps)
        return
    for seconds in arguments.seconds:
        options = ["--model", arguments.model, "--seconds", str(seconds), "--rounds", str(arguments.rounds)]
        options += ["--num-steps", str(arguments.num_steps), "--in-this-process"]
        subprocess.run([sys.executable, "-m", __spec__.name, *options], check=True)


def _measure(model: str, seconds: float, rounds: int, num_steps: int) -> None:
    import jax
    import numpy as np

    from meanflow_audio_codec.codec.codec import Codec
    from meanflow_audio_codec.datasets.audio.example_recording import example_recording

    codec = Codec.from_pretrained(model)
    audio = np.resize(example_recording(codec.sample_rate), round(seconds * codec.sample_rate))
    codec.decode(codec.encode(audio, codec.sample_rate), num_steps=num_steps)  # compiles
    encode_times, decode_times = [], []
    data = b""
    for _ in range(rounds):
        start = time.perf_counter()
        data = codec.encode(audio, codec.sample_rate)
        encoded = time.perf_counter()
        codec.decode(data, num_steps=num_steps)
        encode_times.append(encoded - start)
        decode_times.append(time.perf_counter() - encoded)
    encode, decode = min(encode_times), min(decode_times)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    sys.stdout.write(
        json.dumps(
            {
                "model": codec.name,
                "seconds": seconds,
                "num_steps": num_steps,
                "device": jax.devices()[0].device_kind,
                "encode_times_real_time": round(seconds / encode, 1),
                "decode_times_real_time": round(seconds / decode, 1),
                "both_times_real_time": round(seconds / (encode + decode), 1),
                "peak_memory_mib": round(peak / (2**20 if sys.platform == "darwin" else 2**10)),
                "payload_bits_per_second": round(codec.bits(data) / seconds, 1),
            }
        )
        + "\n"
    )


if __name__ == "__main__":
    main()
