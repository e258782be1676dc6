"""Parity with the PyTorch references, computed side by side: the same weights, noise and times on both sides."""
# ruff: noqa: E402 (what follows needs PyTorch, or is skipped)

import gzip
import inspect
import struct
import sys
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest

torch = pytest.importorskip(
    "torch", reason="parity with PyTorch needs it: see documentation/developer_guide/testing.md"
)

from fixtures.references.parity import (
    CASES,
    GOLDEN_CASES,
    beyond,
    named_arrays,
    our_results,
    random_inputs,
    random_weights,
)
from fixtures.references.reference_results import reference_network, reference_results
from test_golden_vectors import golden, part

from meanflow_audio_codec.inference.pretrained import load_pretrained
from meanflow_audio_codec.models.conditioning import Conditioning
from meanflow_audio_codec.preprocessing.mdct import imdct, imdct2, mdct, mdct2
from meanflow_audio_codec.references import (
    flow_matching_mnist,
    improved_mean_flow_mnist,
    mean_flow_mnist,
    networks,
)
from meanflow_audio_codec.references import mdct as reference_mdct

pytestmark = pytest.mark.reference

PROGRAMS = (flow_matching_mnist, mean_flow_mnist, improved_mean_flow_mnist)


@pytest.mark.parametrize("name", CASES)
def test_losses_gradients_velocities_and_samples_agree(name: str) -> None:
    case = CASES[name]
    weights, inputs = random_weights(case), random_inputs(case)
    assert beyond(our_results(case, weights, inputs), reference_results(case, weights, inputs)) == {}


def test_the_cases_cover_labels_dropped_and_kept_and_intervals_inside_and_outside() -> None:
    """Else agreement would say little about guidance."""
    for case in CASES.values():
        inputs = random_inputs(case)
        if case.labelled:
            assert 0 < inputs["drop"].sum() < len(inputs["drop"])
        if "interval" in inputs:
            inside = (inputs["interval"][:, 0] <= inputs["t"]) & (inputs["t"] <= inputs["interval"][:, 1])
            assert 0 < inside.sum() < len(inside)


@pytest.mark.parametrize("name", GOLDEN_CASES)
def test_the_golden_files_are_what_the_references_compute(name: str) -> None:
    arrays = golden(name)
    results = reference_results(GOLDEN_CASES[name], part(arrays, "weights/"), part(arrays, "inputs/"))
    assert beyond(results, part(arrays, "results/")) == {}


def test_the_shipped_decoder_computes_the_same() -> None:
    """The network over frames of audio-44k with its trained weights, at full size, over fifty tokens."""
    pretrained = load_pretrained("audio-44k")
    ours = pretrained.model.decoder
    weights = named_arrays(ours)
    channels, local_channels = weights["project_in.kernel"].shape[0], weights["project_local.kernel"].shape[0]
    theirs = reference_network(pretrained.config.decoder, pretrained.tokenizer.spec, local_channels, weights)
    random = np.random.default_rng(0)
    z, local = (random.standard_normal((2, 50, size)).astype(np.float32) for size in (channels, local_channels))
    r, t = np.array([0.0, 0.2], np.float32), np.array([1.0, 0.6], np.float32)
    actual = jax.jit(lambda net, *given: net(*given, Conditioning(local=jnp.asarray(local))).mean)(ours, z, r, t)
    with torch.no_grad():
        expected, _ = theirs(*map(torch.tensor, (z, r, t)), local=torch.tensor(local))
    assert beyond({"u": np.asarray(actual)}, {"u": expected.numpy()}) == {}


@pytest.mark.parametrize("hop_length", [2, 14, 320, 1024])
@pytest.mark.parametrize(("window", "alpha"), [("sine", 4.0), ("vorbis", 4.0), ("kbd", 4.0), ("kbd", 2.0)])
def test_the_transforms_agree(window: str, alpha: float, hop_length: int) -> None:
    random = np.random.default_rng(hop_length)
    length = 3 * hop_length + 1
    signal = random.standard_normal((2, length)).astype(np.float32)
    settings = {"window": window, "kbd_alpha": alpha}
    analysis = reference_mdct.mdct(torch.tensor(signal), hop_length, **settings).numpy()
    coefficients = random.standard_normal(analysis.shape).astype(np.float32)
    synthesis = reference_mdct.imdct(torch.tensor(coefficients), length=length, **settings).numpy()
    actual = {
        "mdct": np.asarray(mdct(jnp.asarray(signal), hop_length, **settings)),
        "imdct": np.asarray(imdct(jnp.asarray(coefficients), length=length, **settings)),
    }
    assert beyond(actual, {"mdct": analysis, "imdct": synthesis}) == {}


