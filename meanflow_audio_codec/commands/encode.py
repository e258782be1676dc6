"""`meanflow-codec encode`: audio files to .mfc files."""

import argparse
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from meanflow_audio_codec.commands.batches.batch import add_jobs, check_jobs, run_batch
from meanflow_audio_codec.commands.batches.codec_worker import CodecWorker
from meanflow_audio_codec.commands.batches.file_tasks import FileTask, make_folder_of, plan_tasks, single_task
from meanflow_audio_codec.commands.batches.recording_progress import recording_progress
from meanflow_audio_codec.commands.shared_arguments import add_bitrate, add_force, add_json, add_model, add_strict
from meanflow_audio_codec.commands.standard_streams import (
    STANDARD_STREAM,
    carries_messages,
    opened_input,
    opened_output,
    tell_figures,
)
from meanflow_audio_codec.datasets.remarks import tell
from meanflow_audio_codec.errors import InputError

if TYPE_CHECKING:
    import numpy as np

    from meanflow_audio_codec.codec.codec import Codec
    from meanflow_audio_codec.codec.files.whole_files import EncodedFile
    from meanflow_audio_codec.datasets.audio.recording_reader import RecordingReader


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments of this command."""
    parser.add_argument("inputs", type=Path, nargs="+", help="wav, flac, ogg or mp3 files, folders of them, or -")
    parser.add_argument("output", type=Path, help=".mfc file to write, a folder, or -")
    add_model(parser)
    add_bitrate(parser)
    parser.add_argument(
        "--tag", action="append", default=[], metavar="KEY=VALUE", help="keep a text; an empty value removes one"
    )
    add_strict(parser)
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
    figures = FileEncoder(arguments, shows_progress=True)(task)
    rate = figures["bits_per_second"] / 1000
    text = f"{task.output}: {figures['file_bytes']} bytes for {figures['seconds']:.2f} s, {rate:.2f} kbit/s of payload"
    tell_figures(task.output, figures if arguments.json else text)
    return 0


class FileEncoder(CodecWorker):
    """Encodes files with one model, in memory that does not grow with them."""

    def __call__(self, task: FileTask) -> dict[str, Any]:
        """Encode one file.

        Raises:
            InputError: it cannot be read or is no audio, or the output cannot be written.
        """
        with _opened(task.input, strict=self.arguments.strict) as recording:
            tags = _storable(recording.tags | _given_tags(self.arguments.tag), task.input)
            if recording.is_floating_point:
                # Only these can hold samples to refuse, which is better told before the work than behind it.
                _check_samples(recording)
            codec = self.codec(self.arguments.model)
            encoded = self._encode(codec, recording, task.output, tags)
        seconds = encoded.num_samples / recording.sample_rate
        return {
            "output": str(task.output),
            "model": codec.name,
            "seconds": seconds,
            "file_bytes": encoded.file_bytes,
            "bits_per_second": encoded.payload_bits / seconds,
            "tags": tags,
        }

    def _encode(
        self, codec: "Codec", recording: "RecordingReader", output: Path, tags: dict[str, str]
    ) -> "EncodedFile":
        from meanflow_audio_codec.codec.files.whole_files import encode_file

        rate = recording.sample_rate
        if carries_messages(output):
            make_folder_of(output)
        with (
            # A length that the file leaves open has no bar.
            recording_progress((recording.num_samples or 0) / rate, shown=self.shows_progress) as advance,
            opened_output(output) as file,
        ):
            blocks = _counted(recording.blocks(), rate, advance)
            return encode_file(codec, blocks, rate, file, bitrate=self.arguments.bitrate, tags=tags)


@contextmanager
def _opened(path: Path, *, strict: bool) -> "Iterator[RecordingReader]":
    from meanflow_audio_codec.datasets.audio.recording_reader import opened_recording

    if path != STANDARD_STREAM:
        with opened_recording(path, str(path), strict=strict) as recording:
            yield recording
        return
    with opened_input(path) as file, opened_recording(file, "standard input", strict=strict) as recording:
        yield recording


def _check_samples(recording: "RecordingReader") -> None:
    """Read all of it for its samples' sizes alone.

    Raises:
        InputError: some are NaN, infinite, or far beyond full scale.
    """
    from meanflow_audio_codec.codec.audio_input import as_channels

    for block in recording.blocks():
        as_channels(block)


def _counted(
    blocks: "Iterable[np.ndarray]", sample_rate: int, advance: Callable[[float], None]
) -> "Iterator[np.ndarray]":
    """The blocks, each told of when the next one is asked for."""
    for block in blocks:
        yield block
        advance(block.shape[1] / sample_rate)


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
            tell(f"{source}: left out {problem}")
    return kept
