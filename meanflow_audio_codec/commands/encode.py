"""`meanflow-codec encode`: audio file to .mfc file."""

import argparse
import json
from pathlib import Path

from meanflow_audio_codec.commands.shared_arguments import add_force, add_json, add_model, check_output, write_bytes


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments of this command."""
    parser.add_argument("input", type=Path, help="wav, flac, ogg or mp3")
    parser.add_argument("output", type=Path, help=".mfc file to write")
    add_model(parser)
    add_force(parser)
    add_json(parser)


def run(arguments: argparse.Namespace) -> int:
    """Run the command."""
    from meanflow_audio_codec.datasets.audio_files import read_audio

    check_output(arguments.output, (".mfc",), arguments.force)
    audio, sample_rate = read_audio(arguments.input)

    from meanflow_audio_codec.codec.codec import Codec

    codec = Codec.from_pretrained(arguments.model)
    data = codec.encode(audio, sample_rate)
    write_bytes(arguments.output, data)
    seconds = audio.shape[1] / sample_rate
    figures = {
        "output": str(arguments.output),
        "model": codec.name,
        "seconds": seconds,
        "file_bytes": len(data),
        "bits_per_second": codec.bits(data) / seconds,
    }
    if arguments.json:
        print(json.dumps(figures))
    else:
        rate = figures["bits_per_second"] / 1000
        print(f"{arguments.output}: {len(data)} bytes for {seconds:.2f} s, {rate:.2f} kbit/s of payload")
    return 0
