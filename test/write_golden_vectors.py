"""Write test/golden/*.npz anew from the PyTorch references: `python test/write_golden_vectors.py`.

Weights and inputs come from fixed seeds, results from `meanflow_audio_codec.references` alone.
"""

import os
from pathlib import Path

import numpy as np
import torch
from fixtures.references.parity import GOLDEN_CASES, Arrays, random_inputs, random_weights
from fixtures.references.reference_results import reference_results

from meanflow_audio_codec.references.mdct import imdct, mdct

GOLDEN = Path(__file__).parent / "golden"
# Window, hop length and shape parameter of the Kaiser-Bessel-derived window.
TRANSFORMS = (("sine", 40, 4.0), ("vorbis", 14, 4.0), ("kbd", 32, 6.0))
LENGTH = 101


def write(name: str, arrays: Arrays) -> None:
    path = GOLDEN / f"{name}.npz"
    temporary = path.with_suffix(f".{os.getpid()}.tmp")
    with temporary.open("wb") as file:
        np.savez_compressed(file, **arrays)
    temporary.replace(path)


def transforms() -> Arrays:
    random = np.random.default_rng(4)
    signal = random.standard_normal((2, LENGTH)).astype(np.float32)
    arrays = {"signal": signal}
    for window, hop_length, alpha in TRANSFORMS:
        name = f"{window}.{hop_length}.{alpha:g}"
        coefficients = mdct(torch.tensor(signal), hop_length, window=window, kbd_alpha=alpha)
        other = random.standard_normal(coefficients.shape).astype(np.float32)
        synthesis = imdct(torch.tensor(other), length=LENGTH, window=window, kbd_alpha=alpha)
        arrays |= {f"mdct.{name}": coefficients.numpy()}
        arrays |= {f"coefficients.{name}": other, f"imdct.{name}": synthesis.numpy()}
    return arrays


def main() -> None:
    GOLDEN.mkdir(exist_ok=True)
    for name, case in GOLDEN_CASES.items():
        weights, inputs = random_weights(case), random_inputs(case)
        parts = {"weights": weights, "inputs": inputs, "results": reference_results(case, weights, inputs)}
        write(name, {f"{part}/{key}": array for part, arrays in parts.items() for key, array in arrays.items()})
    write("mdct", transforms())


if __name__ == "__main__":
    main()
