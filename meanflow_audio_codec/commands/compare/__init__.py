"""`meanflow-codec compare`: recordings in several versions on one page to listen to."""

import argparse
from pathlib import Path

from meanflow_audio_codec.commands.compare.page_output import PAGE_SUFFIXES, add_open, write_page
from meanflow_audio_codec.commands.shared_arguments import (
    add_force,
    add_json,
    add_metrics,
    add_strict,
    check_output,
)
from meanflow_audio_codec.errors import InputError

DEFAULT_CODECS = ("speech-16k", "speech-16k:temperature=0")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments of this command."""
    parser.add_argument("inputs", type=Path, nargs="+", metavar="FILE", help="audio files")
    parser.add_argument(
        "--codecs",
        nargs="+",
        default=list(DEFAULT_CODECS),
        metavar="CODEC",
        help="NAME[@KBPS][:OPTION=VALUE,...], NAME a model (options temperature, steps, seed), opus (decoder) or lyra; "
        f"or folder[@KBPS]:PATH with files of the same names (default: {' '.join(DEFAULT_CODECS)})",
    )
    parser.add_argument("--output", type=Path, default=Path("comparison.html"), help="default: comparison.html")
    parser.add_argument("--start", type=float, default=0.0, metavar="S", help="of each file, in seconds (default 0)")
    parser.add_argument("--end", type=float, default=float("inf"), metavar="S", help="likewise (default: its end)")
    parser.add_argument("--mono", action="store_true", help="mix each file down to one channel first")
    add_open(parser)
    add_metrics(parser)
    add_strict(parser)
    add_force(parser)
    add_json(parser)


def run(arguments: argparse.Namespace) -> int:
    """Run the command."""
    from meanflow_audio_codec.datasets.audio_files import read_audio
    from meanflow_audio_codec.listening.comparison.codec_choice import parse_choices

    check_output(arguments.output, PAGE_SUFFIXES, arguments.force)
    choices = parse_choices(arguments.codecs)
    if not 0.0 <= arguments.start < arguments.end:
        raise InputError(f"--start must lie in 0 ... --end, not {arguments.start:g} ... {arguments.end:g}")
    names = [path.stem for path in arguments.inputs]
    for number, name in enumerate(names):
        if name in names[:number]:
            raise InputError(f"{arguments.inputs[number]}: another input has the same name; rename one of them")
    sounds = [read_audio(path, strict=arguments.strict) for path in arguments.inputs]
    parts = []
    for path, (audio, rate) in zip(arguments.inputs, sounds, strict=True):
        part = slice(round(arguments.start * rate), round(min(arguments.end * rate, audio.shape[1])))
        if part.start >= part.stop:
            raise InputError(f"{path}: lasts {audio.shape[1] / rate:.2f} s; nothing of it is between --start and --end")
        parts.append(part)

    from meanflow_audio_codec.evaluators.clip_scores import check_metrics
    from meanflow_audio_codec.listening.comparison.coding import Coding
    from meanflow_audio_codec.listening.comparison.comparison_page import comparison_page
    from meanflow_audio_codec.listening.comparison.recordings import scored_recording

    metrics = check_metrics(arguments.metrics.split(","))
    coding = Coding(choices)
    recordings = []
    for name, (audio, rate), part in zip(names, sounds, parts, strict=True):
        versions = coding.versions(name, audio, rate, part=part, mono=arguments.mono)
        recordings.append(scored_recording(name, rate, versions, metrics))
    content = comparison_page(recordings, coding.marks).encode("utf-8", "backslashreplace")
    write_page(arguments.output, content, json_wanted=arguments.json, show=arguments.open)
    return 0
