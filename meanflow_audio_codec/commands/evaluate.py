"""`meanflow-codec evaluate`: score a codec on recordings, or a generative model's samples."""

import argparse
import json
import sys
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Any

from meanflow_audio_codec.commands.shared_arguments import add_json, add_metrics, add_model, add_strict
from meanflow_audio_codec.errors import InputError

if TYPE_CHECKING:
    from meanflow_audio_codec.codec.codec import Codec
    from meanflow_audio_codec.datasets.audio.audio_sources import AudioSource
    from meanflow_audio_codec.inference.pretrained import PretrainedModel


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments of this command."""
    parser.add_argument("folder", type=Path, nargs="?", help="recordings (default: the model's own data, test split)")
    add_model(parser)
    parser.add_argument("--data-dir", type=Path, help="folder of the data sets (or set MEANFLOW_DATA_DIR)")
    parser.add_argument("--split", default="test", choices=("train", "valid", "test", "all"))
    parser.add_argument("--only", action="append", default=[], metavar="COLUMN=VALUE", help="rows of the manifest")
    parser.add_argument("--limit", type=int, help="score this many recordings, evenly spread over the split")
    parser.add_argument("--bitrate", type=float, nargs="+", metavar="KBPS", help="one row each (default: the model's)")
    parser.add_argument(
        "--frames-per-packet", type=int, help="as of encode; a live stream has fewer, and pays for each packet's ending"
    )
    parser.add_argument("--num-steps", type=int, nargs="+", help="steps, one row each (default: the model's)")
    parser.add_argument("--temperature", type=float, nargs="+", help="one row each (default: the model's, and 0)")
    parser.add_argument("--opus", type=float, nargs="+", default=[], metavar="KBPS", help="Opus on the same recordings")
    parser.add_argument(
        "--opus-decoder",
        nargs="+",
        default=[],
        choices=("none", "lace", "nolace"),
        help="decode Opus by libopus 1.5 with this enhancement instead of opusdec, one row each; for speech",
    )
    parser.add_argument(
        "--lyra", type=float, nargs="+", default=[], metavar="KBPS", help="Lyra V2, from the folder that LYRA_DIR names"
    )
    add_metrics(parser)
    add_strict(parser)
    parser.add_argument(
        "--slow-every",
        type=int,
        default=1,
        metavar="N",
        help="slow metrics on every N-th recording only (default: all)",
    )
    parser.add_argument("--jobs", type=int, default=1, help="processes that compute metrics")
    parser.add_argument("--samples", type=int, default=5_000, help="samples of a generative model (labels in turn)")
    parser.add_argument("--guidance-scale", type=float, help="of a generative model (default: the model's)")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument(
        "--results",
        type=Path,
        metavar="FILE",
        help="keep the scores in this file as they come; the same command goes on with it (default: one in the cache, "
        "until the evaluation is complete)",
    )
    add_json(parser)


def run(arguments: argparse.Namespace) -> int:
    """Run the command."""
    from meanflow_audio_codec.inference.decoding_options import check_decoding_options
    from meanflow_audio_codec.inference.pretrained import load_pretrained

    if arguments.folder is not None and not arguments.folder.is_dir():
        raise InputError(f"{arguments.folder}: is no folder; give a folder of recordings")
    for num_steps in arguments.num_steps or ():
        check_decoding_options(num_steps=num_steps, seed=arguments.seed)
    for temperature in arguments.temperature or ():
        check_decoding_options(temperature=temperature)
    check_decoding_options(seed=arguments.seed)
    pretrained = load_pretrained(arguments.model)
    if pretrained.model.encoder is None:
        return _evaluate_samples(arguments, pretrained)
    return _evaluate_codec(arguments, pretrained)


def _evaluate_codec(arguments: argparse.Namespace, pretrained) -> int:
    from rich.console import Console

    from meanflow_audio_codec.codec.codec import Codec
    from meanflow_audio_codec.evaluators.codec_evaluation import (
        Scoring,
        Setting,
        evaluate_codec,
        evaluate_lyra,
        evaluate_opus,
        evaluate_original,
    )
    from meanflow_audio_codec.evaluators.evaluation_clips import clips_to_score, read_clip
    from meanflow_audio_codec.evaluators.metric_marks import metric_marks
    from meanflow_audio_codec.evaluators.peers.opus_decoder import OpusDecoder
    from meanflow_audio_codec.evaluators.result_file import ResultFile, cached_results
    from meanflow_audio_codec.evaluators.score_table import format_markdown, format_table, to_json

    metrics = _checked_metrics(arguments)
    _check_peers(arguments)
    codec = Codec(pretrained)
    frames_per_packet = _checked_packets(codec, arguments)
    folders = _folders(arguments, pretrained)
    sources = clips_to_score(folders, arguments.split, _conditions(arguments), arguments.limit)
    dependencies = _dependencies(arguments, pretrained, codec, sources, metrics, frames_per_packet)
    with closing(ResultFile(arguments.results or cached_results(dependencies), dependencies)) as results:
        if len(results):
            print(f"{results.path}: {len(results)} scores taken over", file=sys.stderr)
        clips = [read_clip(source, codec.sample_rate, strict=arguments.strict) for source in sources]
        for clip in clips:
            if clip.problem:
                print(f"failed: {clip.name}: {clip.problem}", file=sys.stderr)
        scoring = Scoring(metrics, arguments.jobs, arguments.slow_every, results)
        temperatures = arguments.temperature or sorted({codec.default_temperature, 0.0}, reverse=True)
        step_counts = arguments.num_steps or [pretrained.method.default_num_steps]
        settings = tuple(Setting(steps, value) for value in temperatures for steps in step_counts)
        systems = evaluate_original(clips, codec.sample_rate, scoring)
        for bitrate in arguments.bitrate or [None]:
            systems += evaluate_codec(
                codec,
                clips,
                settings,
                scoring,
                bitrate=bitrate,
                frames_per_packet=frames_per_packet,
                marks=metric_marks(pretrained.name, pretrained.config, pretrained.chosen_by),
            )
        decoders = [OpusDecoder(name) for name in arguments.opus_decoder] or [None]
        for rate in arguments.opus:
            systems += [evaluate_opus(clips, codec.sample_rate, rate, scoring, decoder=decoder) for decoder in decoders]
        systems += [evaluate_lyra(clips, codec.sample_rate, rate, scoring) for rate in arguments.lyra]
    if arguments.json:
        print(json.dumps(to_json(systems)))
    elif sys.stdout.isatty():
        Console().print(format_table(systems))
    else:
        print(format_markdown(systems))
    sys.stdout.flush()
    if arguments.results is None:
        results.path.unlink(missing_ok=True)  # complete, and told
    if all(clip.problem for clip in clips):
        return 1
    return 0


def _checked_metrics(arguments: argparse.Namespace) -> tuple[str, ...]:
    from meanflow_audio_codec.evaluators.clip_scores import check_metrics, check_scoring
    from meanflow_audio_codec.evaluators.metric_packages import check_some_metric

    metrics = check_metrics(arguments.metrics.split(","))
    check_some_metric(metrics)
    check_scoring(arguments.jobs, arguments.slow_every)
    return metrics


def _check_peers(arguments: argparse.Namespace) -> None:
    from meanflow_audio_codec.evaluators.peers.lyra import find_lyra, stages_of_rate
    from meanflow_audio_codec.evaluators.peers.opus import check_opus_rate, find_opus_tools
    from meanflow_audio_codec.evaluators.peers.opus_decoder import find_opus_decoder

    if arguments.opus_decoder and not arguments.opus:
        raise InputError("--opus-decoder decodes what --opus encodes: give --opus KBPS, too")
    for rate in arguments.opus:
        check_opus_rate(rate)
    for rate in arguments.lyra:
        stages_of_rate(rate)
    if arguments.opus:
        find_opus_tools()
    if arguments.opus_decoder:
        find_opus_decoder()
    if arguments.lyra:
        find_lyra()


def _checked_packets(codec: "Codec", arguments: argparse.Namespace) -> int:
    """The frames of a packet, which the model can code at each of the bit rates."""
    from meanflow_audio_codec.codec.packets import FRAMES_PER_PACKET

    frames = FRAMES_PER_PACKET if arguments.frames_per_packet is None else arguments.frames_per_packet
    for bitrate in arguments.bitrate or [None]:
        codec.streaming_encoder(bitrate=bitrate, frames_per_packet=frames)  # which codes nothing yet
    return frames


def _folders(arguments: argparse.Namespace, pretrained: "PretrainedModel") -> tuple[Path, ...]:
    from meanflow_audio_codec.configs.data import AudioFolderConfig
    from meanflow_audio_codec.datasets.data_directory import find_data_directory

    if arguments.folder is not None:
        return (arguments.folder,)
    if isinstance(pretrained.config.dataset, AudioFolderConfig):
        root = find_data_directory(arguments.data_dir)
        return tuple(root / name for name in pretrained.config.dataset.folders)
    raise InputError("name a folder of recordings: the model's own data set has no files")


def _conditions(arguments: argparse.Namespace) -> tuple[tuple[str, str], ...]:
    from meanflow_audio_codec.datasets.audio.audio_sources import parse_conditions

    return parse_conditions(arguments.only)


def _dependencies(
    arguments: argparse.Namespace,
    pretrained: "PretrainedModel",
    codec: "Codec",
    sources: "list[AudioSource]",
    metrics: tuple[str, ...],
    frames_per_packet: int,
) -> dict[str, Any]:
    """What every score depends on, apart from what the system's name says."""
    from meanflow_audio_codec import __version__
    from meanflow_audio_codec.datasets.audio.audio_pack import fingerprint
    from meanflow_audio_codec.evaluators.metric_packages import available

    return {
        "version": __version__,
        "model": pretrained.name,
        "weights": pretrained.weights_hash.hex(),
        "sample_rate": codec.sample_rate,
        "frames_per_packet": frames_per_packet,
        "recordings": fingerprint(sources),
        "metrics": list(metrics),
        "missing": [name for name in metrics if not available().get(name, True)],
        "slow_every": arguments.slow_every,
    }


