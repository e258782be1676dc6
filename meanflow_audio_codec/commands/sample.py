"""`meanflow-codec sample`: draw from a generative model."""

import argparse
import json
from pathlib import Path

from meanflow_audio_codec.commands.shared_arguments import add_force, add_json, check_output
from meanflow_audio_codec.errors import InputError


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments of this command."""
    parser.add_argument("output", type=Path, help=".png grid of images")
    parser.add_argument("--model", required=True, help="model folder, e.g. runs/mnist/model")
    parser.add_argument("--count", type=int, default=100, help="how many (default 100)")
    parser.add_argument("--label", type=int, help="one label for all (default: every label in turn)")
    parser.add_argument("--num-steps", type=int, help="steps of the sampler (default: the model's)")
    parser.add_argument("--temperature", type=float, help="scale of the noise (default: the model's)")
    parser.add_argument("--guidance-scale", type=float, help="1 is no guidance (default: the model's)")
    parser.add_argument("--seed", type=int, default=0)
    add_force(parser)
    add_json(parser)


def run(arguments: argparse.Namespace) -> int:
    """Run the command."""
    from meanflow_audio_codec.inference.decoding_options import check_decoding_options

    if arguments.count < 1:
        raise InputError(f"--count must be at least 1, not {arguments.count}")
    check_output(arguments.output, (".png",), arguments.force)
    check_decoding_options(num_steps=arguments.num_steps, temperature=arguments.temperature, seed=arguments.seed)

    import numpy as np

    from meanflow_audio_codec.evaluators.figures import sample_grid
    from meanflow_audio_codec.inference.generation import default_guidance_scale, generate
    from meanflow_audio_codec.inference.pretrained import load_pretrained

    pretrained = load_pretrained(arguments.model)
    classes = max(pretrained.config.decoder.num_classes, 1)
    labels = np.arange(arguments.count, dtype=np.int32) % classes
    if arguments.label is not None:
        if not 0 <= arguments.label < classes:
            raise InputError(f"--label must lie in 0 ... {classes - 1}, not {arguments.label}")
        labels[:] = arguments.label
    num_steps = pretrained.method.default_num_steps if arguments.num_steps is None else arguments.num_steps
    scale = default_guidance_scale(pretrained) if arguments.guidance_scale is None else arguments.guidance_scale
    images = generate(
        pretrained,
        labels,
        seed=arguments.seed,
        num_steps=num_steps,
        temperature=arguments.temperature,
        guidance_scale=scale,
    )
    sample_grid(arguments.output, images, labels, columns=classes)
    if arguments.json:
        print(
            json.dumps(
                {"output": str(arguments.output), "count": len(images), "num_steps": num_steps, "guidance_scale": scale}
            )
        )
    else:
        print(f"{arguments.output}: {len(images)} samples, {num_steps} step(s), guidance scale {scale:g}")
    return 0
