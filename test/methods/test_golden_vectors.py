"""The methods and the transform against files that the PyTorch references wrote (`write_golden_vectors.py`).

What `test_references.py` tests where PyTorch is installed is thus tested everywhere.
"""

from pathlib import Path

import jax.numpy as jnp
import numpy as np
import pytest
from fixtures.references.parity import GOLDEN_CASES, Arrays, beyond, drawn, our_results

from meanflow_audio_codec.preprocessing.mdct import imdct, mdct

GOLDEN = Path(__file__).parents[1] / "golden"


def golden(name: str) -> Arrays:
    with np.load(GOLDEN / f"{name}.npz", allow_pickle=False) as file:
        return dict(file)


def part(arrays: Arrays, prefix: str) -> Arrays:
    return {name.removeprefix(prefix): array for name, array in arrays.items() if name.startswith(prefix)}


@pytest.mark.parametrize("name", GOLDEN_CASES)
def test_losses_gradients_velocities_and_samples_are_the_references(name: str) -> None:
    case, arrays = GOLDEN_CASES[name], golden(name)
    inputs = part(arrays, "inputs/")
    for draw, value in drawn(case).items():
        # Not a property of this package: another generator in JAX needs other files.
        np.testing.assert_allclose(value, inputs[draw], rtol=1e-5, atol=1e-6, err_msg=f"{draw}: write the files anew")
    expected = part(arrays, "results/")
    assert {"loss", "error", "samples", "gradient.project_in.kernel"} <= set(expected)
    assert beyond(our_results(case, part(arrays, "weights/"), inputs), expected) == {}


def test_the_comparison_is_not_blind() -> None:
    """One weight changed by a thousandth shows in every kind of result."""
    case, arrays = GOLDEN_CASES["improved_mean_flow"], golden("improved_mean_flow")
    weights = part(arrays, "weights/")
    weights["embedding.out.bias"] = weights["embedding.out.bias"] + np.float32(1e-3)
    different = beyond(our_results(case, weights, part(arrays, "inputs/")), part(arrays, "results/"))
    assert {"error", "v", "u", "derivative", "samples", "gradient.project_in.kernel"} <= set(different)


def test_the_transform_and_its_inverse_are_the_references() -> None:
    arrays = golden("mdct")
    signal = jnp.asarray(arrays["signal"])
    names = [name.removeprefix("mdct.") for name in arrays if name.startswith("mdct.")]
    assert len(names) == 3
    for name in names:
        window, hop_length, alpha = name.split(".")
        settings = {"window": window, "kbd_alpha": float(alpha)}
        actual = {
            "mdct": mdct(signal, int(hop_length), **settings),
            "imdct": imdct(jnp.asarray(arrays[f"coefficients.{name}"]), length=signal.shape[-1], **settings),
        }
        expected = {kind: arrays[f"{kind}.{name}"] for kind in actual}
        assert beyond({kind: np.asarray(value) for kind, value in actual.items()}, expected) == {}, name


def test_the_files_are_small() -> None:
    assert sum(path.stat().st_size for path in GOLDEN.iterdir()) < 300_000
