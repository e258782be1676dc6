"""Floating-point operations per second of audio, of the encoder and of the receiver.

Command: `python -m meanflow_audio_codec.tools.benchmarks.speed.operations --models speech-16k`. Two counts: of matrix
products and convolutions, from their shapes (two per multiply-add), and of everything, by XLA's analysis of the
program before it is optimised, in which an addition, a product or a comparison is one operation and a Fourier transform
of n values 5 n log2 n; exponentials and their like are not among them. Both are differences of two lengths, so that
what does not grow with the recording is left out, and the frames before and after it.

Entropy coding and rate control are integers and are not counted. A codec runs its networks over windows, whose context
is computed twice; the last column is what that multiplies the other two by, for a long recording.
"""

import argparse
import sys
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from meanflow_audio_codec.codec.context import core_frames
from meanflow_audio_codec.codec.pure_functions import PureFunctions
from meanflow_audio_codec.codec.windowed_networks import WindowedNetworks
from meanflow_audio_codec.errors import InputError
from meanflow_audio_codec.inference.pretrained import PretrainedModel, load_pretrained
from meanflow_audio_codec.tools.benchmarks.speed.matrix_operations import matrix_operations

# Frames of the two lengths whose difference is taken, in blocks of side information.
BLOCKS = (64, 96)
LONG_RECORDING = 100_000  # frames


class Operations(NamedTuple):
    """Per second of audio: of matrix products, of everything, and the factor of the windows' context."""

    matrices: float
    all: float
    context: float


def operations(pretrained: PretrainedModel, num_steps: int) -> dict[str, Operations]:
    """Of encoder and receiver, the latter with this many evaluations.

    Raises:
        InputError: the model is no codec over MDCT frames.
    """
    try:
        networks = WindowedNetworks(pretrained)
    except ValueError as error:
        raise InputError(f"model {pretrained.name}: {error}") from None
    functions, hop = PureFunctions(pretrained), networks.hop_length
    key = jax.eval_shape(lambda: jax.random.key(0))

    def shapes(num_frames: int) -> tuple[Any, Any, Any]:
        side = jax.ShapeDtypeStruct((1, num_frames, len(networks.side_levels)), jnp.int32)
        codes = jax.ShapeDtypeStruct((1, num_frames, len(networks.code_levels)), jnp.int32)
        return jax.ShapeDtypeStruct((1, (num_frames - 1) * hop), jnp.float32), side, codes

    def encoder(num_frames: int) -> tuple[Callable[..., Any], tuple[Any, ...]]:
        return functions.encode, (functions.model, shapes(num_frames)[0])

    def receiver(num_frames: int) -> tuple[Callable[..., Any], tuple[Any, ...]]:
        def decode(*arguments: Any) -> jax.Array:
            samples = (num_frames - 1) * hop
            return functions.decode(*arguments, num_samples=samples, num_steps=num_steps, temperature=1.0)

        return decode, (functions.model, *shapes(num_frames)[1:], key)

    core, found = core_frames(LONG_RECORDING), {}
    for name, program, context in (
        ("encoder", encoder, networks.encoder_context),
        ("receiver", receiver, networks.decoder_context),
    ):
        few, many = (count * networks.block_frames for count in BLOCKS)
        seconds = (many - few) * hop / networks.sample_rate
        totals = [_totals(*program(num_frames)) for num_frames in (few, many)]
        matrices, everything = ((last - first) / seconds for first, last in zip(*totals, strict=True))
        found[name] = Operations(matrices, everything, (core + context.past + context.future) / core)
    return found


def _totals(function: Callable[..., Any], arguments: tuple[Any, ...]) -> tuple[float, float]:
    analysis = jax.jit(function).lower(*arguments).cost_analysis()
    if analysis is None:
        raise InputError(f"{jax.default_backend()}: this backend does not count operations; set JAX_PLATFORMS=cpu")
    return float(matrix_operations(jax.make_jaxpr(function)(*arguments))), float(analysis["flops"])


def main() -> None:
    """Print two rows per model."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--models", nargs="+", default=["speech-16k", "speech-16k-live", "audio-44k"])
    parser.add_argument("--evaluations", type=int, default=1, help="of the decoder's network")
    arguments = parser.parse_args()
    if arguments.evaluations < 1:
        raise InputError(f"--evaluations must be 1 or more, not {arguments.evaluations}")
    sys.stdout.write(
        "| model | part | matrix products (10⁶/s) | all operations (10⁶/s) | with windows' context |\n"
        "| --- | --- | --- | --- | --- |\n"
    )
    for name in arguments.models:
        for part, count in operations(load_pretrained(name), arguments.evaluations).items():
            figures = f"{count.matrices / 1e6:.0f} | {count.all / 1e6:.0f} | x {count.context:.2f}"
            sys.stdout.write(f"| {name} | {part} | {figures} |\n")
            sys.stdout.flush()


if __name__ == "__main__":
    main()
