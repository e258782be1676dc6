"""How much more likely a flow finds recordings than the Gaussian it starts from: nats per coefficient.

Command: `python -m meanflow_audio_codec.tools.benchmarks.ablations.nats --bitrate 6 --data-dir DATA`. The Gaussian is
the prior's (mean and scale of every coefficient), or the unit Gaussian where there is no prior. A blind metric says how
a decoder sounds; this says how much of p(coefficients | codes) it has learned, by no ear at all.

Why it is a likelihood. Let x be standardised coefficients, e ~ N(0, 1), and z = (1 - t) x + t e. Up to a factor z is x
seen through noise, at the signal-to-noise ratio s(t) = (1 - t)^2 / t^2. The relative entropy of the distribution p of x
to another one, q, is half the integral over all s of what the best estimate under q is worse than the best under p
(Verdu, IEEE Transactions on Information Theory 56, 2010, theorem 1; Guo, Shamai and Verdu, 2005, for the derivative):

    D(p || q) = 1/2 int [mse_q(s) - mse_p(s)] ds.                                                                   (1)

An estimate y of x is a velocity v = (z - y) / t, with e - x = (z - x) / t the true one, so mse(x) = t^2 mse(v); and
|ds/dt| = 2 (1 - t) / t^3. With q = N(0, 1), whose velocity is known (`models/gaussian_velocity.py`), (1) becomes

    D(p || q) = int_0^1 [mse_q(v) - mse_p(v)] (1 - t) / t dt.                                                       (2)

A network in the place of p has at least p's error, so that what (2) gives for it is a lower bound of D, reached by a
perfect flow: the nats that the network has found (Kong, Brekelmans and Ver Steeg, arXiv 2302.03792). In log-odds
w = log(t / (1 - t)), dt = t (1 - t) dw, and the weight is (1 - t)^2, which is finite: the sum has equal steps in w.
"""

import argparse
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, PRNGKeyArray

from meanflow_audio_codec.datasets.build import build_dataset
from meanflow_audio_codec.errors import InputError
from meanflow_audio_codec.inference.pretrained import PretrainedModel, load_pretrained
from meanflow_audio_codec.models.codec_model import CodecModel
from meanflow_audio_codec.models.conditioning import Conditioning
from meanflow_audio_codec.models.gaussian_velocity import gaussian_velocity_gain
from meanflow_audio_codec.models.methods.base import expand, interpolate
from meanflow_audio_codec.models.methods.flow_matching import FlowMatching
from meanflow_audio_codec.models.methods.improved_mean_flow import ImprovedMeanFlow
from meanflow_audio_codec.models.methods.mean_flow import MeanFlow
from meanflow_audio_codec.models.methods.mean_velocity import instantaneous_velocity

# Log-odds of the times: t from 0.0025 to 0.9975.
LARGEST_LOG_ODDS = 6.0
# Upper ends of the bands, in Hz.
BAND_ENDS = (1_000, 2_000, 4_000, 8_000, 16_000, 24_000)
BATCH_SIZE = 8

Coefficients = Float[Array, "b n c"]


def log_odds(num_times: int) -> Float[np.ndarray, " times"]:
    """Middles of equal steps between the two ends."""
    edges = np.linspace(-LARGEST_LOG_ODDS, LARGEST_LOG_ODDS, num_times + 1)
    return 0.5 * (edges[:-1] + edges[1:])


def gained_nats(
    velocity: Callable[[Coefficients, Float[Array, " b"]], Coefficients],
    x: Coefficients,
    num_times: int,
    key: PRNGKeyArray,
) -> Float[Array, "b c"]:
    """Nats over the unit Gaussian, equation (2), of every example and channel, a mean over tokens.

    Both velocities are given the same noise, so that the difference varies less than either error.
    """
    places = jnp.asarray(log_odds(num_times), x.dtype)
    step = 2.0 * LARGEST_LOG_ODDS / num_times

    def reduction(place: Float[Array, ""], key: PRNGKeyArray) -> Float[Array, "b c"]:
        t = jnp.full(len(x), jax.nn.sigmoid(place))
        e = jax.random.normal(key, x.shape, x.dtype)
        z = interpolate(x, e, t)
        of_gaussian = (expand(gaussian_velocity_gain(t, t)) * z - (e - x)) ** 2
        of_network = (velocity(z, t) - (e - x)) ** 2
        return step * jax.nn.sigmoid(-place) ** 2 * (of_gaussian - of_network).mean(axis=1)

    # One time after another: all at once would need so many times the memory.
    return jax.lax.map(lambda each: reduction(*each), (places, jax.random.split(key, num_times))).sum(axis=0)


