"""What trains a decoder best: its flow, a spectral loss, a spectral energy distance, or a flow with one of them.

Command: `python -m meanflow_audio_codec.tools.benchmarks.ablations.decoder_losses --data-dir DATA --steps 400`.
Encoder, bottleneck and prior are those of a published model and stay as they are, so all decoders are given the same
codes; each decoder starts from the same random weights and is trained for the same number of steps on the same batches.
Scores are means over recordings of the validation split, decoded from these codes.
"""

import argparse
import dataclasses
import sys
import time
from pathlib import Path
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from meanflow_audio_codec.codec.codec import Codec
from meanflow_audio_codec.configs.experiment import (
    ExperimentConfig,
    OptimizerConfig,
    SpectralLossConfig,
    TrainingConfig,
)
from meanflow_audio_codec.errors import InputError
from meanflow_audio_codec.evaluators.clip_scores import DEFAULT_METRICS
from meanflow_audio_codec.inference.pretrained import PretrainedModel, load_pretrained
from meanflow_audio_codec.models.codec_model import CodecModel
from meanflow_audio_codec.tools.benchmarks.ablations.draws import chosen_clips, coded, draw_row, format_head, format_row
from meanflow_audio_codec.trainers.experiment import Experiment, build_experiment
from meanflow_audio_codec.trainers.optimizer import make_optimizer
from meanflow_audio_codec.trainers.state import initial_state
from meanflow_audio_codec.trainers.step import make_loss, make_train_step

# Evaluations and temperature of a decoding.
DECODINGS = ((1, 0.0), (1, 0.5), (1, 1.0), (4, 1.0))
WARMUP_STEPS = 50

MEL = SpectralLossConfig(weight=2.0, temperatures=(0.0, 1.0), bin_weight=0.5)
ENERGY_DISTANCE = MEL.model_copy(update={"repulsion": 1.0})


class Losses(NamedTuple):
    """What trains a decoder: weight of the flow, and the spectral loss."""

    method_loss_weight: float
    spectral_loss: SpectralLossConfig | None


LOSSES = {
    "flow": Losses(1.0, None),
    "spectral loss": Losses(0.0, MEL),
    "energy distance": Losses(0.0, ENERGY_DISTANCE),
    "flow + spectral loss": Losses(1.0, MEL),
    "flow + energy distance": Losses(1.0, ENERGY_DISTANCE),
}


def experiment_config(base: ExperimentConfig, losses: Losses, num_steps: int, batch_size: int) -> ExperimentConfig:
    """A model's configuration, with its decoder alone trained, by these losses; windows are the model's own."""
    spectral, own = losses.spectral_loss, base.training.spectral_loss
    if spectral is not None and own is not None:
        spectral = spectral.model_copy(update={"windows": own.windows})
    training = base.training.model_dump() | {
        "frozen_networks": ("encoder", "prior"),
        "num_steps": num_steps,
        "batch_size": batch_size,
        "ema_decay": 0.99,
        "method_loss_weight": losses.method_loss_weight,
        "spectral_loss": spectral,
    }
    parts = {
        "optimizer": OptimizerConfig(warmup_steps=WARMUP_STEPS),
        "training": TrainingConfig.model_validate(training),
    }
    return ExperimentConfig.model_validate(dict(base) | parts)


def trained_decoder(pretrained: PretrainedModel, experiment: Experiment) -> tuple[CodecModel, float]:
    """The model with a new decoder, its averaged weights, and the median seconds of a step."""
    config, own = experiment.config, pretrained.model
    model = CodecModel(own.encoder, own.bottleneck, own.prior, experiment.model.decoder)
    optimizer = make_optimizer(
        config.optimizer, config.training.num_steps, config.method, config.training.frozen_networks
    )
    loss = make_loss(
        experiment.tokenizer, experiment.segment_tokenizer, experiment.normalizer, experiment.method, config.training
    )
    train_step = make_train_step(loss, optimizer, config.training)
    # The step gives its state's memory away, and the networks are used again.
    state = initial_state(jax.tree.map(jnp.copy, model), optimizer)
    key, seconds = jax.random.key(config.training.seed), []
    for step in range(config.training.num_steps):
        signal = jnp.asarray(experiment.training_data.batch(step).signal)
        start = time.perf_counter()
        state, _ = jax.block_until_ready(train_step(state, signal, None, key))
        seconds.append(time.perf_counter() - start)
    return state.ema_model, float(np.median(seconds))


def main() -> None:
    """Print one table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", default="speech-16k", help="whose encoder, bottleneck and prior are used")
    parser.add_argument("--steps", type=int, default=400)
    parser.add_argument("--batch-size", type=int, default=8)
    parser.add_argument("--bitrate", type=float, default=3.2, help="kbit/s of the codes that are decoded")
    parser.add_argument("--clips", type=int, default=16, help="recordings of the validation split, evenly chosen")
    parser.add_argument("--losses", nargs="+", choices=LOSSES, default=list(LOSSES))
    parser.add_argument("--data-dir", type=Path, help="folder of the data sets (or set MEANFLOW_DATA_DIR)")
    arguments = parser.parse_args()
    for name, least in (("steps", 2), ("clips", 1), ("batch_size", 1)):
        if getattr(arguments, name) < least:
            raise InputError(f"--{name.replace('_', '-')} must be {least} or more, not {getattr(arguments, name)}")
    pretrained = load_pretrained(arguments.model)
    head, rule = format_head(DEFAULT_METRICS).splitlines()
    sys.stdout.write(f"| trained by {head} ms per step |\n| --- {rule} --- |\n")
    for name in arguments.losses:
        config = experiment_config(pretrained.config, LOSSES[name], arguments.steps, arguments.batch_size)
        experiment = build_experiment(config, arguments.data_dir, pretrained.normalizer.state())
        model, seconds = trained_decoder(pretrained, experiment)
        codec = Codec(dataclasses.replace(pretrained, model=model))
        clips, rate = chosen_clips(experiment.validation_data, arguments.clips)
        recordings = coded(codec, clips, rate, arguments.bitrate)
        for decoding in DECODINGS:
            row = draw_row(codec, recordings, *decoding, DEFAULT_METRICS)
            sys.stdout.write(f"| {name} {format_row(row)} {1000.0 * seconds:.0f} |\n")
            sys.stdout.flush()


if __name__ == "__main__":
    main()
