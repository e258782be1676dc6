"""Bit rate by packet length, and quality under loss: `python -m meanflow_audio_codec.tools.benchmarks.packet_loss`.

Two Markdown tables. Packets are lost independently of each other, the same ones for every way of replacing them.
"""

import argparse
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from meanflow_audio_codec.codec.codec import Codec
from meanflow_audio_codec.codec.concealment import Concealment
from meanflow_audio_codec.codec.packets import Packet
from meanflow_audio_codec.codec.streams import encode_stream
from meanflow_audio_codec.datasets.audio_folder import AudioFolder
from meanflow_audio_codec.evaluators.clip_scores import ClipPair, score_clips
from meanflow_audio_codec.evaluators.score_table import SystemScores, format_markdown

Clip = tuple[str, np.ndarray]
# A gap that fades at once is silent.
SILENCE = Concealment(fade=1_000.0, repeat=0)


def main() -> None:
    """Print both tables, each row as soon as it is known."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path, help="recordings, with a manifest that has the column sample_rate")
    parser.add_argument("--model", default="speech-16k")
    parser.add_argument("--limit", type=int, default=20, help="recordings of the test split, evenly spread")
    parser.add_argument("--packet-frames", type=int, nargs="*", default=[2, 5, 10, 25, 50, 500])
    parser.add_argument("--loss", type=float, nargs="*", default=[0.0, 0.05, 0.1, 0.2])
    parser.add_argument("--frames-per-packet", type=int, default=5, help="in the tests of loss")
    parser.add_argument("--fade", type=float, nargs="+", default=[Concealment.fade])
    parser.add_argument("--repeat", type=int, nargs="+", default=[Concealment.repeat])
    parser.add_argument("--metrics", nargs="+", default=["mel", "estoi", "pesq"])
    parser.add_argument("--split", default="test")
    arguments = parser.parse_args()
    codec = Codec.from_pretrained(arguments.model)
    clips = _clips(codec, arguments.folder, arguments.split, arguments.limit)
    _print_rates(codec, clips, arguments.packet_frames)
    ways = [
        Concealment(fade=fade, repeat=repeat) for fade, repeat in zip(arguments.fade, arguments.repeat, strict=True)
    ]
    frames = arguments.frames_per_packet
    streams = [list(encode_stream(codec, [x], codec.sample_rate, frames_per_packet=frames)) for _, x in clips]
    systems = []
    for loss in arguments.loss:
        for way in [*ways, SILENCE] if loss else ways[:1]:
            name = "silence" if way is SILENCE else f"fade {way.fade:g}, repeat {way.repeat}"
            pairs = list(_decoded(codec, clips, streams, loss, way, frames))
            scores = score_clips(pairs, tuple(arguments.metrics))
            systems.append(SystemScores(f"{100 * loss:g} % lost, {name}" if loss else "none lost", None, tuple(scores)))
            sys.stdout.write(format_markdown(systems[-1:]))
            sys.stdout.flush()
    sys.stdout.write("\n" + format_markdown(systems))


def _clips(codec: Codec, folder: Path, split: str, limit: int) -> list[Clip]:
    """Recordings made at the model's rate, evenly spread over the split."""
    data = AudioFolder(
        folders=(folder,),
        sample_rate=codec.sample_rate,
        crop_samples=codec.sample_rate,
        batch_size=1,
        split=split,
        where=(("sample_rate", str(codec.sample_rate)),),
    )
    clips = [(name, samples) for name, samples, _ in data.clips()]
    count = min(limit, len(clips))
    return [clips[index * len(clips) // count] for index in range(count)]


def _print_rates(codec: Codec, clips: list[Clip], packet_frames: list[int]) -> None:
    """Payload bits per second with packets of each length."""
    seconds = sum(len(samples) for _, samples in clips) / codec.sample_rate
    tokens = [codec.tokenize(samples, codec.sample_rate) for _, samples in clips]
    sys.stdout.write("| frames per packet | payload kbit/s | packets per second |\n| --- | --- | --- |\n")
    for frames in packet_frames:
        payloads = [payload for clip in tokens for payload in codec.encode_packets(clip, frames)]
        bits = 8 * sum(len(payload) for payload in payloads)
        sys.stdout.write(f"| {frames} | {bits / seconds / 1000:.2f} | {len(payloads) / seconds:.2f} |\n")
    sys.stdout.write("\n")
    sys.stdout.flush()


def _decoded(
    codec: Codec, clips: list[Clip], streams: list[list[Packet]], loss: float, way: Concealment, frames: int
) -> Iterator[ClipPair]:
    """Every clip through a decoder that loses packets."""
    for number, ((name, samples), packets) in enumerate(zip(clips, streams, strict=True)):
        lost = np.random.default_rng((0, number)).random(len(packets)) < loss
        decoder = codec.streaming_decoder(frames_per_packet=frames, seed=number, concealment=way)
        blocks = [decoder.push(None if gone else packet) for packet, gone in zip(packets, lost, strict=True)]
        decoded = np.concatenate([*blocks, decoder.finish(len(samples))], axis=1)
        yield ClipPair(name, samples, decoded[0], codec.sample_rate)


if __name__ == "__main__":
    main()
