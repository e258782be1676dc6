"""`meanflow-codec decode`: .mfc files to audio files."""

import argparse
import io
import json
import sys
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from meanflow_audio_codec.commands.batch import add_jobs, check_jobs, run_batch
from meanflow_audio_codec.commands.file_tasks import FileTask, make_folder_of, plan_tasks, single_task
from meanflow_audio_codec.commands.shared_arguments import add_decoding, add_force, add_json, add_model
from meanflow_audio_codec.commands.standard_streams import STANDARD_STREAM, opened_input, write_standard_output

if TYPE_CHECKING:
    import numpy as np

    from meanflow_audio_codec.codec.codec import Codec


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments of this command."""
    parser.add_argument("inputs", type=Path, nargs="+", help=".mfc files, folders of them, or -")
    parser.add_argument("output", type=Path, help="wav, flac or ogg to write, a folder, or -")
    add_model(parser)
    add_decoding(parser)
    parser.add_argument("--start", type=float, default=0.0, help="first second to decode (default 0)")
    parser.add_argument("--end", type=float, help="second to end at (default: the end of the recording)")
    parser.add_argument(
        "--max-seconds", type=float, default=86_400.0, help="refuse more audio than this (default 86400, a day)"
    )
    parser.add_argument(
        "--format", choices=("wav", "flac", "ogg"), default="wav", help="of outputs in a folder or - (default wav)"
    )
    add_jobs(parser)
    add_force(parser)
    add_json(parser)


def run(arguments: argparse.Namespace) -> int:
    """Run the command."""
    from meanflow_audio_codec.codec.decoding_options import check_decoding_options
    from meanflow_audio_codec.codec.length_limit import check_max_seconds
    from meanflow_audio_codec.datasets.audio_files import WRITABLE_FORMATS

    check_jobs(arguments.jobs)
    suffix = f".{arguments.format}"
    task = single_task(
        arguments.inputs, arguments.output, suffix=suffix, suffixes=tuple(WRITABLE_FORMATS), force=arguments.force
    )
    check_decoding_options(num_steps=arguments.num_steps, temperature=arguments.temperature, seed=arguments.seed)
    check_max_seconds(arguments.max_seconds)
    if task is None:
        plan = plan_tasks(
            arguments.inputs, arguments.output, input_suffixes=(".mfc",), suffix=suffix, force=arguments.force
        )
        return run_batch(plan, FileDecoder, arguments, "decoded")
    figures = FileDecoder(arguments)(task)
    messages = sys.stderr if task.output == STANDARD_STREAM else sys.stdout
    if arguments.json:
        print(json.dumps(figures), file=messages)
    else:
        print(
            f"{task.output}: {figures['seconds']:.2f} s, {figures['channels']} channel(s), {figures['sample_rate']} Hz",
            file=messages,
        )
    return 0


class FileDecoder:
    """Decodes files with one model and one set of options."""

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
        """Decode one file.

        Raises:
            InputError: it is damaged, of another model or too long, or the output cannot be written.
        """
        from meanflow_audio_codec.datasets.audio_files import audio_bytes, read_tags, write_audio

        audio, sample_rate, tags = self._decode(task.input)
        if task.output == STANDARD_STREAM:
            content = audio_bytes(audio, sample_rate, suffix=f".{self._arguments.format}", tags=tags)
            write_standard_output(content)
            written = read_tags(io.BytesIO(content)) if tags else {}
        else:
            make_folder_of(task.output)
            write_audio(task.output, audio, sample_rate, overwrite=self._arguments.force, tags=tags)
            written = read_tags(task.output) if tags else {}
        lost = sorted(tags.keys() - written.keys())
        if lost:
            print(f"{task.output}: its format could not keep the tag(s) {', '.join(lost)}", file=sys.stderr)
        return {
            "output": str(task.output),
            "model": self._codec.name,
            "channels": audio.shape[0],
            "samples": audio.shape[1],
            "sample_rate": sample_rate,
            "seconds": audio.shape[1] / sample_rate,
            "tags": tags,
        }

    def _decode(self, path: Path) -> tuple["np.ndarray", int, dict[str, str]]:
        from meanflow_audio_codec.codec.container import SeekableReader, StreamReader

        options = {name: getattr(self._arguments, name) for name in ("num_steps", "seed", "temperature", "max_seconds")}
        with opened_input(path) as file:
            # Damage is told before any model is loaded: in a part, that of the ends; else that of the whole file.
            if self._arguments.start or self._arguments.end is not None:
                seekable = SeekableReader(file)
                from meanflow_audio_codec.codec.excerpt import decode_excerpt, sample_range

                start, end = self._arguments.start, self._arguments.end
                sample_range(start, end, seekable.trailer.num_samples, seekable.header.sample_rate)
                audio, sample_rate = decode_excerpt(self._codec, seekable, start=start, end=end, **options)
                return audio, sample_rate, seekable.tags
            reader = StreamReader(file)
            reader.check_rest()
            file.seek(0)
            audio, sample_rate = self._codec.decode(file.read(), **options)
            return audio, sample_rate, reader.tags
