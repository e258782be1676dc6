"""Times three forms of the MDCT side by side: the FFT scheme, a product with the 2N x N matrix, SciPy's DCT-IV."""

import argparse
import json
import sys
import time
from collections.abc import Callable
from statistics import median

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Float32

from meanflow_audio_codec.preprocessing.mdct import imdct, mdct, num_frames
from meanflow_audio_codec.preprocessing.mdct_windows import window_values

Transform = Callable[[], object]


def analysis_matrix(hop_length: int) -> Float32[np.ndarray, "window bins"]:
    """The windowed cosines of the definition: frames times this matrix are the coefficients."""
    n, k = np.arange(2 * hop_length)[:, None], np.arange(hop_length)
    cosines = np.cos(np.pi / hop_length * (n + 0.5 + hop_length / 2) * (k + 0.5))
    return (np.sqrt(2.0 / hop_length) * window_values("sine", hop_length)[:, None] * cosines).astype(np.float32)


@jax.jit
def mdct_by_matrix(
    signal: Float32[Array, "b samples"], matrix: Float32[Array, "window bins"]
) -> Float32[Array, "b frames bins"]:
    """The MDCT as one product of overlapping frames with the matrix of the definition."""
    hop_length = matrix.shape[1]
    frames = num_frames(signal.shape[-1], hop_length)
    padded = jnp.pad(signal, ((0, 0), (hop_length, frames * hop_length - signal.shape[-1])))
    blocks = padded.reshape(signal.shape[0], frames + 1, hop_length)
    return jnp.concatenate([blocks[:, :-1], blocks[:, 1:]], axis=-1) @ matrix


def mdct_by_scipy(signal: Float[np.ndarray, "b samples"], hop_length: int) -> Float[np.ndarray, "b frames bins"]:
    """The MDCT as NumPy's windowing and folding, then SciPy's DCT-IV, in the precision of the signal."""
    from scipy.fft import dct

    frames = num_frames(signal.shape[-1], hop_length)
    padded = np.pad(signal, ((0, 0), (hop_length, frames * hop_length - signal.shape[-1])))
    blocks = padded.reshape(signal.shape[0], frames + 1, hop_length)
    windowed = np.concatenate([blocks[:, :-1], blocks[:, 1:]], axis=-1)
    windowed *= window_values("sine", hop_length).astype(signal.dtype)
    a, b, c, d = np.split(windowed, 4, axis=-1)
    return dct(np.concatenate([-c[..., ::-1] - d, a - b[..., ::-1]], axis=-1), type=4, norm="ortho")  # pyright: ignore[reportReturnType]


def time_in_turn(transforms: dict[str, Transform], rounds: int) -> dict[str, list[float]]:
    """Milliseconds of each transform in each round; every round runs each once, in random order."""
    names = list(transforms)
    times: dict[str, list[float]] = {name: [] for name in names}
    for transform in transforms.values():
        jax.block_until_ready(transform())
    order = np.random.default_rng(0)
    for _ in range(rounds):
        for name in order.permutation(names).tolist():
            start = time.perf_counter()
            jax.block_until_ready(transforms[name]())
            times[name].append(1e3 * (time.perf_counter() - start))
    return times


def measure(hop_length: int, batch_size: int, samples: int, rounds: int) -> list[dict[str, object]]:
    """One record per transform: median and shortest time, signal samples per second, error against float64."""
    host = np.random.default_rng(0).standard_normal((batch_size, samples))
    single = host.astype(np.float32)
    signal, matrix = jnp.asarray(single), jnp.asarray(analysis_matrix(hop_length))
    exact = mdct_by_scipy(single.astype(np.float64), hop_length)
    coefficients = mdct(signal, hop_length)
    transforms: dict[str, Transform] = {
        "fft": lambda: mdct(signal, hop_length),
        "fft_inverse": lambda: imdct(coefficients, length=samples),
        "matrix": lambda: mdct_by_matrix(signal, matrix),
        "scipy": lambda: mdct_by_scipy(single, hop_length),
    }
    expected = {"fft_inverse": single}
    errors = {}
    for name, transform in transforms.items():
        target = expected.get(name, exact)
        errors[name] = float(np.abs(np.asarray(transform()) - target).max() / np.abs(target).max())
    return [
        {
            "benchmark": "mdct",
            "device": "cpu" if name == "scipy" else jax.devices()[0].device_kind,
            "method": name,
            "hop_length": hop_length,
            "batch_size": batch_size,
            "samples": samples,
            "median_milliseconds": round(median(milliseconds), 4),
            "shortest_milliseconds": round(min(milliseconds), 4),
            "samples_per_second": round(batch_size * samples / median(milliseconds) * 1e3),
            "relative_error": errors[name],
        }
        for name, milliseconds in time_in_turn(transforms, rounds).items()
    ]


def main() -> None:
    """Runs the benchmark from the command line, one JSON line per case."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--hop-lengths", type=int, nargs="+", default=[16, 64, 256, 320, 512, 1024, 2048])
    parser.add_argument("--batch-size", type=int, default=4)
    parser.add_argument("--samples", type=int, default=65536)
    parser.add_argument("--rounds", type=int, default=20)
    arguments = parser.parse_args()
    for hop_length in arguments.hop_lengths:
        for record in measure(hop_length, arguments.batch_size, arguments.samples, arguments.rounds):
            sys.stdout.write(json.dumps(record) + "\n")
            sys.stdout.flush()


if __name__ == "__main__":
    main()
