"""Experiments small enough for tests, in which a discriminator judges sounds or pictures."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from meanflow_audio_codec.configs.data import GaussianConfig, SyntheticAudioConfig
from meanflow_audio_codec.configs.experiment import ExperimentConfig, OptimizerConfig, TrainingConfig
from meanflow_audio_codec.configs.methods import AdversarialConfig, MethodConfig
from meanflow_audio_codec.configs.networks import (
    ConvNeXtConfig,
    DiscriminatorConfig,
    EncoderConfig,
    FSQConfig,
    PriorConfig,
    VelocityNetConfig,
)
from meanflow_audio_codec.configs.tokens import ChannelStatisticsConfig, GainShapeConfig, MDCTConfig, ReshapeConfig
from meanflow_audio_codec.models.codec_model import CodecModel
from meanflow_audio_codec.trainers.experiment import Experiment

NETWORK = ConvNeXtConfig(width=8, num_blocks=1, kernel_size=3, expansion=1)
TINY = DiscriminatorConfig(width=4, num_blocks=1, hop_lengths=(8, 20))
FAST = OptimizerConfig(learning_rate=1e-2, warmup_steps=1)


def noise(*shape: int, seed: int = 0) -> jax.Array:
    return jax.random.normal(jax.random.key(seed), shape)


def sounds(method: MethodConfig | None = None, *, prior: bool = False) -> ExperimentConfig:
    """Sounds of 160 samples, of whose 11 frames of 16 bins the networks see 5."""
    return ExperimentConfig(
        dataset=SyntheticAudioConfig(crop_samples=160),
        segment_tokens=5,
        tokenizer=MDCTConfig(hop_length=16),
        normalization=GainShapeConfig(num_bands=4),
        encoder=EncoderConfig(architecture=NETWORK),
        bottleneck=FSQConfig(levels=(5, 4)),
        prior=PriorConfig(architecture=NETWORK) if prior else None,
        decoder=VelocityNetConfig(architecture=NETWORK, condition_width=8, num_time_frequencies=4),
        method=method or AdversarialConfig(discriminator=TINY),
        training=TrainingConfig(batch_size=4, prior_loss_weight=0.0),
    )


def pictures(method: MethodConfig | None = None, optimizer: OptimizerConfig = FAST) -> ExperimentConfig:
    """Noise of 8 x 8 pixels in 4 tokens; four steps."""
    return ExperimentConfig(
        name="pictures",
        dataset=GaussianConfig(shape=(8, 8)),
        tokenizer=ReshapeConfig(patch=4),
        normalization=ChannelStatisticsConfig(fit_batches=2),
        encoder=EncoderConfig(architecture=NETWORK),
        bottleneck=FSQConfig(levels=(5, 4)),
        decoder=VelocityNetConfig(architecture=NETWORK, condition_width=8, num_time_frequencies=4),
        method=method or AdversarialConfig(discriminator=TINY),
        optimizer=optimizer,
        training=TrainingConfig(
            num_steps=4, batch_size=8, log_every=1, validate_every=1, validation_batches=1, checkpoint_every=4
        ),
    )


def signal_of(experiment: Experiment, step: int) -> jax.Array:
    return jnp.asarray(experiment.training_data.batch(step).signal)


def flat(tree: Any) -> np.ndarray:
    return np.concatenate([np.asarray(leaf, np.float64).ravel() for leaf in jax.tree.leaves(tree)])


def parts(gradient: CodecModel) -> tuple[np.ndarray, np.ndarray]:
    return flat(gradient.without_discriminator()), flat(gradient.discriminator)
