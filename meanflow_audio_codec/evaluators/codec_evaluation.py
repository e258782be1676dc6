"""A codec, and others beside it, over whole recordings with true payload bits."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from functools import partial

import numpy as np
from jaxtyping import Float

from meanflow_audio_codec.codec.codec import Codec
from meanflow_audio_codec.codec.packets import FRAMES_PER_PACKET
from meanflow_audio_codec.evaluators.clip_scores import (
    METRICS,
    ClipPair,
    ClipScores,
    metrics_of_clip,
    reason_of,
    scores_as_they_come,
    without_scores,
)
from meanflow_audio_codec.evaluators.evaluation_clips import Clip
from meanflow_audio_codec.evaluators.metric_marks import MetricMarks
from meanflow_audio_codec.evaluators.peers.lyra import code_with_lyra
from meanflow_audio_codec.evaluators.peers.opus import code_with_opus
from meanflow_audio_codec.evaluators.peers.opus_decoder import OpusDecoder
from meanflow_audio_codec.evaluators.result_file import ResultFile
from meanflow_audio_codec.evaluators.score_table import SystemScores


@dataclass(frozen=True)
class Coded:
    """A clip as a codec gives it back, and the bits that it takes; None where nothing is coded."""

    samples: Float[np.ndarray, " samples"]
    payload_bits: int | None


@dataclass(frozen=True)
class Scoring:
    """Which metrics, how many processes compute them, and on which clips the slow ones: every `slow_every`-th.

    Scores are kept in `results` as they come, and those that it holds already are not computed again.
    """

    metrics: tuple[str, ...]
    jobs: int = 1
    slow_every: int = 1
    results: ResultFile | None = None

    def system(
        self,
        name: str,
        clips: Iterable[Clip],
        sample_rate: int,
        code: Callable[[Clip], Coded],
        *,
        metrics: tuple[str, ...] | None = None,
        marks: MetricMarks | None = None,
    ) -> SystemScores:
        """The scores of one system, in all metrics or in these; `code` gives each clip as the system returns it.

        A clip that cannot be coded has the reason in place of scores, and does not count in the rate.
        """
        clips = list(clips)
        chosen = self.metrics if metrics is None else metrics
        rows = self._kept(name, clips)
        bits: dict[int, int | None] = {}

        def pairs() -> Iterator[tuple[int, ClipPair]]:
            for index, clip in enumerate(clips):
                if index in rows:
                    continue
                problem, coded = clip.problem, None
                if not problem:
                    try:
                        coded = code(clip)
                    except Exception as error:  # one clip must not cost the scores of the others
                        problem = f"not coded: {reason_of(error)}"
                if coded is None:
                    of_clip = metrics_of_clip(index, chosen, self.slow_every)
                    seconds = len(clip.samples) / sample_rate
                    rows[index] = without_scores(clip.name, problem, of_clip, seconds=seconds)
                else:
                    bits[index] = coded.payload_bits
                    yield index, ClipPair(clip.name, clip.samples, coded.samples, sample_rate, clip.transcript)

        with closing(scores_as_they_come(pairs(), chosen, jobs=self.jobs, slow_every=self.slow_every)) as found:
            for index, scores in found:
                rows[index] = replace(scores, payload_bits=bits[index])
                if self.results is not None:
                    self.results.add(name, rows[index])
        return SystemScores(
            name, _rate(rows.values()), tuple(rows[index] for index in range(len(clips))), marks, self.slow_every
        )

    def _kept(self, name: str, clips: Sequence[Clip]) -> dict[int, ClipScores]:
        if self.results is None:
            return {}
        kept = ((index, self.results.scores(name, clip.name)) for index, clip in enumerate(clips))
        return {index: scores for index, scores in kept if scores is not None}


def _rate(rows: Iterable[ClipScores]) -> float | None:
    """Bits per second of the clips that were coded; None if none was."""
    coded = [(row.payload_bits, row.seconds) for row in rows if row.payload_bits is not None]
    return sum(bits for bits, _ in coded) / sum(seconds for _, seconds in coded) if coded else None


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
    return [scoring.system("original", clips, sample_rate, lambda clip: Coded(clip.samples, None), metrics=metrics)]


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
    files: dict[str, bytes] = {}

    def code(clip: Clip, setting: Setting) -> Coded:
        if clip.name not in files:
            files[clip.name] = codec.encode(
                clip.samples, codec.sample_rate, bitrate=bitrate, frames_per_packet=frames_per_packet
            )
        data = files[clip.name]
        decoded, _ = codec.decode(data, num_steps=setting.num_steps, temperature=setting.temperature)
        return Coded(decoded[0], codec.bits(data))

    title = codec.name if bitrate is None else f"{codec.name} at {bitrate:g} kbit/s"
    return [
        scoring.system(
            f"{title}, {setting.title}", clips, codec.sample_rate, partial(code, setting=setting), marks=marks
        )
        for setting in settings
    ]


def evaluate_opus(
    clips: Iterable[Clip],
    sample_rate: int,
    kilobits_per_second: float,
    scoring: Scoring,
    *,
    decoder: OpusDecoder | None = None,
) -> SystemScores:
    """Scores of Opus on the same clips, by the same code: decoded by opusdec, or by libopus 1.5 as `decoder` says."""

    def code(clip: Clip) -> Coded:
        coded = code_with_opus(clip.samples, sample_rate, kilobits_per_second, decoder)
        return Coded(coded.decoded, 8 * coded.payload_bytes)

    rate = f"at {kilobits_per_second:g} kbit/s"
    title = f"Opus {rate}" if decoder is None else f"Opus 1.5 {rate}{decoder.title}"
    return scoring.system(title, clips, sample_rate, code)


def evaluate_lyra(
    clips: Iterable[Clip], sample_rate: int, kilobits_per_second: float, scoring: Scoring
) -> SystemScores:
    """Scores of Lyra V2 on the same clips, by the same code."""

    def code(clip: Clip) -> Coded:
        coded = code_with_lyra(clip.samples, sample_rate, kilobits_per_second)
        return Coded(coded.decoded, coded.payload_bits)

    return scoring.system(f"Lyra V2 at {kilobits_per_second:g} kbit/s", clips, sample_rate, code)
