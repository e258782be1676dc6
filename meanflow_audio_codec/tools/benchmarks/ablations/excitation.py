"""What an excitation tells of the harmonics that the codes leave open, before any network is trained.

Command: `python -m meanflow_audio_codec.tools.benchmarks.ablations.excitation --data-dir DATA`. Of the prior's error,
in frames that are not quiet, the share of energy that a best combination of two signals explains, patch by patch of 16
bins (400 Hz at 16 kHz and hop 320): of white noise (2/16 by chance), of the mean and its quadrature, and of both phases
of an excitation (models/harmonic_features.py).
"""

import argparse
import sys
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float

from meanflow_audio_codec.configs.networks import PatchConvolutionConfig
from meanflow_audio_codec.configs.tokens import MDCTConfig
from meanflow_audio_codec.datasets.build import build_dataset
from meanflow_audio_codec.errors import InputError
from meanflow_audio_codec.inference.pretrained import PretrainedModel, load_pretrained
from meanflow_audio_codec.models.harmonic_features import HarmonicFeatures, bins_of_hertz

PATCH_BINS = 16
# Frames whose loudest band lies below this many units of 0.25 dB above the floor count as quiet.
QUIET_GAIN = 140
# Place of each signal among the harmonic features, and what it is called.
PAIRS = {"the mean, in both phases": (0, 2), "its cube's size": (3, 4), "its cube": (5, 6)}

Bins = Float[np.ndarray, "b n bins"]


def explained_share(
    error: Bins, signals: tuple[Bins, Bins], counted: Float[np.ndarray, "b n"]
) -> Float[np.ndarray, " k"]:
    """Share of the energy of `error` in each patch that the best combination of two signals in every frame explains."""
    target, *basis = (each.reshape(*each.shape[:2], -1, PATCH_BINS) for each in (error, *signals))
    stacked = np.stack(basis, axis=-1)
    gram = np.einsum("...pi,...pj->...ij", stacked, stacked) + 1e-6 * np.eye(2)
    projection = np.einsum("...pi,...p->...i", stacked, target)
    solved = np.linalg.solve(gram, projection[..., None])[..., 0]
    explained, energy = (projection * solved).sum(-1), (target**2).sum(-1)
    weight = counted[..., None]
    return (weight * explained).sum((0, 1)) / (weight * energy).sum((0, 1))


def shares(
    pretrained: PretrainedModel, signal: Float[np.ndarray, "b samples"], point: int
) -> dict[str, Float[np.ndarray, " k"]]:
    """`explained_share` of each pair of signals, for crops coded in full detail at an operating point.

    Raises:
        InputError: the model has no prior on MDCT frames, or one bit rate only.
    """
    normalizer, transform, model = pretrained.normalizer, pretrained.config.tokenizer, pretrained.model
    rate = pretrained.signal.sample_rate
    if not normalizer.bit_rates or not isinstance(transform, MDCTConfig) or model.prior is None or rate is None:
        raise InputError(f"model {pretrained.name}: needs MDCT frames, several bit rates and a prior")
    range_hz = PatchConvolutionConfig().excitation_range_hz
    features = HarmonicFeatures(transform, *(bins_of_hertz(hertz, transform, rate) for hertz in range_hz))
    tokens = pretrained.tokenizer.tokenize(jnp.asarray(signal))
    x, side, _ = normalizer.normalize_at(tokens, point)
    kept = normalizer.num_kept(side)
    latent = model.encode(x, normalizer.features(side), kept).latent
    prediction = model.prior(jnp.concatenate([latent, normalizer.features(side)], axis=-1))
    of_bins = np.asarray(features(prediction.mean, prediction.log_scale), np.float64)
    error = np.asarray(x - prediction.mean, np.float64)
    counted = (np.asarray(side)[..., : normalizer.gain_columns.count].max(-1) > QUIET_GAIN).astype(np.float64)
    noise = np.random.default_rng(0).standard_normal((2, *error.shape))
    known = np.asarray(
        1.0 - (error**2 * counted[..., None]).sum((0, 1)) / (np.asarray(x) ** 2 * counted[..., None]).sum((0, 1))
    )
    table = {"known by the codes": known.reshape(-1, PATCH_BINS).mean(-1)}
    table["explained by white noise"] = explained_share(error, (noise[0], noise[1]), counted)
    for name, (first, second) in PAIRS.items():
        pair = (of_bins[..., first], of_bins[..., second])
        table[f"explained by {name}"] = explained_share(error, pair, counted)
    return table


def main() -> None:
    """Print one row per band."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", default="speech-16k")
    parser.add_argument("--bitrate", type=float, default=6.0, help="kbit/s of the operating point")
    parser.add_argument("--crops", type=int, default=64, help="crops of the validation split")
    parser.add_argument("--data-dir", type=Path, help="folder of the data sets (or set MEANFLOW_DATA_DIR)")
    arguments = parser.parse_args()
    pretrained = load_pretrained(arguments.model)
    data = build_dataset(
        pretrained.config.dataset, "valid", data_directory=arguments.data_dir, batch_size=arguments.crops, seed=0
    )
    rates = [bits_per_second / 1000.0 for bits_per_second in pretrained.normalizer.bit_rates]
    if arguments.bitrate not in rates:
        raise InputError(f"--bitrate must be that of an operating point, {rates}, not {arguments.bitrate:g}")
    with jax.default_matmul_precision("float32"):
        table = shares(pretrained, data.batch(0).signal, rates.index(arguments.bitrate))
    width = PATCH_BINS * (pretrained.signal.sample_rate or 0) / 2.0 / pretrained.tokenizer.spec.channels
    sys.stdout.write("| from (Hz) | " + " | ".join(table) + " |\n" + "| --- " * (len(table) + 1) + "|\n")
    for place, values in enumerate(zip(*table.values(), strict=True)):
        sys.stdout.write(f"| {place * width:.0f} | " + " | ".join(f"{value:.3f}" for value in values) + " |\n")


if __name__ == "__main__":
    main()
