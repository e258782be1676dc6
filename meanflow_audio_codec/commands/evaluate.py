"""`meanflow-codec evaluate`: score a codec on recordings, or a generative model's samples."""

import argparse
import json
import sys
from pathlib import Path

from meanflow_audio_codec.commands.shared_arguments import add_json, add_metrics, add_model, add_strict
from meanflow_audio_codec.errors import InputError


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments of this command."""
    parser.add_argument("folder", type=Path, nargs="?", help="recordings (default: the model's own data, test split)")
    add_model(parser)
    parser.add_argument("--data-dir", type=Path, help="folder of the data sets (or set MEANFLOW_DATA_DIR)")
    parser.add_argument("--split", default="test", choices=("train", "valid", "test"))
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
    add_json(parser)


def run(arguments: argparse.Namespace) -> int:
    """Run the command."""
    from meanflow_audio_codec.inference.decoding_options import check_decoding_options
    from meanflow_audio_codec.inference.pretrained import load_pretrained

    for num_steps in arguments.num_steps or ():
        check_decoding_options(num_steps=num_steps, seed=arguments.seed)
    for temperature in arguments.temperature or ():
        check_decoding_options(temperature=temperature)
    pretrained = load_pretrained(arguments.model)
    if pretrained.model.encoder is None:
        return _evaluate_samples(arguments, pretrained)
    return _evaluate_codec(arguments, pretrained)


def _evaluate_codec(arguments: argparse.Namespace, pretrained) -> int:
    from rich.console import Console

    from meanflow_audio_codec.codec.codec import Codec
    from meanflow_audio_codec.codec.packets import FRAMES_PER_PACKET
    from meanflow_audio_codec.evaluators.clip_scores import check_metrics
    from meanflow_audio_codec.evaluators.codec_evaluation import (
        Scoring,
        Setting,
        evaluate_codec,
        evaluate_lyra,
        evaluate_opus,
        evaluate_original,
    )
    from meanflow_audio_codec.evaluators.metric_marks import metric_marks
    from meanflow_audio_codec.evaluators.peers.lyra import find_lyra
    from meanflow_audio_codec.evaluators.peers.opus import find_opus_tools
    from meanflow_audio_codec.evaluators.peers.opus_decoder import OpusDecoder, find_opus_decoder
    from meanflow_audio_codec.evaluators.score_table import format_markdown, format_table, to_json

    scoring = Scoring(check_metrics(arguments.metrics.split(",")), arguments.jobs, arguments.slow_every)
    if arguments.opus_decoder and not arguments.opus:
        raise InputError("--opus-decoder decodes what --opus encodes: give --opus KBPS, too")
    if arguments.opus:
        find_opus_tools()  # told before the long work
    if arguments.opus_decoder:
        find_opus_decoder()
    if arguments.lyra:
        find_lyra()
    codec = Codec(pretrained)
    clips = _clips(arguments, pretrained, codec.sample_rate)
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
            frames_per_packet=FRAMES_PER_PACKET if arguments.frames_per_packet is None else arguments.frames_per_packet,
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
    return 0


def _clips(arguments: argparse.Namespace, pretrained, sample_rate: int) -> list:
    """The recordings to score: mono, at the model's rate, with the manifest's transcripts."""
    from meanflow_audio_codec.configs.data import AudioFolderConfig
    from meanflow_audio_codec.datasets.audio.audio_folder import AudioFolder
    from meanflow_audio_codec.datasets.audio.audio_sources import parse_conditions
    from meanflow_audio_codec.datasets.data_directory import find_data_directory
    from meanflow_audio_codec.evaluators.codec_evaluation import Clip

    if arguments.folder is not None:
        folders = (arguments.folder,)
    elif isinstance(pretrained.config.dataset, AudioFolderConfig):
        root = find_data_directory(arguments.data_dir)
        folders = tuple(root / name for name in pretrained.config.dataset.folders)
    else:
        raise InputError("name a folder of recordings: the model's own data set has no files")
    data = AudioFolder(
        folders=folders,
        sample_rate=sample_rate,
        crop_samples=sample_rate,
        batch_size=1,
        split=arguments.split,
        where=parse_conditions(arguments.only),
        strict=arguments.strict,
    )
    clips = [Clip(name, samples, row.get("transcript", "")) for name, samples, row in data.clips()]
    if arguments.limit is not None:
        if arguments.limit < 1:
            raise InputError(f"--limit must be at least 1, not {arguments.limit}")
        count = min(arguments.limit, len(clips))
        clips = [clips[index * len(clips) // count] for index in range(count)]
    return clips


def _evaluate_samples(arguments: argparse.Namespace, pretrained) -> int:
    import numpy as np

    from meanflow_audio_codec.configs.data import MnistConfig
    from meanflow_audio_codec.datasets.mnist import Mnist
    from meanflow_audio_codec.evaluators.classifiers.digit_classification import class_accuracy, features
    from meanflow_audio_codec.evaluators.sets.frechet import frechet_distance
    from meanflow_audio_codec.inference.generation import default_guidance_scale, generate

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
