"""`meanflow-codec data`: list, download or pack data sets."""

import argparse
import dataclasses
import json
import sys
from collections import Counter
from pathlib import Path

from meanflow_audio_codec.commands.corpus_list import list_corpora
from meanflow_audio_codec.commands.shared_arguments import add_strict
from meanflow_audio_codec.errors import InputError


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments of this command."""
    parser.add_argument("--data-dir", type=Path, help="folder of the data sets (or set MEANFLOW_DATA_DIR)")
    parser.add_argument("--json", action="store_true", help="print JSON instead of a table")
    parser.add_argument("--corpora", action="store_true", help="list the public corpora that --download knows")
    parser.add_argument(
        "--download",
        metavar="NAME",
        help="mnist, into the cache (MEANFLOW_CACHE_DIR), or a corpus, into the data directory",
    )
    parser.add_argument(
        "--part",
        metavar="PART",
        action="append",
        help="of the corpus to download, instead of its usual ones; repeatable",
    )
    parser.add_argument("--pack", metavar="FOLDER", help="pack a folder below the data directory for training")
    parser.add_argument("--sample-rate", type=int, default=16_000, metavar="HZ", help="of the pack (16000)")
    parser.add_argument("--split", default="train", help="train (default), valid, test, or all: of the pack")
    parser.add_argument(
        "--label-column",
        metavar="COLUMN",
        action="append",
        help="manifest column whose values are the pack's labels; given again, for rows without a value in the first",
    )
    add_strict(parser)
    parser.add_argument("--pack-file", type=Path, metavar="FILE", help="where to write the pack, instead of the cache")


def run(arguments: argparse.Namespace) -> int:
    """Run the command; 1 if a data set is damaged."""
    from meanflow_audio_codec.datasets.data_directory import find_data_directory

    if arguments.part and not arguments.download:
        raise InputError(f"--part {arguments.part[0]}: name the corpus that it is of by --download")
    if arguments.corpora:
        list_corpora(as_json=arguments.json)
        return 0
    if arguments.download == "mnist":
        return _download_mnist(arguments)
    if arguments.download:
        return _download_corpus(arguments)
    directory = find_data_directory(arguments.data_dir)
    if arguments.pack:
        return _pack(arguments, directory)
    return _list(arguments, directory)


def _download_mnist(arguments: argparse.Namespace) -> int:
    from meanflow_audio_codec.datasets.mnist import Mnist, find_mnist

    if arguments.part:
        raise InputError(f"--part {arguments.part[0]}: mnist has no parts, leave it out")
    folder = find_mnist(arguments.data_dir, download=True)
    for split in ("train", "test"):
        Mnist(data_directory=arguments.data_dir, split=split, batch_size=1).batch(0)
    _tell(arguments, {"mnist": str(folder)}, f"MNIST is complete in {folder}")
    return 0


def _download_corpus(arguments: argparse.Namespace) -> int:
    from meanflow_audio_codec.datasets.corpora import corpus_names, find_corpus
    from meanflow_audio_codec.datasets.data_directory import find_data_directory
    from meanflow_audio_codec.datasets.downloads.corpus_folder import install

    if arguments.download not in corpus_names():
        known = ", ".join(["mnist", *corpus_names()])
        raise InputError(f"--download {arguments.download}: no such data set; choose from {known}")
    corpus = find_corpus(arguments.download)
    directory = find_data_directory(arguments.data_dir)
    print(f"{corpus.title}. Licence: {corpus.licence} ({corpus.terms})", file=sys.stderr)
    sources = install(corpus, directory, tuple(arguments.part or corpus.default_parts))
    examples = Counter(source.split for source in sources)
    folder = directory / corpus.name
    _tell(
        arguments,
        {corpus.name: str(folder), "licence": corpus.licence, "examples": examples},
        f"{folder} holds {', '.join(f'{count} recordings for {split}' for split, count in sorted(examples.items()))}",
    )
    return 0


def _pack(arguments: argparse.Namespace, directory: Path) -> int:
    from meanflow_audio_codec.datasets.audio.audio_folder import AudioFolder

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
        strict=arguments.strict,
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

    folders = list(inventory(directory, strict=arguments.strict))
    if arguments.json:
        sys.stdout.write(json.dumps([dataclasses.asdict(folder) for folder in folders], indent=2) + "\n")
    elif not folders:
        sys.stdout.write(f"no data sets in {directory}: put folders of audio files, or mnist, into it\n")
    else:
        from rich.console import Console
        from rich.markup import escape
        from rich.table import Table

        table = Table("name", "kind", "split", "examples", "hours", "sample rates (Hz)", "state")
        for folder in folders:
            splits = list(folder.examples)
            table.add_row(
                escape(folder.name),
                folder.kind,
                escape("\n".join(splits)),
                "\n".join(str(folder.examples[split]) for split in splits),
                "\n".join(f"{folder.hours[split]:.2f}" for split in splits if split in folder.hours),
                "\n".join(map(str, folder.sample_rates)),
                escape(folder.problem or "good"),
            )
        Console().print(table)
    return 1 if any(folder.problem for folder in folders) else 0


def _tell(arguments: argparse.Namespace, record: dict, sentence: str) -> None:
    sys.stdout.write((json.dumps(record) if arguments.json else sentence) + "\n")
