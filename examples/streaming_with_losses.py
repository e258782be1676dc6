"""A live stream of which packets get lost on the way.

python examples/streaming_with_losses.py [--loss 0.1] [--output received.wav]

The decoder conceals what is missing. Sound leaves it in the pieces that it would play.
"""

import argparse

import numpy as np
import soundfile

from meanflow_audio_codec import Codec
from meanflow_audio_codec.datasets.audio.example_recording import example_recording

parser = argparse.ArgumentParser(description="A live stream of which packets get lost on the way.")
parser.add_argument("--loss", type=float, default=0.1, help="share of the packets that are lost")
parser.add_argument("--model", default="speech-16k-live")
parser.add_argument("--output", default="received.wav")
arguments = parser.parse_args()

RATE = 16_000
codec = Codec.from_pretrained(arguments.model)
encoder = codec.streaming_encoder(sample_rate=RATE, channels=1)
decoder = codec.streaming_decoder(sample_rate=RATE, channels=1)
print(f"latency of encoder and decoder: {encoder.latency_ms + decoder.latency_ms:.0f} ms")

network = np.random.default_rng(0)
num_packets = num_lost = 0
played = []


def transmit(packets: list) -> None:
    """Every packet arrives or is lost; None tells the decoder that the next one will not come."""
    global num_packets, num_lost
    for packet in packets:
        lost = network.random() < arguments.loss
        num_packets, num_lost = num_packets + 1, num_lost + lost
        played.append(decoder.push(None if lost else packet))


microphone = example_recording(RATE)
for start in range(0, len(microphone), 320):  # 20 ms at a time
    transmit(encoder.push(microphone[start : start + 320]))
transmit(encoder.finish())
played.append(decoder.finish())

sound = np.concatenate(played, axis=1)
soundfile.write(arguments.output, sound.T, RATE)
print(f"{num_lost} of {num_packets} packets lost; {sound.shape[1] / RATE:.1f} s played; wrote {arguments.output}")
