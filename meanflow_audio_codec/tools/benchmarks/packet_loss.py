"""Bit rate by packet length, and quality under loss: `python -m meanflow_audio_codec.tools.benchmarks.packet_loss`.

Two Markdown tables. Packets are lost independently of each other, the same ones for every way of replacing them. The
gaps are filled in the tokens of the whole recording, which is then decoded in large windows: what a `StreamingDecoder`
does with gaps that close before it gets to them, many times faster.
"""

import argparse
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from meanflow_audio_codec.codec.codec import Codec
from meanflow_audio_codec.codec.concealment import Concealment
from meanflow_audio_codec.codec.tokens import Tokens
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
    tokens = [codec.analyze(samples, codec.sample_rate) for _, samples in clips]
    systems = []
    for loss in arguments.loss:
        for way in [*ways, SILENCE] if loss else ways[:1]:
            name = "silence" if way is SILENCE else f"fade {way.fade:g}, repeat {way.repeat}"
            pairs = list(_decoded(codec, clips, tokens, loss, way, frames))
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
    tokens = [codec.analyze(samples, codec.sample_rate) for _, samples in clips]
    sys.stdout.write("| frames per packet | payload kbit/s | packets per second |\n| --- | --- | --- |\n")
    for frames in packet_frames:
        payloads = [packet.payload for clip in tokens for packet in codec.encode_packets(clip, frames)]
        bits = 8 * sum(len(payload) for payload in payloads)
        sys.stdout.write(f"| {frames} | {bits / seconds / 1000:.2f} | {len(payloads) / seconds:.2f} |\n")
    sys.stdout.write("\n")
    sys.stdout.flush()


def _decoded(
    codec: Codec, clips: list[Clip], tokens: list[Tokens], loss: float, way: Concealment, frames: int
) -> Iterator[ClipPair]:
    """Every clip, decoded without some of its packets."""
    for number, ((name, samples), (side, codes)) in enumerate(zip(clips, tokens, strict=True)):
        num_packets = -(-codes.shape[1] // frames)
        received = np.random.default_rng((0, number)).random(num_packets) >= loss
        middle = np.asarray(codec.packet_coder.codes.levels, np.int32) // 2
        filled = way.fill(side[0], codes[0], np.repeat(received, frames)[: codes.shape[1]], middle)
        (decoded,) = codec.synthesize(
            Tokens(*(part[None] for part in filled)),
            len(samples),
            codec.sample_rate,
            num_steps=codec.default_num_steps,
            seed=number,
            temperature=codec.default_temperature,
        )
        yield ClipPair(name, samples, decoded, codec.sample_rate)


if __name__ == "__main__":
    main()
