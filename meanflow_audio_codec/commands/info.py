"""`meanflow-codec info`: what a .mfc file holds, or the models at hand."""

import argparse
import json
from pathlib import Path
from typing import Any

from meanflow_audio_codec.commands.shared_arguments import add_json
from meanflow_audio_codec.commands.standard_streams import opened_input


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments of this command."""
    parser.add_argument(
        "input", type=Path, nargs="?", help=".mfc file, or - ; without it the built-in models are listed"
    )
    add_json(parser)


def run(arguments: argparse.Namespace) -> int:
    """Run the command; needs neither model nor JAX."""
    if arguments.input is None:
        return _models(arguments.json)
    with opened_input(arguments.input) as file:
        figures = {"file": str(arguments.input)} | _figures(file)
    if arguments.json:
        print(json.dumps(figures))
    else:
        _show(figures)
    return 0


def _figures(file: Any) -> dict[str, Any]:
    """Everything a file says of itself, every checksum verified."""
    from meanflow_audio_codec.codec.container import StreamReader
    from meanflow_audio_codec.codec.container.chunks import VERSION

    reader = StreamReader(file)
    header = reader.header
    payload_bytes, smallest, largest = 0, None, 0
    for packet in reader.packets():
        size = len(packet.payload)
        payload_bytes += size
        smallest = size if smallest is None else min(smallest, size)
        largest = max(largest, size)
    seconds = reader.trailer.num_samples / header.sample_rate

    def per_second(num_bytes: int) -> float:
        return 8 * num_bytes / seconds if seconds else 0.0

    return {
        "format_version": VERSION,
        "model": header.model,
        "weights_hash": header.weights_hash.hex(),
        "sample_rate": header.sample_rate,
        "channels": header.channels,
        "samples": reader.trailer.num_samples,
        "seconds": seconds,
        "noise_seed": header.noise_seed,
        "frames": reader.num_frames,
        "frames_per_packet": header.frames_per_packet,
        "packets": reader.trailer.num_packets,
        "smallest_payload_bytes": smallest or 0,
        "largest_payload_bytes": largest,
        "payload_bits": 8 * payload_bytes,
        "overhead_bits": 8 * (reader.position - payload_bytes),
        "file_bytes": reader.position,
        "payload_bits_per_second": per_second(payload_bytes),
        "file_bits_per_second": per_second(reader.position),
        "tags": reader.tags,
    }


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


def _show(figures: dict[str, Any]) -> None:
    tags = {f"tag {key}": _one_line(value) for key, value in figures["tags"].items()}
    lines = {name: value for name, value in figures.items() if name != "tags"} | tags
    width = max(map(len, lines))
    for name, value in lines.items():
        print(f"{name:<{width}}  {f'{value:.1f}' if isinstance(value, float) else value}")


def _one_line(text: str) -> str:
    """A text from a file, which must not steer the terminal."""
    return "".join(letter if letter.isprintable() else repr(letter)[1:-1] for letter in text)
