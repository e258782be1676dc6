"""`meanflow-codec decode`: .mfc files to audio files."""

import argparse
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from meanflow_audio_codec.commands.batches.batch import add_jobs, check_jobs, run_batch
from meanflow_audio_codec.commands.batches.codec_worker import CodecWorker
from meanflow_audio_codec.commands.batches.file_tasks import FileTask, make_folder_of, plan_tasks, single_task
from meanflow_audio_codec.commands.batches.recording_progress import recording_progress
from meanflow_audio_codec.commands.shared_arguments import add_decoding, add_force, add_json, add_model_of_file
from meanflow_audio_codec.commands.standard_streams import (
    STANDARD_STREAM,
    carries_messages,
    opened_input,
    opened_output,
    tell_figures,
)
from meanflow_audio_codec.datasets.remarks import tell

if TYPE_CHECKING:
    import numpy as np

    from meanflow_audio_codec.codec.codec import Codec
    from meanflow_audio_codec.codec.container import Header
    from meanflow_audio_codec.codec.container.byte_files import SeekableFile


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments of this command."""
    parser.add_argument("inputs", type=Path, nargs="+", help=".mfc files, folders of them, or -")
    parser.add_argument("output", type=Path, help="wav, flac or ogg to write, a folder, or -")
    add_model_of_file(parser)
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
    from meanflow_audio_codec.codec.length_limit import check_max_seconds
    from meanflow_audio_codec.datasets.audio.recording_writer import WRITABLE_FORMATS
    from meanflow_audio_codec.inference.decoding_options import check_decoding_options

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
    figures = FileDecoder(arguments, shows_progress=True)(task)
    text = f"{task.output}: {figures['seconds']:.2f} s, {figures['channels']} channel(s), {figures['sample_rate']} Hz"
    tell_figures(task.output, figures if arguments.json else text)
    return 0


class FileDecoder(CodecWorker):
    """Decodes files with one set of options, in memory that does not grow with them.

    Each is decoded with the built-in model that it names, or all with that of --model.
    """

    def __call__(self, task: FileTask) -> dict[str, Any]:
        """Decode one file.

        Raises:
            InputError: it is damaged, of another model or too long, or the output cannot be written.
        """
        is_part = self.arguments.start or self.arguments.end is not None
        with opened_input(task.input) as file:
            decoded = self._part(file) if is_part else self._whole(file)
            if carries_messages(task.output):
                make_folder_of(task.output)
            written_tags = self._write(decoded, task.output)
        lost = sorted(decoded.tags.keys() - written_tags.keys())
        if lost:
            tell(f"{task.output}: its format could not keep the tag(s) {', '.join(lost)}")
        return {
            "output": str(task.output),
            "model": decoded.model,
            "channels": decoded.channels,
            "samples": decoded.num_samples,
            "sample_rate": decoded.sample_rate,
            "seconds": decoded.num_samples / decoded.sample_rate,
            "tags": decoded.tags,
        }

    @property
    def _options(self) -> dict[str, Any]:
        return {name: getattr(self.arguments, name) for name in ("num_steps", "seed", "temperature", "max_seconds")}

    def _whole(self, file: "SeekableFile") -> "_Decoded":
        """All of a file; any damage is told before a model is loaded."""
        from meanflow_audio_codec.codec.container import CheckedFile

        checked = CheckedFile(file)
        from meanflow_audio_codec.codec.files.whole_files import decode_file

        header = checked.header
        codec = self._codec_of(header)
        blocks = decode_file(codec, checked, **self._options)
        return _Decoded(codec.name, blocks, header.channels, checked.num_samples, header.sample_rate, checked.tags)

    def _part(self, file: "SeekableFile") -> "_Decoded":
        """The part from --start to --end; damage of the file's ends is told before a model is loaded."""
        from meanflow_audio_codec.codec.container import SeekableReader

        reader = SeekableReader(file)
        from meanflow_audio_codec.codec.files.excerpt import decode_excerpt, sample_range

        start, end = self.arguments.start, self.arguments.end
        sample_range(start, end, reader.trailer.num_samples, reader.header.sample_rate)
        codec = self._codec_of(reader.header)
        audio, sample_rate = decode_excerpt(codec, reader, start=start, end=end, **self._options)
        return _Decoded(codec.name, [audio], len(audio), audio.shape[1], sample_rate, reader.tags)

    def _codec_of(self, header: "Header") -> "Codec":
        from meanflow_audio_codec.codec.model_of_file import model_named_by

        return self.codec(self.arguments.model or model_named_by(header))

    def _write(self, decoded: "_Decoded", output: Path) -> dict[str, str]:
        """Write the output, and return the tags that it could keep."""
        from meanflow_audio_codec.datasets.audio.audio_tags import read_tags
        from meanflow_audio_codec.datasets.audio.recording_writer import (
            WRITABLE_FORMATS,
            check_size,
            recording_writer,
        )

        suffix = output.suffix.lower()
        if not carries_messages(output) and suffix not in WRITABLE_FORMATS:
            suffix = f".{self.arguments.format}"
        name = "the audio" if output == STANDARD_STREAM else str(output)
        rate, tags = decoded.sample_rate, decoded.tags
        check_size(name, suffix, decoded.channels, decoded.num_samples)
        with (
            recording_progress(decoded.num_samples / rate, shown=self.shows_progress) as advance,
            opened_output(output) as file,
        ):
            with recording_writer(file, rate, decoded.channels, suffix=suffix, name=name, tags=tags) as writer:
                for block in decoded.blocks:
                    writer.write(block)
                    advance(block.shape[1] / rate)
            file.seek(0)
            return read_tags(file) if tags else {}


class _Decoded(NamedTuple):
    """A recording whose samples are decoded as they are asked for."""

    model: str
    blocks: "Iterable[np.ndarray]"
    channels: int
    num_samples: int
    sample_rate: int
    tags: dict[str, str]
