"""`meanflow-codec encode`: audio files to .mfc files."""

import argparse
import json
import sys
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from meanflow_audio_codec.commands.batch import add_jobs, check_jobs, run_batch
from meanflow_audio_codec.commands.file_tasks import FileTask, make_folder_of, plan_tasks, single_task
from meanflow_audio_codec.commands.shared_arguments import add_bitrate, add_force, add_json, add_model, write_bytes
from meanflow_audio_codec.commands.standard_streams import STANDARD_STREAM, opened_input, write_standard_output
from meanflow_audio_codec.errors import InputError

if TYPE_CHECKING:
    from meanflow_audio_codec.codec.codec import Codec
    from meanflow_audio_codec.datasets.audio_files import Recording


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments of this command."""
    parser.add_argument("inputs", type=Path, nargs="+", help="wav, flac, ogg or mp3 files, folders of them, or -")
    parser.add_argument("output", type=Path, help=".mfc file to write, a folder, or -")
    add_model(parser)
    add_bitrate(parser)
    parser.add_argument(
        "--tag", action="append", default=[], metavar="KEY=VALUE", help="keep a text; an empty value removes one"
    )
    add_jobs(parser)
    add_force(parser)
    add_json(parser)


def run(arguments: argparse.Namespace) -> int:
    """Run the command."""
    from meanflow_audio_codec.datasets.audio_files import READABLE_SUFFIXES

    check_jobs(arguments.jobs)
    _given_tags(arguments.tag)
    task = single_task(arguments.inputs, arguments.output, suffix=".mfc", suffixes=(".mfc",), force=arguments.force)
    if task is None:
        plan = plan_tasks(
            arguments.inputs,
            arguments.output,
            input_suffixes=READABLE_SUFFIXES,
            suffix=".mfc",
            force=arguments.force,
        )
        return run_batch(plan, FileEncoder, arguments, "encoded")
    figures = FileEncoder(arguments)(task)
    messages = sys.stderr if task.output == STANDARD_STREAM else sys.stdout
    if arguments.json:
        print(json.dumps(figures), file=messages)
    else:
        rate = figures["bits_per_second"] / 1000
        print(
            f"{task.output}: {figures['file_bytes']} bytes for {figures['seconds']:.2f} s, "
            f"{rate:.2f} kbit/s of payload",
            file=messages,
        )
    return 0


class FileEncoder:
    """Encodes files with one model."""

    def __init__(self, arguments: argparse.Namespace) -> None:
        self._arguments = arguments

    @cached_property
    def _codec(self) -> "Codec":
        from meanflow_audio_codec.codec.codec import Codec

        return Codec.from_pretrained(self._arguments.model)

    def prepare(self) -> None:
        """Load the model."""
        _ = self._codec

    def __call__(self, task: FileTask) -> dict[str, Any]:
        """Encode one file.

        Raises:
            InputError: it cannot be read or is no audio, or the output cannot be written.
        """
        recording = _read(task.input)
        tags = _storable(recording.tags | _given_tags(self._arguments.tag), task.input)
        data = self._codec.encode(recording.audio, recording.sample_rate, bitrate=self._arguments.bitrate, tags=tags)
        if task.output == STANDARD_STREAM:
            write_standard_output(data)
        else:
            make_folder_of(task.output)
            write_bytes(task.output, data)
        seconds = recording.audio.shape[1] / recording.sample_rate
        return {
            "output": str(task.output),
            "model": self._codec.name,
            "seconds": seconds,
            "file_bytes": len(data),
            "bits_per_second": self._codec.bits(data) / seconds,
            "tags": tags,
        }


def _read(path: Path) -> "Recording":
    from meanflow_audio_codec.datasets.audio_files import read_open_recording, read_recording
    from meanflow_audio_codec.datasets.wav_length import repair_wav_length

    if path != STANDARD_STREAM:
        return read_recording(path)
    with opened_input(path) as file:
        repair_wav_length(file)
        return read_open_recording(file, "standard input")


def _given_tags(given: list[str]) -> dict[str, str]:
    """The texts of the options.

    Raises:
        InputError: an option without "=", or a text that cannot be stored.
    """
    from meanflow_audio_codec.codec.container.tags import tag_problem

    tags = {}
    for option in given:
        key, equals, value = option.partition("=")
        if not equals:
            raise InputError(f"--tag {option}: write KEY=VALUE, such as title=Morning")
        problem = tag_problem(key, value or "-")
        if problem is not None:
            raise InputError(f"--tag {option[:60]}: {problem}")
        tags[key] = value
    return tags


def _storable(tags: dict[str, str], source: Path) -> dict[str, str]:
    """Those of a recording's texts that the format can hold; what is left out is told."""
    from meanflow_audio_codec.codec.container.tags import tag_problem

    kept = {}
    for key, value in tags.items():
        if not value:
            continue
        problem = tag_problem(key, value)
        if problem is None:
            kept[key] = value
        else:
            print(f"{source}: left out {problem}", file=sys.stderr)
    return kept
