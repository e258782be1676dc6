"""`meanflow-codec data`: list, download or pack data sets."""

import argparse
import dataclasses
import json
import sys
from pathlib import Path

from meanflow_audio_codec.errors import InputError


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments of this command."""
    parser.add_argument("--data-dir", type=Path, help="folder of the data sets (or set MEANFLOW_DATA_DIR)")
    parser.add_argument("--json", action="store_true", help="print JSON instead of a table")
    parser.add_argument("--download", choices=("mnist",), help="fetch a data set into the cache (MEANFLOW_CACHE_DIR)")
    parser.add_argument("--pack", metavar="FOLDER", help="pack a folder below the data directory for training")
    parser.add_argument("--sample-rate", type=int, default=16_000, metavar="HZ", help="of the pack (16000)")
    parser.add_argument("--split", default="train", help="train (default), valid, test, or all: of the pack")
    parser.add_argument(
        "--label-column",
        metavar="COLUMN",
        action="append",
        help="manifest column whose values are the pack's labels; given again, for rows without a value in the first",
    )
    parser.add_argument("--pack-file", type=Path, metavar="FILE", help="where to write the pack, instead of the cache")


def run(arguments: argparse.Namespace) -> int:
    """Run the command; 1 if a data set is damaged."""
    from meanflow_audio_codec.datasets.data_directory import find_data_directory

    if arguments.download:
        from meanflow_audio_codec.datasets.mnist import Mnist, find_mnist

        folder = find_mnist(arguments.data_dir, download=True)
        for split in ("train", "test"):
            Mnist(data_directory=arguments.data_dir, split=split, batch_size=1).batch(0)
        _tell(arguments, {"mnist": str(folder)}, f"MNIST is complete in {folder}")
        return 0
    directory = find_data_directory(arguments.data_dir)
    if arguments.pack:
        return _pack(arguments, directory)
    return _list(arguments, directory)


def _pack(arguments: argparse.Namespace, directory: Path) -> int:
    from meanflow_audio_codec.datasets.audio_folder import AudioFolder

    if arguments.sample_rate < 1:
        raise InputError(f"--sample-rate {arguments.sample_rate}: give a rate in Hz, e.g. 16000")
    dataset = AudioFolder(
        folders=(directory / arguments.pack,),
        sample_rate=arguments.sample_rate,
        crop_samples=1,
        batch_size=1,
        split=arguments.split,
        label_columns=tuple(arguments.label_column or ()),
        pack_file=arguments.pack_file,
    )
    clips, hours = len(dataset.pack.names), len(dataset.pack.samples) / arguments.sample_rate / 3600.0
    _tell(
        arguments,
        {"pack": str(dataset.pack_path), "clips": clips, "hours": hours, "classes": list(dataset.class_names)},
        f"{clips} clips, {hours:.2f} h at {arguments.sample_rate} Hz in {dataset.pack_path}",
    )
    return 0


def _list(arguments: argparse.Namespace, directory: Path) -> int:
    from meanflow_audio_codec.datasets.inventory import inventory

    folders = list(inventory(directory))
    if arguments.json:
        sys.stdout.write(json.dumps([dataclasses.asdict(folder) for folder in folders], indent=2) + "\n")
    elif not folders:
        sys.stdout.write(f"no data sets in {directory}: put folders of audio files, or mnist, into it\n")
    else:
        from rich.console import Console
        from rich.table import Table

        table = Table("name", "kind", "split", "examples", "hours", "sample rates (Hz)", "state")
        for folder in folders:
            splits = list(folder.examples)
            table.add_row(
                folder.name,
                folder.kind,
                "\n".join(splits),
                "\n".join(str(folder.examples[split]) for split in splits),
                "\n".join(f"{folder.hours[split]:.2f}" for split in splits if split in folder.hours),
                "\n".join(map(str, folder.sample_rates)),
                folder.problem or "good",
            )
        Console().print(table)
    return 1 if any(folder.problem for folder in folders) else 0


def _tell(arguments: argparse.Namespace, record: dict, sentence: str) -> None:
    sys.stdout.write((json.dumps(record) if arguments.json else sentence) + "\n")
