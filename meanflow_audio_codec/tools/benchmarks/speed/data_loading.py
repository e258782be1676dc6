"""Speed of making training batches: `python -m meanflow_audio_codec.tools.benchmarks.speed.data_loading`.

A table of the median processor time of a batch and of crops per second of it with each augmentation, from synthetic
recordings in a temporary folder. One thread makes them, as in training.
"""

import argparse
import os
import sys
import time
from dataclasses import replace
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory

import numpy as np

from meanflow_audio_codec.configs.data import AugmentationConfig
from meanflow_audio_codec.datasets.audio.audio_folder import AudioFolder
from meanflow_audio_codec.datasets.audio.recording_writer import to_int16

SPEED, EQUALIZATION = {"speed_range": (0.9, 1.1)}, {"equalization_db": 4.0}
NOISE, CLIPS = {"noise_probability": 1.0}, {"noise_probability": 1.0, "noise_clip_share": 1.0}
KINDS: dict[str, dict | None] = {
    "none": None,
    "playback speed": SPEED,
    "equalization": EQUALIZATION,
    "coloured noise": NOISE,
    "other crops": CLIPS,
    "all, coloured noise": SPEED | EQUALIZATION | NOISE,
}


def main() -> None:
    """Runs the benchmark from the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sample-rate", type=int, default=16_000)
    parser.add_argument("--crop-samples", type=int, default=20_160)
    parser.add_argument("--batch-size", type=int, default=16)
    parser.add_argument("--batches", type=int, default=20)
    arguments = parser.parse_args()
    with TemporaryDirectory() as temporary:
        root = Path(temporary)
        os.environ["MEANFLOW_CACHE_DIR"] = str(root / "cache")
        data = AudioFolder(
            folders=(_recordings(root / "noise", arguments.sample_rate),),
            sample_rate=arguments.sample_rate,
            crop_samples=arguments.crop_samples,
            batch_size=arguments.batch_size,
            split="all",
        )
        sys.stdout.write("| augmentation | ms per batch | crops per second |\n| --- | --- | --- |\n")
        for name, settings in KINDS.items():
            augmentation = None if settings is None else AugmentationConfig(**settings)
            seconds = _seconds_per_batch(replace(data, augmentation=augmentation), arguments.batches)
            sys.stdout.write(f"| {name} | {1e3 * seconds:.1f} | {arguments.batch_size / seconds:.0f} |\n")
            sys.stdout.flush()


def _seconds_per_batch(data: AudioFolder, num_batches: int) -> float:
    data.batch(0)  # opens the pack and loads what is imported when needed
    times = []
    for step in range(num_batches):
        start = time.process_time()
        data.batch(step)
        times.append(time.process_time() - start)
    return median(times)


def _recordings(folder: Path, sample_rate: int) -> Path:
    """Ten recordings of ten seconds of noise."""
    import soundfile

    folder.mkdir(parents=True)
    random = np.random.default_rng(0)
    for number in range(10):
        noise = (0.1 * random.standard_normal(10 * sample_rate)).astype(np.float32)
        soundfile.write(folder / f"{number}.wav", to_int16(noise), sample_rate, subtype="PCM_16")
    return folder


if __name__ == "__main__":
    main()
