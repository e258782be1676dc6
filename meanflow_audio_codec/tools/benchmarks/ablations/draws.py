"""What a model draws: scores, and how much two draws of the same codes differ, by evaluations and temperature.

Command: `python -m meanflow_audio_codec.tools.benchmarks.ablations.draws --data-dir DATA`. Means over recordings of the
validation split, all decoded from the same codes; `--figure FILE.png` also draws spectrograms of the first of them.
With 0 evaluations the noise is taken as it is: what the prior alone makes of the codes. Metrics that hear one file
stand beside what they say of the recordings themselves.
"""

import argparse
import sys
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import NamedTuple

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, PRNGKeyArray

from meanflow_audio_codec.codec.codec import Codec
from meanflow_audio_codec.codec.tokens import Tokens as Integers
from meanflow_audio_codec.configs.data import AudioFolderConfig
from meanflow_audio_codec.datasets.audio.audio_folder import AudioFolder
from meanflow_audio_codec.datasets.base import Dataset
from meanflow_audio_codec.datasets.build import build_dataset
from meanflow_audio_codec.errors import InputError
from meanflow_audio_codec.evaluators.clip_scores import (
    DEFAULT_METRICS,
    METRICS,
    ClipPair,
    ClipScores,
    check_metrics,
    score_clips,
)
from meanflow_audio_codec.evaluators.figures import spectrogram_comparison
from meanflow_audio_codec.inference.pretrained import load_pretrained
from meanflow_audio_codec.models.conditioning import Conditioning
from meanflow_audio_codec.models.methods.base import LossWeight, Method, Metrics, Time, Tokens, VelocityFunction

DECODINGS = ("1:0", "1:0.25", "1:0.5", "1:0.75", "1:1", "4:1")
# Seeds of the two draws of the first recording; the next recording has the next seeds.
SEEDS = (0, 1_000_000)
FIGURE_SECONDS = 4

Signal = Float[np.ndarray, " _"]


class Row(NamedTuple):
    """What one way to decode scores, and the energy of the difference of two draws beside that of one."""

    num_evaluations: int
    temperature: float
    difference_db: float
    scores: dict[str, float]


@dataclass(frozen=True)
class WithoutFlow:
    """A method in place of the model's own: its noise counts as data, whatever the network says."""

    flow: Method

    @property
    def noise_scale(self) -> float:
        """That of the flow."""
        return self.flow.noise_scale

    @property
    def default_num_steps(self) -> int:
        """One: more would change nothing."""
        return 1

    @property
    def default_temperature(self) -> float:
        """That of the flow."""
        return self.flow.default_temperature

    def num_evaluations(self, num_steps: int, *, guided: bool) -> int:
        """None."""
        del num_steps, guided
        return 0

    def loss(
        self, net: VelocityFunction, x: Tokens, conditioning: Conditioning, weight: LossWeight, key: PRNGKeyArray
    ) -> tuple[Float[Array, ""], Metrics]:
        """That of the flow."""
        return self.flow.loss(net, x, conditioning, weight, key)

    def velocity(self, net: VelocityFunction, z: Tokens, r: Time, t: Time, conditioning: Conditioning) -> Tokens:
        """Zero."""
        del net, r, t, conditioning
        return jnp.zeros_like(z)


class Coded(NamedTuple):
    """A recording, its sample rate, and the codes that all its decodings start from."""

    samples: Signal
    sample_rate: int
    tokens: Integers


def coded(codec: Codec, clips: Sequence[Signal], sample_rate: int, bitrate: float) -> list[Coded]:
    """Recordings coded at `bitrate` kbit/s."""
    return [Coded(clip, sample_rate, codec.analyze(clip, sample_rate, bitrate=bitrate)) for clip in clips]


def draw(codec: Codec, each: Coded, num_evaluations: int, temperature: float, seed: int) -> Signal:
    """One decoding of a recording."""
    samples, rate, tokens = each
    drawn = codec.synthesize(tokens, len(samples), rate, num_steps=num_evaluations, temperature=temperature, seed=seed)
    return drawn[0]


def draw_row(
    codec: Codec, recordings: Sequence[Coded], num_evaluations: int, temperature: float, metrics: tuple[str, ...]
) -> Row:
    """Scores of the first of two draws, and their difference."""
    first, second = (
        [draw(codec, each, num_evaluations, temperature, seed + place) for place, each in enumerate(recordings)]
        for seed in SEEDS
    )
    pairs = [
        ClipPair(str(place), each.samples, one, each.sample_rate)
        for place, (each, one) in enumerate(zip(recordings, first, strict=True))
    ]
    scored = score_clips(pairs, metrics)
    differences = [_relative_db(one - other, one) for one, other in zip(first, second, strict=True)]
    scores = {name: mean_score(scored, name) for name in metrics}
    return Row(num_evaluations, temperature, float(np.mean(differences)), scores)


def mean_score(scored: Sequence[ClipScores], name: str) -> float:
    """Mean of a score over the recordings that have it: a silent one has none."""
    values = [each.scores.get(name) for each in scored]
    defined = [value for value in values if value is not None]
    return float(np.mean(defined)) if defined else float("nan")


def _relative_db(difference: Signal, signal: Signal) -> float:
    return float(10.0 * np.log10((np.sum(difference**2) + 1e-12) / (np.sum(signal**2) + 1e-12)))


