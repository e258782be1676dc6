"""Cells of the study decoded with several numbers of evaluations, scored by metrics that the study leaves out.

Command: `python -m meanflow_audio_codec.tools.benchmarks.ablations.flow_comparison MODEL:1 OTHER:8,32 --data-dir DATA`,
where the models are folders of codec cells for speech, of the same rate. Every system codes the same 4 s of the same
recordings of the test split.
"""

import argparse
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from jaxtyping import Float

from meanflow_audio_codec.configs.data import AudioFolderConfig
from meanflow_audio_codec.datasets.audio.audio_folder import AudioFolder
from meanflow_audio_codec.datasets.data_directory import find_data_directory
from meanflow_audio_codec.errors import InputError
from meanflow_audio_codec.evaluators.clip_scores import ClipPair, check_metrics, score_clips
from meanflow_audio_codec.evaluators.metric_marks import metric_marks
from meanflow_audio_codec.evaluators.score_table import SystemScores, format_markdown
from meanflow_audio_codec.inference.pretrained import load_pretrained
from meanflow_audio_codec.study.scoring.segment_codec import SegmentCodec, fit_side_coder

SECONDS = 4
NUM_TABLE_CLIPS = 100  # training excerpts that the tables of the side information are fitted to


def main() -> None:
    """Print each system's row as soon as it is known, then all of them."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("systems", nargs="+", metavar="MODEL:STEPS", help="model folder and numbers of steps, 8,32")
    parser.add_argument("--data-dir", type=Path, help="folder of the data sets (or set MEANFLOW_DATA_DIR)")
    parser.add_argument("--limit", type=int, default=61)
    parser.add_argument("--metrics", default="lsd,mel,estoi,pesq,visqol")
    arguments = parser.parse_args()
    metrics = check_metrics(arguments.metrics.split(","))
    rows = []
    for system in arguments.systems:
        folder, _, steps = system.rpartition(":")
        if not folder or not all(part.isdigit() and int(part) for part in steps.split(",")):
            raise InputError(f"{system}: write MODEL:STEPS, such as runs/model:8,32")
        for row in _rows(folder, [int(part) for part in steps.split(",")], arguments, metrics):
            sys.stdout.write(format_markdown([row]).splitlines()[2] + "\n")
            sys.stdout.flush()
            rows.append(row)
    sys.stdout.write("\n" + format_markdown(rows))


def _rows(
    folder: str, step_counts: list[int], arguments: argparse.Namespace, metrics: tuple[str, ...]
) -> Iterator[SystemScores]:
    pretrained = load_pretrained(folder)
    config = pretrained.config.dataset
    if not isinstance(config, AudioFolderConfig):
        raise InputError(f"model {folder}: codes no speech")
    training, signals = (
        _excerpts(config, split, arguments.data_dir, count)
        for split, count in (("train", NUM_TABLE_CLIPS), ("test", arguments.limit))
    )
    codec = SegmentCodec(pretrained, fit_side_coder(pretrained, training))
    encoded = codec.encode(signals)
    bits_per_second = 8 * sum(map(len, codec.to_bytes(encoded))) / (len(signals) * SECONDS)
    for num_steps in step_counts:
        temperature = pretrained.method.default_temperature
        decoded = codec.decode(encoded, signals.shape[1:], seed=0, num_steps=num_steps, temperature=temperature)
        evaluations = pretrained.method.num_evaluations(num_steps, guided=False)
        pairs = [
            ClipPair(str(index), one, other, config.sample_rate)
            for index, (one, other) in enumerate(zip(signals, decoded, strict=True))
        ]
        title = f"{pretrained.config.method.kind}, {evaluations} evaluation{'s' if evaluations > 1 else ''}"
        marks = metric_marks(folder, pretrained.config, pretrained.chosen_by)
        yield SystemScores(title, bits_per_second, tuple(score_clips(pairs, metrics)), marks)


def _excerpts(
    config: AudioFolderConfig, split: str, data_directory: Path | None, count: int
) -> Float[np.ndarray, "b samples"]:
    root = find_data_directory(data_directory)
    data = AudioFolder(
        folders=tuple(root / name for name in config.folders),
        sample_rate=config.sample_rate,
        crop_samples=SECONDS * config.sample_rate,
        batch_size=50,
        split=split,
        where=(("sample_rate", str(config.sample_rate)),),
    )
    every = np.concatenate([batch.signal[batch.mask] for batch in data.evaluation()])
    count = min(count, len(every))
    return every[np.arange(count) * len(every) // count]


if __name__ == "__main__":
    main()
