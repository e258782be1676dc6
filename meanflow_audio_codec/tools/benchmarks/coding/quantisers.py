"""FSQ, residual FSQ and RVQ at equal bits per frame: error at all, half and a quarter of the codes, and codebook use.

Command: `python -m meanflow_audio_codec.tools.benchmarks.coding.quantisers --data-dir DATA --steps 300`. Encoder and
prior are small ones trained by the regression part of the recipe `speech-16k`, without a flow. The number of codes is
drawn anew for every example, as in the recipe, so that every share of them must be useful.
"""

import argparse
import sys
import time
from collections.abc import Callable
from math import log2
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int

from meanflow_audio_codec.configs.experiment import ExperimentConfig, OptimizerConfig, TrainingConfig
from meanflow_audio_codec.configs.methods import AutoencoderConfig
from meanflow_audio_codec.configs.networks import (
    BottleneckConfig,
    ConvNeXtConfig,
    EncoderConfig,
    FSQConfig,
    PriorConfig,
    ResidualFSQConfig,
    RVQConfig,
    VelocityNetConfig,
)
from meanflow_audio_codec.configs.recipes import recipe
from meanflow_audio_codec.configs.tokens import BlockGainShapeConfig, OperatingPointConfig
from meanflow_audio_codec.errors import InputError
from meanflow_audio_codec.models.codec_model import CodecModel
from meanflow_audio_codec.models.methods.base import Metrics
from meanflow_audio_codec.tools.benchmarks.coding.code_usage import CodeUsage, code_usage
from meanflow_audio_codec.trainers.experiment import Experiment, build_experiment
from meanflow_audio_codec.trainers.optimizer import make_optimizer
from meanflow_audio_codec.trainers.state import initial_state
from meanflow_audio_codec.trainers.step import LossFunction, make_loss, make_train_step

# Share of the codes that is kept, and the bit rate that an operating point needs to have; nothing depends on the rates.
SHARES = {"a quarter": 4, "half": 2, "all": 1}
BITS_PER_SECOND = (1_500, 3_000, 6_000)
# The same for every share, so that the networks code the same coefficients.
ENVELOPE_STEP_DB = 10.0
VALIDATION_BATCHES = 32
# What is trained, and logged.
REGRESSION = ("prior_squared_error", "prior_scale_loss", "bottleneck_loss")

Coded = Callable[[CodecModel, Array, Int[Array, ""]], tuple[Float[Array, ""], Int[Array, "b n q"]]]


class Row(NamedTuple):
    """What is found out about one bottleneck; errors are those of quarter, half and all of the codes."""

    name: str
    levels: tuple[int, ...]
    squared_errors: list[float]
    usage: CodeUsage
    seconds_per_step: float


def bottlenecks() -> dict[str, BottleneckConfig]:
    """48 log2 5 = 111.45 bits per frame each: an entry of 5^4 has the bits of four digits of 5 levels."""
    return {
        "FSQ, 48 nested digits": FSQConfig(levels=(5,) * 48),
        "residual FSQ, 2 stages of 24 digits": ResidualFSQConfig(channels=24, num_stages=2, num_levels=5),
        "RVQ, 12 codebooks of 625": RVQConfig(channels=48, num_codebooks=12, codebook_size=5**4),
    }


def experiment_config(bottleneck: BottleneckConfig, num_steps: int, seed: int) -> ExperimentConfig:
    """The recipe `speech-16k` with this bottleneck, small networks, and a decoder that nothing depends on."""
    base = recipe("speech-16k")
    points = tuple(
        OperatingPointConfig(
            bits_per_second=rate, envelope_step_db=ENVELOPE_STEP_DB, num_digits=bottleneck.num_codes // divisor
        )
        for rate, divisor in zip(BITS_PER_SECOND, SHARES.values(), strict=True)
    )
    parts = {
        "name": "quantisers",
        "normalization": BlockGainShapeConfig.model_validate(dict(base.normalization) | {"operating_points": points}),
        "encoder": EncoderConfig(architecture=ConvNeXtConfig(width=96, num_blocks=4)),
        "bottleneck": bottleneck,
        "prior": PriorConfig(architecture=ConvNeXtConfig(width=128, num_blocks=4)),
        "decoder": VelocityNetConfig(architecture=ConvNeXtConfig(width=4, num_blocks=1), condition_width=4),
        "method": AutoencoderConfig(),
        "optimizer": OptimizerConfig(warmup_steps=50),
        "training": TrainingConfig(num_steps=num_steps, batch_size=base.training.batch_size, seed=seed),
    }
    return ExperimentConfig.model_validate(dict(base) | parts)