def format_head(metrics: Sequence[str]) -> str:
    """The first two lines of the table."""
    headings = [f"{METRICS[name].heading} {'↑' if METRICS[name].higher_is_better else '↓'}" for name in metrics]
    columns = ["evaluations", "temperature", "two draws differ by (dB)", *headings]
    return f"| {' | '.join(columns)} |\n{'| --- ' * len(columns)}|"


def format_row(row: Row) -> str:
    """A line of the table."""
    difference = f"{row.difference_db:.1f}" if row.temperature > 0.0 else "not"
    return f"| {row.num_evaluations} | {row.temperature:g} | {difference} | {_format_scores(row.scores)} |"


def format_originals(recordings: Sequence[Coded], metrics: tuple[str, ...]) -> str:
    """A line of what the metrics say of the recordings themselves."""
    pairs = [
        ClipPair(str(place), each.samples, each.samples, each.sample_rate) for place, each in enumerate(recordings)
    ]
    scored = score_clips(pairs, metrics)
    return f"| original | | | {_format_scores({name: mean_score(scored, name) for name in metrics})} |"


def _format_scores(scores: dict[str, float]) -> str:
    return " | ".join(
        f"{value:.{2 if name == 'si_sdr' else 3}f}" if np.isfinite(value) else "" for name, value in scores.items()
    )


def chosen_clips(data: Dataset, count: int) -> tuple[list[Signal], int]:
    """Recordings of a data set, evenly chosen, and their sample rate.

    Raises:
        InputError: the data are no recordings.
    """
    if not isinstance(data, AudioFolder):
        raise InputError("the model was not trained on recordings, so there are none to decode")
    clips = [samples for _, samples, _ in data.clips()]
    count = min(count, len(clips))
    return [clips[place * len(clips) // count] for place in range(count)], data.sample_rate


def _decoding(text: str) -> tuple[int, float]:
    steps, _, temperature = text.partition(":")
    try:
        decoding = int(steps), float(temperature)
    except ValueError:
        raise InputError(f"{text}: write EVALUATIONS:TEMPERATURE, such as 1:0.5") from None
    if decoding[0] < 0 or not 0.0 <= decoding[1] <= 2.0:
        raise InputError(f"{text}: no evaluation or more, and a temperature in 0 ... 2")
    return decoding


def main() -> None:
    """Print one table per bit rate."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", default="speech-16k")
    parser.add_argument("--bitrate", nargs="+", type=float, default=[3.2], help="kbit/s of the codes that are decoded")
    parser.add_argument("--clips", type=int, default=16, help="recordings of the validation split, evenly chosen")
    parser.add_argument("--decodings", nargs="+", metavar="EVALUATIONS:TEMPERATURE", default=list(DECODINGS))
    parser.add_argument("--metrics", default=",".join(DEFAULT_METRICS))
    parser.add_argument("--figure", type=Path, help="spectrograms of the first recording at the first bit rate")
    parser.add_argument("--highest-hz", type=float, help="of the figure (default: half of the sample rate)")
    parser.add_argument("--data-dir", type=Path, help="folder of the data sets (or set MEANFLOW_DATA_DIR)")
    arguments = parser.parse_args()
    if arguments.clips < 1:
        raise InputError(f"--clips must be 1 or more, not {arguments.clips}")
    decodings = [_decoding(text) for text in arguments.decodings]
    config = load_pretrained(arguments.model).config.dataset
    if not isinstance(config, AudioFolderConfig):
        raise InputError(f"model {arguments.model}: was not trained on recordings, so there are none to decode")
    metrics = check_metrics(arguments.metrics.split(","))
    pretrained = load_pretrained(arguments.model)
    codec = Codec(pretrained)
    without_flow = Codec(replace(pretrained, method=WithoutFlow(pretrained.method)))
    data = build_dataset(config, "valid", data_directory=arguments.data_dir, batch_size=1, seed=0)
    clips, rate = chosen_clips(data, arguments.clips)
    for bitrate in arguments.bitrate:
        sys.stdout.write(f"{bitrate:g} kbit/s\n\n{format_head(metrics)}\n")
        recordings = coded(codec, clips, rate, bitrate)
        sys.stdout.write(format_originals(recordings, metrics) + "\n")
        for evaluations, temperature in decodings:
            drawn_by = codec if evaluations else without_flow
            row = draw_row(drawn_by, recordings, max(evaluations, 1), temperature, metrics)
            sys.stdout.write(format_row(row._replace(num_evaluations=evaluations)) + "\n")
            sys.stdout.flush()
        sys.stdout.write("\n")
    if arguments.figure is not None:
        (excerpt,) = coded(codec, [clips[0][: FIGURE_SECONDS * rate]], rate, arguments.bitrate[0])
        drawn = {
            f"{steps} evaluation{'' if steps == 1 else 's'}, temperature {temperature:g}": draw(
                codec if steps else without_flow, excerpt, max(steps, 1), temperature, SEEDS[0]
            )
            for steps, temperature in decodings
        }
        spectrogram_comparison(
            arguments.figure, {"original": excerpt.samples} | drawn, rate, highest_hz=arguments.highest_hz
        )


if __name__ == "__main__":
    main()