def _evaluate_samples(arguments: argparse.Namespace, pretrained) -> int:
    import numpy as np

    from meanflow_audio_codec.configs.data import MnistConfig
    from meanflow_audio_codec.datasets.mnist import Mnist
    from meanflow_audio_codec.evaluators.classifiers.digit_classification import class_accuracy, features
    from meanflow_audio_codec.evaluators.sets.frechet import frechet_distance
    from meanflow_audio_codec.inference.generation import default_guidance_scale, generate

    if arguments.samples < 2:
        raise InputError(f"--samples must be at least 2, not {arguments.samples}")
    if not isinstance(pretrained.config.dataset, MnistConfig):
        raise InputError(f"model {pretrained.name}: samples are scored for MNIST only, by the shipped classifier")
    data = Mnist(data_directory=arguments.data_dir, split="test", batch_size=500)
    real = np.concatenate([batch.signal[batch.mask] for batch in data.evaluation()])
    real_labels = np.concatenate([batch.label[batch.mask] for batch in data.evaluation() if batch.label is not None])
    labels = np.arange(arguments.samples, dtype=np.int32) % 10
    scale = default_guidance_scale(pretrained) if arguments.guidance_scale is None else arguments.guidance_scale
    rows = []
    for num_steps in arguments.num_steps or [pretrained.method.default_num_steps]:
        for temperature in arguments.temperature or [pretrained.method.default_temperature]:
            images = generate(
                pretrained,
                labels,
                seed=arguments.seed,
                num_steps=num_steps,
                temperature=temperature,
                guidance_scale=scale,
            )
            rows.append(
                {
                    "model": pretrained.name,
                    "num_steps": num_steps,
                    "temperature": temperature,
                    "guidance_scale": scale,
                    "samples": len(images),
                    "class_accuracy": class_accuracy(images, labels),
                    "frechet_distance": frechet_distance(features(images), features(real)),
                    "class_accuracy_of_real_images": class_accuracy(real, real_labels),
                }
            )
    if arguments.json:
        print(json.dumps(rows))
    else:
        for row in rows:
            print(
                "  ".join(
                    f"{name} {value:.4g}" if isinstance(value, float) else f"{name} {value}"
                    for name, value in row.items()
                )
            )
    return 0