def main() -> None:
    """Print one table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--steps", type=int, default=300)
    parser.add_argument("--data-dir", type=Path, help="folder of the data sets (or set MEANFLOW_DATA_DIR)")
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    if arguments.steps < 2:
        raise InputError(f"--steps must be 2 or more, for the first one is not timed, not {arguments.steps}")
    sys.stdout.write(
        f"| bottleneck | bits per frame | {' | '.join(f'error, {share}' for share in SHARES)} | symbols used | "
        "entropy of log2 size | dead codes | ms per step |\n" + "| --- " * (len(SHARES) + 6) + "|\n"
    )
    for name, bottleneck in bottlenecks().items():
        config = experiment_config(bottleneck, arguments.steps, arguments.seed)
        sys.stdout.write(format_row(measure(name, build_experiment(config, arguments.data_dir))))
        sys.stdout.flush()


def measure(name: str, experiment: Experiment) -> Row:
    """Train an experiment and code its validation data, with the averaged weights."""
    model, seconds_per_step = trained(experiment)
    coded = jax.jit(coding(experiment))
    errors = np.zeros((len(SHARES), VALIDATION_BATCHES))
    codes = []
    for index in range(VALIDATION_BATCHES):
        signal = jnp.asarray(experiment.validation_data.batch(index).signal)
        for point in range(len(SHARES)):
            error, of_batch = coded(model, signal, jnp.array(point))
            errors[point, index] = float(error)
        codes.append(np.asarray(of_batch))
    if model.bottleneck is None:
        raise ValueError("a model without bottleneck has no codes")
    levels = model.bottleneck.levels
    usage = code_usage(np.concatenate(codes), levels)
    return Row(name, levels, errors.mean(axis=1).tolist(), usage, seconds_per_step)


def trained(experiment: Experiment) -> tuple[CodecModel, float]:
    """The averaged weights after training, and the seconds of a step, the first one left out."""
    config = experiment.config
    optimizer = make_optimizer(config.optimizer, config.training.num_steps, config.method)
    whole = make_loss(
        experiment.tokenizer, experiment.segment_tokenizer, experiment.normalizer, experiment.method, config.training
    )
    train_step = make_train_step(regression(whole), optimizer, config.training)
    state, key, seconds = initial_state(experiment.model, optimizer), jax.random.key(config.training.seed), 0.0
    for step in range(config.training.num_steps):
        signal = jnp.asarray(experiment.training_data.batch(step).signal)
        start = time.perf_counter()
        state, _ = jax.block_until_ready(train_step(state, signal, None, key))
        seconds += time.perf_counter() - start if step else 0.0
    return state.ema_model, seconds / (config.training.num_steps - 1)


def regression(loss_function: LossFunction) -> LossFunction:
    """The parts of a loss that train encoder, bottleneck and prior without the decoder."""

    def loss(*arguments: Any) -> tuple[Float[Array, ""], Metrics]:
        _, metrics = loss_function(*arguments)
        parts = {name: metrics[name] for name in REGRESSION}
        return sum(parts.values(), start=jnp.zeros(())), parts

    return loss


def coding(experiment: Experiment) -> Coded:
    """Weighted squared error of the prior's mean, and codes, of signals at full detail of an operating point.

    Raises:
        ValueError: the experiment has one bit rate only, or no prior.
    """
    normalizer = experiment.normalizer
    if not normalizer.bit_rates:
        raise ValueError("shares of the codes need operating points")

    def coded(
        model: CodecModel, signal: Float[Array, "b samples"], point: Int[Array, ""]
    ) -> tuple[Float[Array, ""], Int[Array, "b n q"]]:
        tokens = experiment.tokenizer.tokenize(signal)
        x, side, _ = normalizer.normalize_at(tokens, point)
        features = normalizer.features(side)
        encoded = model.encode(x, features, normalizer.num_kept(side))
        prediction = model.condition(encoded.latent, features).prediction
        if prediction is None:
            raise ValueError("the error is that of a prior")
        weight = normalizer.loss_weight(side, experiment.config.training.prior_gain_exponent)
        return prediction.squared_error(x, weight * normalizer.relative_weight(x)), encoded.codes

    return coded


def format_row(row: Row) -> str:
    """A line of the table."""
    sizes = np.array(row.levels)
    bits = sum(map(log2, row.levels))
    dead = round(float(((1.0 - row.usage.used_share) * sizes).sum()))
    errors = " | ".join(f"{error:.4f}" for error in row.squared_errors)
    return (
        f"| {row.name} | {bits:.2f} | {errors} | {100 * row.usage.used_share.mean():.1f} % | "
        f"{100 * row.usage.entropy_bits.sum() / bits:.1f} % | {dead} of {sizes.sum()} | "
        f"{1000 * row.seconds_per_step:.0f} |\n"
    )


if __name__ == "__main__":
    main()
