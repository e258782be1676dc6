"""`meanflow-codec decode`: .mfc file to audio file."""

import argparse
import json
from pathlib import Path

from meanflow_audio_codec.commands.shared_arguments import (
    add_decoding,
    add_force,
    add_json,
    add_model,
    check_output,
    read_bytes,
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments of this command."""
    parser.add_argument("input", type=Path, help=".mfc file")
    parser.add_argument("output", type=Path, help="wav, flac or ogg to write")
    add_model(parser)
    add_decoding(parser)
    add_force(parser)
    add_json(parser)


def run(arguments: argparse.Namespace) -> int:
    """Run the command."""
    from meanflow_audio_codec.codec.container import read_stream
    from meanflow_audio_codec.codec.decoding_options import check_decoding_options
    from meanflow_audio_codec.datasets.audio_files import WRITABLE_FORMATS, write_audio

    check_output(arguments.output, WRITABLE_FORMATS, arguments.force)
    check_decoding_options(num_steps=arguments.num_steps, temperature=arguments.temperature, seed=arguments.seed)
    data = read_bytes(arguments.input)
    read_stream(data)  # damaged bytes are told at once, before any model is loaded

    from meanflow_audio_codec.codec.codec import Codec

    codec = Codec.from_pretrained(arguments.model)
    audio, sample_rate = codec.decode(
        data, num_steps=arguments.num_steps, seed=arguments.seed, temperature=arguments.temperature
    )
    write_audio(arguments.output, audio, sample_rate, overwrite=arguments.force)
    figures = {
        "output": str(arguments.output),
        "model": codec.name,
        "channels": audio.shape[0],
        "samples": audio.shape[1],
        "sample_rate": sample_rate,
    }
    if arguments.json:
        print(json.dumps(figures))
    else:
        print(
            f"{arguments.output}: {audio.shape[1] / sample_rate:.2f} s, {audio.shape[0]} channel(s), {sample_rate} Hz"
        )
    return 0
