"""A codec, and Opus beside it, over whole recordings with true payload bits."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from meanflow_audio_codec.codec.codec import Codec
from meanflow_audio_codec.codec.packets import FRAMES_PER_PACKET
from meanflow_audio_codec.evaluators.clip_scores import ClipPair, score_clips
from meanflow_audio_codec.evaluators.peers.lyra import code_with_lyra
from meanflow_audio_codec.evaluators.peers.opus import code_with_opus
from meanflow_audio_codec.evaluators.score_table import SystemScores

NamedClip = tuple[str, Float[np.ndarray, " samples"]]
Coded = tuple[Float[np.ndarray, " samples"], int]


@dataclass(frozen=True)
class Setting:
    """How to decode: network evaluations and temperature."""

    num_steps: int
    temperature: float

    @property
    def title(self) -> str:
        """For the table."""
        return f"{self.num_steps} evaluation{'s' if self.num_steps > 1 else ''}, temperature {self.temperature:g}"


def evaluate_codec(
    codec: Codec,
    clips: Iterable[NamedClip],
    settings: tuple[Setting, ...],
    metrics: tuple[str, ...],
    *,
    bitrate: float | None = None,
    frames_per_packet: int = FRAMES_PER_PACKET,
    jobs: int,
) -> list[SystemScores]:
    """Scores of every setting on clips at the model's sample rate; each clip is encoded once, at `bitrate` kbit/s."""
    clips = list(clips)
    files = [
        codec.encode(samples, codec.sample_rate, bitrate=bitrate, frames_per_packet=frames_per_packet)
        for _, samples in clips
    ]
    bits = sum(codec.bits(data) for data in files)
    seconds = sum(len(samples) for _, samples in clips) / codec.sample_rate

    def pairs(setting: Setting) -> Iterator[ClipPair]:
        for (name, samples), data in zip(clips, files, strict=True):
            decoded, rate = codec.decode(data, num_steps=setting.num_steps, temperature=setting.temperature)
            yield ClipPair(name, samples, decoded[0], rate)

    title = codec.name if bitrate is None else f"{codec.name} at {bitrate:g} kbit/s"
    return [
        SystemScores(
            f"{title}, {setting.title}", bits / seconds, tuple(score_clips(pairs(setting), metrics, jobs=jobs))
        )
        for setting in settings
    ]


def evaluate_opus(
    clips: Iterable[NamedClip], sample_rate: int, kilobits_per_second: float, metrics: tuple[str, ...], *, jobs: int
) -> SystemScores:
    """Scores of Opus on the same clips, by the same code.

    Raises:
        InputError: opus-tools is not installed.
    """

    def code(samples: Float[np.ndarray, " samples"]) -> Coded:
        coded = code_with_opus(samples, sample_rate, kilobits_per_second)
        return coded.decoded, 8 * coded.payload_bytes

    return _evaluate_peer(f"Opus at {kilobits_per_second:g} kbit/s", code, clips, sample_rate, metrics, jobs)


def evaluate_lyra(
    clips: Iterable[NamedClip], sample_rate: int, kilobits_per_second: float, metrics: tuple[str, ...], *, jobs: int
) -> SystemScores:
    """Scores of Lyra V2 on the same clips, by the same code.

    Raises:
        InputError: its networks cannot be run.
    """

    def code(samples: Float[np.ndarray, " samples"]) -> Coded:
        coded = code_with_lyra(samples, sample_rate, kilobits_per_second)
        return coded.decoded, coded.payload_bits

    return _evaluate_peer(f"Lyra V2 at {kilobits_per_second:g} kbit/s", code, clips, sample_rate, metrics, jobs)


def _evaluate_peer(
    title: str,
    code: Callable[[np.ndarray], Coded],
    clips: Iterable[NamedClip],
    sample_rate: int,
    metrics: tuple[str, ...],
    jobs: int,
) -> SystemScores:
    """Scores of another codec; `code` gives the decoded clip and its payload bits."""
    pairs, payload_bits, seconds = [], 0, 0.0
    for name, samples in clips:
        decoded, bits = code(samples)
        payload_bits += bits
        seconds += len(samples) / sample_rate
        pairs.append(ClipPair(name, samples, decoded, sample_rate))
    return SystemScores(title, payload_bits / seconds, tuple(score_clips(pairs, metrics, jobs=jobs)))
