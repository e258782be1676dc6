"""Bit rate by packet length, and quality under loss.

Command: `python -m meanflow_audio_codec.tools.benchmarks.coding.packet_loss FOLDER`. Two Markdown tables. Packets go
from the live encoder to the live decoder, except for those that are lost: each by itself, or in bursts. The same ones
are lost for every way of replacing them.
"""

import argparse
import sys
from functools import partial
from pathlib import Path
from typing import NamedTuple

import numpy as np
from jaxtyping import Bool

from meanflow_audio_codec.codec.codec import Codec
from meanflow_audio_codec.codec.packets import StreamPacket
from meanflow_audio_codec.codec.streaming.concealment import Concealment
from meanflow_audio_codec.datasets.audio.audio_folder import AudioFolder
from meanflow_audio_codec.evaluators.clip_scores import check_metrics
from meanflow_audio_codec.evaluators.codec_evaluation import Coded, Scoring, evaluate_original
from meanflow_audio_codec.evaluators.evaluation_clips import Clip
from meanflow_audio_codec.evaluators.metric_marks import metric_marks
from meanflow_audio_codec.evaluators.score_table import format_markdown
from meanflow_audio_codec.inference.pretrained import load_pretrained
from meanflow_audio_codec.tools.benchmarks.coding.lost_packets import burst_losses, random_losses

# A gap that fades at once is silent.
SILENCE = Concealment(fade_db=1_000.0, repeat=0)
# Packets of the rows of the first table, in those of a live stream.
LENGTHS = (1, 2, 4, 10, 100)


class Channel(NamedTuple):
    """What packets go through: this share of them is lost, in bursts of this mean length if it is above 0."""

    loss: float
    burst: float

    @property
    def name(self) -> str:
        """What the table calls it."""
        share = f"{100 * self.loss:g} % lost"
        return "none lost" if self.loss == 0 else f"{share} in bursts of {self.burst:g}" if self.burst else share

    def lost(self, num_packets: int, number: int) -> Bool[np.ndarray, " packets"]:
        """The packets of this clip that are lost."""
        rng = np.random.default_rng((0, number))
        if self.burst:
            return burst_losses(num_packets, self.loss, self.burst, rng)
        return random_losses(num_packets, self.loss, rng)


def main() -> None:
    """Print both tables, each row as soon as it is known."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path, help="recordings, with a manifest that has the column sample_rate")
    parser.add_argument("--model", default="speech-16k")
    parser.add_argument("--bitrate", type=float, metavar="KBPS", help="kbit/s (default: the model's)")
    parser.add_argument("--limit", type=int, default=20, help="recordings of the test split, evenly spread")
    parser.add_argument("--packet-frames", type=int, nargs="*", help="of the first table")
    parser.add_argument("--frames-per-packet", type=int, help="in the tests of loss (default: a live stream's)")
    parser.add_argument("--loss", type=float, nargs="*", default=[0.05, 0.1, 0.2])
    parser.add_argument("--burst", type=float, nargs="*", default=[0.0, 3.0], help="mean lengths; 0: independently")
    parser.add_argument("--fade-db", type=float, nargs="+", default=[Concealment.fade_db])
    parser.add_argument("--repeat", type=int, nargs="+", default=[Concealment.repeat])
    parser.add_argument("--metrics", nargs="+", default=["mel", "estoi", "pesq"])
    parser.add_argument("--split", default="test")
    arguments = parser.parse_args()
    scoring = Scoring(check_metrics(arguments.metrics))
    pretrained = load_pretrained(arguments.model)
    codec = Codec(pretrained)
    marks = metric_marks(pretrained.name, pretrained.config, pretrained.chosen_by)
    clips = _clips(codec, arguments.folder, arguments.split, arguments.limit)
    live = codec.stream_frames_per_packet
    lengths = [factor * live for factor in LENGTHS] if arguments.packet_frames is None else arguments.packet_frames
    _print_rates(codec, clips, lengths, arguments.bitrate)
    ways = [
        Concealment(fade_db=fade, repeat=repeat)
        for fade, repeat in zip(arguments.fade_db, arguments.repeat, strict=True)
    ]
    frames = live if arguments.frames_per_packet is None else arguments.frames_per_packet
    streams = [_packets(codec, clip.samples, frames, arguments.bitrate) for clip in clips]
    systems = evaluate_original(clips, codec.sample_rate, scoring)
    channels = [Channel(loss, burst) for burst in arguments.burst for loss in arguments.loss if loss > 0]
    for channel in [Channel(0.0, 0.0), *channels]:
        for way in [*ways, SILENCE] if channel.loss else ways[:1]:
            replaced = "silence" if way is SILENCE else f"fade {way.fade_db:g} dB, repeat {way.repeat}"
            name = f"{channel.name}, {replaced}" if channel.loss else channel.name
            code = partial(_received, codec, clips, streams, channel, way, frames)
            systems.append(scoring.system(name, clips, codec.sample_rate, code, marks=marks))
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
    clips = [Clip(name, samples, row.get("transcript", "")) for name, samples, row in data.clips()]
    count = min(limit, len(clips))
    return [clips[index * len(clips) // count] for index in range(count)]


def _print_rates(codec: Codec, clips: list[Clip], packet_frames: list[int], bitrate: float | None) -> None:
    """Payload bits per second of the same tokens in packets of each length."""
    seconds = sum(len(clip.samples) for clip in clips) / codec.sample_rate
    tokens = [codec.analyze(clip.samples, codec.sample_rate, bitrate=bitrate) for clip in clips]
    sys.stdout.write("| frames per packet | payload kbit/s | packets per second |\n| --- | --- | --- |\n")
    for frames in packet_frames:
        payloads = [packet.payload for clip in tokens for packet in codec.encode_packets(clip, frames)]
        bits = 8 * sum(len(payload) for payload in payloads)
        sys.stdout.write(f"| {frames} | {bits / seconds / 1000:.2f} | {len(payloads) / seconds:.2f} |\n")
    sys.stdout.write("\n")
    sys.stdout.flush()


def _packets(codec: Codec, samples: np.ndarray, frames: int, bitrate: float | None) -> list[StreamPacket]:
    """What the live encoder sends of a clip."""
    encoder = codec.streaming_encoder(bitrate=bitrate, frames_per_packet=frames)
    return encoder.push(samples) + encoder.finish()


def _received(
    codec: Codec,
    clips: list[Clip],
    streams: list[list[StreamPacket]],
    channel: Channel,
    way: Concealment,
    frames: int,
    clip: Clip,
) -> Coded:
    """A clip, decoded live without the packets that were lost."""
    number = next(index for index, each in enumerate(clips) if each is clip)
    packets = streams[number]
    decoder = codec.streaming_decoder(frames_per_packet=frames, seed=number, concealment=way)
    lost = channel.lost(len(packets), number)
    blocks = [decoder.push(None if gone else packet) for packet, gone in zip(packets, lost, strict=True)]
    blocks.append(decoder.finish(len(clip.samples)))
    # A decoder that sees no frames ahead has given some of the silence behind the last packet already.
    return Coded(np.concatenate(blocks, axis=1)[0, : len(clip.samples)], None)


if __name__ == "__main__":
    main()
