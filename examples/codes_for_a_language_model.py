"""Sound as integers, a first model of them, and back to sound.

python examples/codes_for_a_language_model.py [--bitrate 3] [--output detokenized.wav]

A table of how each digit follows the same digit of the frame before is the smallest model there is of such integers:
its bits per digit are what a language model has to beat.
"""

import argparse

import numpy as np
import soundfile

from meanflow_audio_codec import Codec
from meanflow_audio_codec.datasets.audio.example_recording import example_recording

parser = argparse.ArgumentParser(description="Sound as integers, a first model of them, and back to sound.")
parser.add_argument("--bitrate", type=float, default=3.0, help="kbit/s")
parser.add_argument("--output", default="detokenized.wav")
arguments = parser.parse_args()

codec = Codec.from_pretrained()
tokens = codec.tokenize(example_recording(16_000), 16_000, bitrate=arguments.bitrate)  # int32 (frames, columns)
sizes = np.array(codec.codebook_sizes)
print(f"{tokens.shape[0]} frames of {tokens.shape[1]} integers, {codec.frames_per_second:g} frames per second")

# Digits are the columns with the alphabet of the last one. Those that no frame keeps are constant: nothing to model.
digits = tokens[:, (sizes == sizes[-1]) & (tokens.min(axis=0) < tokens.max(axis=0))]
num_values, half = sizes[-1], len(digits) // 2
train, test = digits[:half], digits[half:]

counts = np.ones((digits.shape[1], num_values, num_values))  # column, digit before, digit; one of each seen already
for column in range(digits.shape[1]):
    np.add.at(counts[column], (train[:-1, column], train[1:, column]), 1)
probabilities = counts / counts.sum(axis=-1, keepdims=True)
columns = np.arange(digits.shape[1])
bits = -np.log2(probabilities[columns, test[:-1], test[1:]])
print(f"{digits.shape[1]} digits that vary; bits per digit on the second half: {bits.mean():.2f}")
print(f"uniform: {np.log2(num_values):.2f}")

sound = codec.detokenize(tokens)  # float32 (samples,), at the model's own rate
soundfile.write(arguments.output, sound, codec.sample_rate)
print(f"wrote {arguments.output}")
