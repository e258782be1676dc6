"""How finely to code the envelope: a bit rate divided between band gains and codes in several ways.

Command: `python -m meanflow_audio_codec.tools.benchmarks.coding.envelope_steps --bitrate 3.2 --steps 15 12 10 8
--data-dir DATA`. The operating point that serves the bit rate is given each step in turn and entropy tables fitted anew
on some of the training recordings; what the envelope takes, rate control takes from the codes. Means over recordings of
the validation split, one evaluation. The networks are those of the model, which were trained at its own steps.
"""

import argparse
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import numpy as np
from jaxtyping import Float

from meanflow_audio_codec.codec.codec import Codec
from meanflow_audio_codec.codec.rate.bit_rate import BitRate
from meanflow_audio_codec.codec.windowed_networks import WindowedNetworks
from meanflow_audio_codec.configs.data import AudioFolderConfig
from meanflow_audio_codec.configs.serialization import from_dict
from meanflow_audio_codec.configs.tokens import BlockGainShapeConfig
from meanflow_audio_codec.datasets.audio.audio_folder import AudioFolder
from meanflow_audio_codec.datasets.audio.audio_sources import parse_conditions
from meanflow_audio_codec.datasets.build import Split, build_dataset
from meanflow_audio_codec.errors import InputError
from meanflow_audio_codec.evaluators.clip_scores import DEFAULT_METRICS, ClipPair, check_metrics, score_clips
from meanflow_audio_codec.inference.pretrained import PretrainedModel, load_pretrained
from meanflow_audio_codec.preprocessing.normalization import build_normalizer
from meanflow_audio_codec.tools.benchmarks.ablations.draws import chosen_clips, mean_score
from meanflow_audio_codec.trainers.export import fit_packet_coder

Signal = Float[np.ndarray, " _"]


class Row(NamedTuple):
    """A step of the envelope in dB, the rate in kbit/s that files have with it, and their mean scores."""

    step_db: float
    kilobits_per_second: float
    scores: dict[str, float]


def with_step(
    pretrained: PretrainedModel, point: int, step_db: float, table_clips: Sequence[Signal]
) -> PretrainedModel:
    """The model with another step at one operating point, and tables fitted on these recordings.

    Raises:
        InputError: the model has one bit rate only, or the step is out of range.
    """
    if not pretrained.normalizer.bit_rates:
        raise InputError(f"model {pretrained.name}: has one bit rate only, so there is nothing to divide")
    values = pretrained.config.model_dump(mode="json")
    values["normalization"]["operating_points"][point]["envelope_step_db"] = step_db
    experiment = from_dict(values, f"--steps {step_db:g}")
    normalizer = build_normalizer(
        experiment.normalization,
        experiment.decoding,
        pretrained.tokenizer.spec,
        pretrained.signal,
        pretrained.normalizer.state(),
    )
    changed = replace(pretrained, config=experiment, normalizer=normalizer)
    return replace(changed, entropy=fit_packet_coder(WindowedNetworks(changed), table_clips).state())


def step_row(
    pretrained: PretrainedModel, clips: Sequence[Signal], sample_rate: int, bitrate: float, metrics: tuple[str, ...]
) -> Row:
    """Rate and scores of a model at one bit rate; the step is that of the operating point that serves it."""
    codec = Codec(pretrained)
    pairs, bits = [], 0.0
    for place, clip in enumerate(clips):
        data = codec.encode(clip, sample_rate, bitrate=bitrate)
        bits += codec.bits(data)
        decoded, _ = codec.decode(data, num_steps=1, seed=0)
        pairs.append(ClipPair(str(place), clip, decoded[0], sample_rate))
    scored = score_clips(pairs, metrics)
    seconds = sum(len(clip) for clip in clips) / sample_rate
    means = {name: mean_score(scored, name) for name in metrics}
    assert isinstance(pretrained.config.normalization, BlockGainShapeConfig)
    point = BitRate(WindowedNetworks(pretrained), bitrate).point
    step = pretrained.config.normalization.operating_points[point].envelope_step_db
    return Row(step, bits / seconds / 1000.0, means)


def format_row(row: Row) -> str:
    """A line of the table."""
    scores = " | ".join(f"{value:.{2 if name == 'si_sdr' else 3}f}" for name, value in row.scores.items())
    return f"| {row.step_db:g} | {row.kilobits_per_second:.2f} | {scores} |"


def main() -> None:
    """Print one table per bit rate."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", default="speech-16k")
    parser.add_argument("--bitrate", nargs="+", type=float, default=[3.2], help="kbit/s")
    parser.add_argument("--steps", nargs="+", type=float, default=[15.0, 12.0, 10.0, 8.0], help="dB")
    parser.add_argument("--only", action="append", default=[], metavar="COLUMN=VALUE", help="rows of the manifest")
    parser.add_argument("--clips", type=int, default=12, help="recordings of the validation split, evenly chosen")
    parser.add_argument("--table-clips", type=int, default=134, help="training recordings that tables are fitted on")
    parser.add_argument("--metrics", default=",".join(DEFAULT_METRICS), help="scores, separated by commas")
    parser.add_argument("--data-dir", type=Path, help="folder of the data sets (or set MEANFLOW_DATA_DIR)")
    arguments = parser.parse_args()
    metrics = check_metrics(arguments.metrics.split(","))
    for name, count in (("--clips", arguments.clips), ("--table-clips", arguments.table_clips)):
        if count < 1:
            raise InputError(f"{name} must be 1 or more, not {count}")
    pretrained = load_pretrained(arguments.model)
    config = pretrained.config.dataset
    if not isinstance(config, AudioFolderConfig):
        raise InputError(f"model {arguments.model}: was not trained on recordings, so there are none to code")

    def recordings(split: Split, count: int) -> tuple[list[Signal], int]:
        data = build_dataset(config, split, data_directory=arguments.data_dir, batch_size=1, seed=0)
        assert isinstance(data, AudioFolder)
        return chosen_clips(replace(data, where=parse_conditions(arguments.only)), count)

    clips, rate = recordings("valid", arguments.clips)
    table_clips, _ = recordings("train", arguments.table_clips)
    header = f"| step (dB) | kbit/s | {' | '.join(metrics)} |"
    for bitrate in arguments.bitrate:
        point = BitRate(WindowedNetworks(pretrained), bitrate).point
        sys.stdout.write(f"{bitrate:g} kbit/s\n\n{header}\n" + "| --- " * (header.count("|") - 1) + "|\n")
        for step in arguments.steps:
            changed = with_step(pretrained, point, step, table_clips)
            sys.stdout.write(format_row(step_row(changed, clips, rate, bitrate, metrics)) + "\n")
            sys.stdout.flush()
        sys.stdout.write("\n")


if __name__ == "__main__":
    main()