def test_the_transforms_of_images_agree() -> None:
    """Rows, then columns, by the transform of signals."""
    image = np.random.default_rng(0).standard_normal((2, 28, 20)).astype(np.float32)
    rows = reference_mdct.mdct(torch.tensor(image), 14)  # row, column frame, column bin
    both = reference_mdct.mdct(rows.movedim(1, -1), 14).permute(0, 3, 1, 4, 2)
    assert beyond({"mdct2": np.asarray(mdct2(jnp.asarray(image), 14))}, {"mdct2": both.numpy()}) == {}
    np.testing.assert_allclose(imdct2(jnp.asarray(both.numpy()), shape=(28, 20)), image, atol=1e-5)


# The programs.


def test_the_programs_share_the_text_of_what_they_have_in_common() -> None:
    """Each is complete by itself, so that it can be read alone; copies must not drift apart."""
    common = ("read_idx", "read_mnist", "to_tokens", "to_images", "save_grid", "adaptive_weight", "train")
    of_intervals = ("sample_times", "mean_velocity_and_derivative", "sample")
    for names, programs in ((common, PROGRAMS), (of_intervals, PROGRAMS[1:])):
        for name in names:
            assert len({inspect.getsource(getattr(program, name)) for program in programs}) == 1, name


def test_the_references_import_nothing_of_the_package_but_each_other() -> None:
    for program in (*PROGRAMS, networks, reference_mdct):
        lines = [line for line in inspect.getsource(program).splitlines() if "import" in line.split()]
        own = [line for line in lines if "meanflow_audio_codec" in line]
        assert all("meanflow_audio_codec.references" in line for line in own), own
        assert not any(word in line for line in lines for word in ("jax", "flax"))


def write_idx(path: Path, array: np.ndarray) -> None:
    header = b"\0\0\x08" + struct.pack(f">B{array.ndim}I", array.ndim, *array.shape)
    path.write_bytes(gzip.compress(header + array.tobytes()))


@pytest.mark.parametrize(
    ("program", "options"),
    [
        (flow_matching_mnist, ["--sampling-steps", "2"]),
        (mean_flow_mnist, ["--equal-share", "0.5"]),
        (improved_mean_flow_mnist, ["--velocity-head", "--guidance-interval", "0.1", "0.9"]),
    ],
    ids=["flow_matching", "mean_flow", "improved_mean_flow"],
)
def test_the_programs_train_and_write_a_grid(
    program, options: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Sixty steps on sixteen images: the error falls, and a hundred samples are written."""
    random = np.random.default_rng(0)
    write_idx(tmp_path / "train-images-idx3-ubyte.gz", random.integers(0, 256, (16, 28, 28), np.uint8))
    write_idx(tmp_path / "train-labels-idx1-ubyte.gz", np.arange(16, dtype=np.uint8) % 10)
    sizes = ["--steps", "60", "--batch-size", "8", "--width", "8", "--num-blocks", "1", "--learning-rate", "1e-2"]
    output = tmp_path / "grid.png"
    monkeypatch.setattr(
        sys, "argv", ["program", "--data-dir", str(tmp_path), "--output", str(output), *sizes, *options]
    )
    program.main()
    errors = [float(line.split()[3]) for line in capsys.readouterr().out.splitlines() if line.startswith("step")]
    assert len(errors) == 2
    assert errors[1] < errors[0]
    content = output.read_bytes()
    assert content[:8] == b"\x89PNG\r\n\x1a\n"
    assert struct.unpack(">2I", content[16:24]) == (280, 280)


def test_tokens_are_patches_in_reading_order() -> None:
    images = torch.arange(2 * 28 * 28, dtype=torch.float32).reshape(2, 28, 28)
    tokens = mean_flow_mnist.to_tokens(images)
    torch.testing.assert_close(tokens[1, 6], images[1, 7:14, 14:21].flatten())
    torch.testing.assert_close(mean_flow_mnist.to_images(tokens), images)


def test_a_damaged_idx_file_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "images.gz"
    path.write_bytes(gzip.compress(b"not an idx file"))
    with pytest.raises(ValueError, match="not an idx file of bytes"):
        mean_flow_mnist.read_idx(path)
