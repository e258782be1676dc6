"""`meanflow-codec demo`: encode and decode an example or your files, and show what came out."""

import argparse
import json
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from meanflow_audio_codec.commands.shared_arguments import (
    add_bitrate,
    add_force,
    add_json,
    add_metrics,
    add_model,
    add_strict,
    check_output,
    write_bytes,
)
from meanflow_audio_codec.errors import InputError

if TYPE_CHECKING:
    import numpy as np

    from meanflow_audio_codec.codec.codec import Codec
    from meanflow_audio_codec.evaluators.metric_marks import MetricMarks


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments of this command."""
    parser.add_argument("inputs", type=Path, nargs="*", help="audio files (default: a built-in example recording)")
    parser.add_argument("--output-dir", type=Path, default=Path("meanflow-demo"), help="default: meanflow-demo")
    add_model(parser)
    add_bitrate(parser)
    parser.add_argument("--num-steps", type=int, default=1, help="network evaluations (default 1)")
    parser.add_argument("--temperature", type=float, help="of the first decoding (default: the model's)")
    parser.add_argument("--seed", type=int, help="of the decoder's noise (default: the file's)")
    add_metrics(parser)
    add_strict(parser)
    add_force(parser)
    add_json(parser)


def run(arguments: argparse.Namespace) -> int:
    """Run the command."""
    from meanflow_audio_codec.datasets.audio.example_recording import example_recording
    from meanflow_audio_codec.datasets.audio_files import read_audio
    from meanflow_audio_codec.inference.decoding_options import check_decoding_options

    recordings: dict[str, tuple[np.ndarray, int]] = {}
    for path in arguments.inputs:
        if path.stem in recordings:
            raise InputError(f"{path}: another input has the same name; run the demo once for each")
        recordings[path.stem] = read_audio(path, strict=arguments.strict)
    if not recordings:
        recordings["example"] = (example_recording(16_000)[None], 16_000)
    for name in recordings:
        for output in _outputs(arguments.output_dir, name).values():
            # A folder that is yet to be made holds nothing, but its names may be too long already.
            exists = arguments.output_dir.exists()
            check_output(output if exists else Path(output.name), (output.suffix,), arguments.force or not exists)
    check_decoding_options(num_steps=arguments.num_steps, temperature=arguments.temperature, seed=arguments.seed)

    from meanflow_audio_codec.codec.codec import Codec
    from meanflow_audio_codec.evaluators.clip_scores import check_metrics
    from meanflow_audio_codec.evaluators.metric_marks import explain_marks, metric_marks
    from meanflow_audio_codec.inference.pretrained import load_pretrained

    metrics = check_metrics(arguments.metrics.split(","))
    pretrained = load_pretrained(arguments.model)
    codec = Codec(pretrained)
    marks = metric_marks(pretrained.name, pretrained.config, pretrained.chosen_by)
    reports = [_run_one(codec, name, *recordings[name], metrics, marks, arguments) for name in recordings]
    if arguments.json:
        print(json.dumps(reports))
    else:
        for report in reports:
            _show(report, marks)
        for remark in explain_marks([marks], list(metrics)):
            print(remark)
    return 0


def _outputs(folder: Path, name: str) -> dict[str, Path]:
    """Every file the demo writes for one recording."""
    return {
        "original": folder / f"{name}.original.wav",
        "bytes": folder / f"{name}.mfc",
        "decoded": folder / f"{name}.decoded.wav",
        "temperature 0": folder / f"{name}.temperature0.wav",
        "spectrograms": folder / f"{name}.spectrograms.png",
        "scores": folder / f"{name}.scores.json",
        "page to listen with": folder / f"{name}.html",
    }


def _make_folder(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(f"{folder}: cannot be made ({error.strerror})") from error


def _run_one(
    codec: "Codec",
    name: str,
    audio: "np.ndarray",
    sample_rate: int,
    metrics: tuple[str, ...],
    marks: "MetricMarks",
    arguments: argparse.Namespace,
) -> dict[str, Any]:
    from meanflow_audio_codec.datasets.audio_files import write_audio
    from meanflow_audio_codec.evaluators.clip_scores import METRICS, ClipPair, score_clip
    from meanflow_audio_codec.evaluators.figures import spectrogram_comparison
    from meanflow_audio_codec.listening.comparison.demo_page import demo_page

    outputs = _outputs(arguments.output_dir, name)
    temperature = codec.default_temperature if arguments.temperature is None else arguments.temperature
    seconds = audio.shape[1] / sample_rate
    # The first pass compiles; the second is timed.
    bitrate = arguments.bitrate
    codec.decode(
        codec.encode(audio, sample_rate, bitrate=bitrate), num_steps=arguments.num_steps, temperature=temperature
    )
    start = time.perf_counter()
    data = codec.encode(audio, sample_rate, bitrate=bitrate)
    encoded = time.perf_counter()
    decoded, _ = codec.decode(data, num_steps=arguments.num_steps, seed=arguments.seed, temperature=temperature)
    done = time.perf_counter()
    faithful, _ = codec.decode(data, num_steps=arguments.num_steps, seed=arguments.seed, temperature=0.0)

    _make_folder(arguments.output_dir)
    write_bytes(outputs["bytes"], data)
    for kind, sound in (("original", audio), ("decoded", decoded), ("temperature 0", faithful)):
        write_audio(outputs[kind], sound, sample_rate, overwrite=arguments.force)
    titles = {
        f"{arguments.num_steps} evaluation(s), temperature {temperature:g}": decoded,
        f"{arguments.num_steps} evaluation(s), temperature 0": faithful,
    }
    spectrogram_comparison(
        outputs["spectrograms"],
        {"original": audio[0], **{title: sound[0] for title, sound in titles.items()}},
        sample_rate,
    )
    report = {
        "name": name,
        "model": codec.name,
        "seconds": seconds,
        "channels": len(audio),
        "payload_bits_per_second": codec.bits(data) / seconds,
        "file_bytes": len(data),
        "encode_times_real_time": seconds / (encoded - start),
        "decode_times_real_time": seconds / (done - encoded),
        "scores": {},
        "not_installed": [],
        "files": {kind: str(path) for kind, path in outputs.items()},
    }
    of_original = tuple(metric for metric in metrics if METRICS[metric].of_original)
    for title, sound in (({"original": audio} if of_original else {}) | titles).items():
        chosen = of_original if title == "original" else metrics
        scores = score_clip(ClipPair(name, audio.mean(axis=0), sound.mean(axis=0), sample_rate), chosen)
        report["scores"][title] = scores.scores
        report["not_installed"] = list(scores.missing)
    page = demo_page(
        name,
        sample_rate,
        {"original": audio} | titles,
        report["scores"],
        model=codec.name,
        bits_per_second=report["payload_bits_per_second"],
        marks=marks,
    )
    write_bytes(outputs["page to listen with"], page)
    write_bytes(outputs["scores"], (json.dumps(report, indent=2) + "\n").encode())
    return report


def _show(report: dict[str, Any], marks: "MetricMarks") -> None:
    from rich.console import Console
    from rich.markup import escape
    from rich.table import Table

    from meanflow_audio_codec.evaluators.clip_scores import METRICS
    from meanflow_audio_codec.evaluators.metric_packages import how_to_install

    console = Console()
    console.print(
        f"[bold]{escape(report['name'])}[/bold] ({report['seconds']:.2f} s, {report['channels']} channel(s)) by "
        f"{report['model']}: "
        f"{report['payload_bits_per_second'] / 1000:.2f} kbit/s of payload, {report['file_bytes']} bytes in the file"
    )
    console.print(
        f"encode {report['encode_times_real_time']:.0f} x real time, "
        f"decode {report['decode_times_real_time']:.0f} x real time (warm)"
    )
    metrics = list(list(report["scores"].values())[-1])
    table = Table("decoded with", *(f"{METRICS[metric].heading} {marks.of(metric)}".strip() for metric in metrics))
    for title, scores in report["scores"].items():
        # The original has a score of its own in some metrics only.
        values = (
            "" if m not in scores else "not defined" if scores[m] is None else f"{scores[m]:.3f}" for m in metrics
        )
        table.add_row(title, *values)
    console.print(table)
    for metric in report["not_installed"]:
        console.print(
            f"{metric} was not computed, its package is not installed: {how_to_install(metric)}", markup=False
        )
    for kind, path in report["files"].items():
        console.print(f"{kind}: {path}", soft_wrap=True, markup=False)