def nats_of_model(
    pretrained: PretrainedModel, num_times: int, point: int
) -> Callable[[Float[Array, "b samples"], PRNGKeyArray], Float[Array, "b c"]]:
    """`gained_nats` of recordings coded by a model, in full detail at an operating point where it has several.

    Raises:
        InputError: the model is no codec, or its decoder is not trained as a flow.
    """
    method, normalizer = pretrained.method, pretrained.normalizer
    if not isinstance(method, FlowMatching | MeanFlow | ImprovedMeanFlow):
        raise InputError(f"model {pretrained.name}: {pretrained.config.method.kind} has no velocity at other times")
    if pretrained.model.encoder is None:
        raise InputError(f"model {pretrained.name}: is no codec, and has no codes to condition on")

    @jax.jit
    def nats(model: CodecModel, signal: Float[Array, "b samples"], key: PRNGKeyArray) -> Float[Array, "b c"]:
        tokens = pretrained.tokenizer.tokenize(signal)
        if pretrained.config.segment_tokens is not None:  # the middle of a crop, as in training
            first = (tokens.shape[1] - pretrained.config.segment_tokens) // 2
            tokens = tokens[:, first : first + pretrained.config.segment_tokens]
        x, side, _ = normalizer.normalize_at(tokens, point)
        features = normalizer.features(side)
        condition = model.condition(model.encode(x, features, normalizer.num_kept(side)).latent, features)
        if condition.prediction is not None:
            x = condition.prediction.standardize(x)

        def velocity(z: Coefficients, t: Float[Array, " b"]) -> Coefficients:
            return instantaneous_velocity(model.decoder, z, t, Conditioning(local=condition.features))

        return gained_nats(velocity, x, num_times, key)

    return partial(nats, pretrained.model)


def bands(num_channels: int, sample_rate: int) -> list[tuple[str, slice]]:
    """Names of the bands, and which coefficients lie in each; the last is all of them."""
    width, low, found = sample_rate / 2.0 / num_channels, 0.0, []
    for end in (*(end for end in BAND_ENDS if end < sample_rate / 2.0), sample_rate / 2.0):
        found.append((f"{low / 1000:g} to {end / 1000:g} kHz", slice(round(low / width), round(end / width))))
        low = end
    return [*found, ("all", slice(0, num_channels))]


def operating_point(pretrained: PretrainedModel, bitrate: float | None) -> int:
    """The number of the operating point of this rate in kbit/s; 0 where none is named and the model has one rate.

    Raises:
        InputError: the model has no operating point of this rate, or has several and none is named.
    """
    points = getattr(pretrained.config.normalization, "operating_points", ())
    rates = [point.bits_per_second / 1000.0 for point in points]
    if len(rates) < 2 and bitrate is None:
        return 0
    if bitrate not in rates:
        raise InputError(f"--bitrate must be that of an operating point, {rates or 'of which there are none'}")
    return rates.index(bitrate)


def main() -> None:
    """Print one row per band: the mean over crops, and its standard error."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default="speech-16k", help="built-in name, or model folder")
    parser.add_argument("--bitrate", type=float, help="kbit/s of the operating point, for models of several bit rates")
    parser.add_argument("--crops", type=int, default=64, help="crops of the validation split, always the same")
    parser.add_argument("--times", type=int, default=24, help="times at which the error is taken")
    parser.add_argument("--data-dir", type=Path, help="folder of the data sets (or set MEANFLOW_DATA_DIR)")
    arguments = parser.parse_args()
    for name in ("crops", "times"):
        if getattr(arguments, name) < 2:
            raise InputError(f"--{name} must be 2 or more, not {getattr(arguments, name)}")
    pretrained = load_pretrained(arguments.model)
    sample_rate = pretrained.signal.sample_rate
    if sample_rate is None:
        raise InputError(f"model {pretrained.name}: is of images; bands of frequencies are of audio")
    nats = nats_of_model(pretrained, arguments.times, operating_point(pretrained, arguments.bitrate))
    data = build_dataset(
        pretrained.config.dataset, "valid", data_directory=arguments.data_dir, batch_size=BATCH_SIZE, seed=0
    )
    rows: list[np.ndarray] = []
    for index in range(-(-arguments.crops // BATCH_SIZE)):
        key = jax.random.fold_in(jax.random.key(0), index)
        rows += list(np.asarray(nats(jnp.asarray(data.batch(index).signal), key), np.float64))
    of_crops = np.stack(rows[: arguments.crops])
    sys.stdout.write("| band | nats per coefficient | standard error |\n| --- | --- | --- |\n")
    for name, chosen in bands(of_crops.shape[1], sample_rate):
        values = of_crops[:, chosen].mean(axis=1)
        error = values.std(ddof=1) / np.sqrt(len(values))
        sys.stdout.write(f"| {name} | {values.mean():.4f} | {error:.4f} |\n")


if __name__ == "__main__":
    main()
