"""Sound to bytes and back.

python examples/codec_round_trip.py [speech.wav] [--bitrate 6] [--output decoded.wav]

Without a file it takes a recording that comes with the package.
"""

import argparse

import numpy as np
import soundfile

from meanflow_audio_codec import Codec
from meanflow_audio_codec.datasets.audio.example_recording import example_recording

parser = argparse.ArgumentParser(description="Sound to bytes and back.")
parser.add_argument("input", nargs="?")
parser.add_argument("--bitrate", type=float, help="kbit/s; the model's own if left out")
parser.add_argument("--output", default="decoded.wav")
arguments = parser.parse_args()

if arguments.input:
    audio, rate = soundfile.read(arguments.input, dtype="float32", always_2d=True)
    audio = audio.T  # the codec takes (channels, samples)
else:
    audio, rate = example_recording(16_000)[None], 16_000

codec = Codec.from_pretrained()
data = codec.encode(audio, rate, bitrate=arguments.bitrate)  # the content of a .mfc file
decoded, rate = codec.decode(data)  # same rate, channels and length as the input

seconds = audio.shape[1] / rate
print(f"{seconds:.1f} s, {len(data)} bytes, {codec.bits(data) / seconds / 1000:.2f} kbit/s of payload")
print(f"same again when decoded twice: {np.array_equal(decoded, codec.decode(data)[0])}")
soundfile.write(arguments.output, decoded.T, rate)
print(f"wrote {arguments.output}")
