"""`meanflow-codec info`: what a .mfc file holds, or the models at hand."""

import argparse
import json
from pathlib import Path

from meanflow_audio_codec.commands.shared_arguments import add_json, read_bytes


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments of this command."""
    parser.add_argument("input", type=Path, nargs="?", help=".mfc file; without it the built-in models are listed")
    add_json(parser)


def run(arguments: argparse.Namespace) -> int:
    """Run the command; needs neither model nor JAX."""
    if arguments.input is None:
        return _models(arguments.json)
    from meanflow_audio_codec.codec.container import payload_bits, read_stream

    data = read_bytes(arguments.input)
    header, packets = read_stream(data)
    seconds = header.num_samples / header.sample_rate

    def per_second(bits: int) -> float:
        return bits / seconds if seconds else 0.0

    figures = {
        "file": str(arguments.input),
        "model": header.model,
        "weights_hash": header.weights_hash.hex(),
        "sample_rate": header.sample_rate,
        "channels": header.channels,
        "samples": header.num_samples,
        "seconds": seconds,
        "packets": len(packets),
        "frames_per_packet": header.frames_per_packet,
        "file_bytes": len(data),
        "payload_bits_per_second": per_second(payload_bits(packets)),
        "file_bits_per_second": per_second(8 * len(data)),
    }
    _show(figures, arguments.json)
    return 0


def _models(as_json: bool) -> int:
    """The built-in models, read from their folders without loading them."""
    folder = Path(__file__).resolve().parent.parent / "weights"
    models = [
        {"model": path.parent.name, "weights_bytes": path.stat().st_size}
        for path in sorted(folder.glob("*/model.safetensors"))
    ]
    if as_json:
        print(json.dumps(models))
    else:
        for model in models:
            print(f"{model['model']}: {model['weights_bytes'] / 2**20:.1f} MiB")
    return 0


def _show(figures: dict[str, object], as_json: bool) -> None:
    if as_json:
        print(json.dumps(figures))
        return
    width = max(map(len, figures))
    for name, value in figures.items():
        print(f"{name:<{width}}  {f'{value:.1f}' if isinstance(value, float) else value}")
