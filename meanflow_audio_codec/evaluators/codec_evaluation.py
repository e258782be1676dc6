"""A codec, and others beside it, over whole recordings with true payload bits."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from jaxtyping import Float

from meanflow_audio_codec.codec.codec import Codec
from meanflow_audio_codec.codec.packets import FRAMES_PER_PACKET
from meanflow_audio_codec.evaluators.clip_scores import METRICS, ClipPair, score_clips
from meanflow_audio_codec.evaluators.metric_marks import MetricMarks
from meanflow_audio_codec.evaluators.peers.lyra import code_with_lyra
from meanflow_audio_codec.evaluators.peers.opus import code_with_opus
from meanflow_audio_codec.evaluators.peers.opus_decoder import OpusDecoder
from meanflow_audio_codec.evaluators.score_table import SystemScores

Coded = tuple[Float[np.ndarray, " samples"], int]


class Clip(NamedTuple):
    """A recording to be scored, mono; and what is said in it, if that is known."""

    name: str
    samples: Float[np.ndarray, " samples"]
    transcript: str = ""


@dataclass(frozen=True)
class Scoring:
    """Which metrics, how many processes compute them, and on which clips the slow ones: every `slow_every`-th."""

    metrics: tuple[str, ...]
    jobs: int = 1
    slow_every: int = 1

    def system(
        self,
        name: str,
        bits_per_second: float | None,
        pairs: Iterable[ClipPair],
        *,
        metrics: tuple[str, ...] | None = None,
        marks: MetricMarks | None = None,
    ) -> SystemScores:
        """The scores of one system, in all metrics or in these."""
        chosen = self.metrics if metrics is None else metrics
        scores = score_clips(pairs, chosen, jobs=self.jobs, slow_every=self.slow_every)
        return SystemScores(name, bits_per_second, tuple(scores), marks, self.slow_every)


@dataclass(frozen=True)
class Setting:
    """How to decode: network evaluations and temperature."""

    num_steps: int
    temperature: float

    @property
    def title(self) -> str:
        """For the table."""
        return f"{self.num_steps} evaluation{'s' if self.num_steps > 1 else ''}, temperature {self.temperature:g}"


def evaluate_original(clips: Iterable[Clip], sample_rate: int, scoring: Scoring) -> list[SystemScores]:
    """The originals as a system, in the metrics in which they have a score of their own; none without such a metric."""
    metrics = tuple(metric for metric in scoring.metrics if METRICS[metric].of_original)
    if not metrics:
        return []
    pairs = [ClipPair(name, samples, samples, sample_rate, transcript) for name, samples, transcript in clips]
    return [scoring.system("original", None, pairs, metrics=metrics)]


def evaluate_codec(
    codec: Codec,
    clips: Iterable[Clip],
    settings: tuple[Setting, ...],
    scoring: Scoring,
    *,
    bitrate: float | None = None,
    frames_per_packet: int = FRAMES_PER_PACKET,
    marks: MetricMarks | None = None,
) -> list[SystemScores]:
    """Scores of every setting on clips at the model's sample rate; each clip is encoded once, at `bitrate` kbit/s."""
    clips = list(clips)
    files = [
        codec.encode(clip.samples, codec.sample_rate, bitrate=bitrate, frames_per_packet=frames_per_packet)
        for clip in clips
    ]
    bits = sum(codec.bits(data) for data in files)
    seconds = sum(len(clip.samples) for clip in clips) / codec.sample_rate

    def pairs(setting: Setting) -> Iterator[ClipPair]:
        for (name, samples, transcript), data in zip(clips, files, strict=True):
            decoded, rate = codec.decode(data, num_steps=setting.num_steps, temperature=setting.temperature)
            yield ClipPair(name, samples, decoded[0], rate, transcript)

    title = codec.name if bitrate is None else f"{codec.name} at {bitrate:g} kbit/s"
    return [
        scoring.system(f"{title}, {setting.title}", bits / seconds, pairs(setting), marks=marks) for setting in settings
    ]


def evaluate_opus(
    clips: Iterable[Clip],
    sample_rate: int,
    kilobits_per_second: float,
    scoring: Scoring,
    *,
    decoder: OpusDecoder | None = None,
) -> SystemScores:
    """Scores of Opus on the same clips, by the same code: decoded by opusdec, or by libopus 1.5 as `decoder` says.

    Raises:
        InputError: opus-tools is not installed, or what runs libopus 1.5.
    """

    def code(samples: Float[np.ndarray, " samples"]) -> Coded:
        coded = code_with_opus(samples, sample_rate, kilobits_per_second, decoder)
        return coded.decoded, 8 * coded.payload_bytes

    rate = f"at {kilobits_per_second:g} kbit/s"
    title = f"Opus {rate}" if decoder is None else f"Opus 1.5 {rate}{decoder.title}"
    return _evaluate_peer(title, code, clips, sample_rate, scoring)


def evaluate_lyra(
    clips: Iterable[Clip], sample_rate: int, kilobits_per_second: float, scoring: Scoring
) -> SystemScores:
    """Scores of Lyra V2 on the same clips, by the same code.

    Raises:
        InputError: its networks cannot be run.
    """

    def code(samples: Float[np.ndarray, " samples"]) -> Coded:
        coded = code_with_lyra(samples, sample_rate, kilobits_per_second)
        return coded.decoded, coded.payload_bits

    return _evaluate_peer(f"Lyra V2 at {kilobits_per_second:g} kbit/s", code, clips, sample_rate, scoring)


def _evaluate_peer(
    title: str, code: Callable[[np.ndarray], Coded], clips: Iterable[Clip], sample_rate: int, scoring: Scoring
) -> SystemScores:
    """Scores of another codec; `code` gives the decoded clip and its payload bits."""
    pairs, payload_bits, seconds = [], 0, 0.0
    for name, samples, transcript in clips:
        decoded, bits = code(samples)
        payload_bits += bits
        seconds += len(samples) / sample_rate
        pairs.append(ClipPair(name, samples, decoded, sample_rate, transcript))
    return scoring.system(title, payload_bits / seconds, pairs)
