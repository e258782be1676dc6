"""An experiment small enough for tests to train it from start to end."""

from typing import Any

from meanflow_audio_codec.configs.data import GaussianConfig
from meanflow_audio_codec.configs.experiment import ExperimentConfig, OptimizerConfig, TrainingConfig
from meanflow_audio_codec.configs.networks import ConvNeXtConfig, VelocityNetConfig
from meanflow_audio_codec.configs.tokens import ChannelStatisticsConfig, ReshapeConfig

NETWORK = ConvNeXtConfig(width=16, num_blocks=1, kernel_size=3, expansion=2)


def tiny(optimizer: OptimizerConfig | None = None, **training: Any) -> ExperimentConfig:
    """Gaussian data of 2 tokens with 4 channels; 200 steps of a few milliseconds."""
    settings = {
        "num_steps": 200,
        "batch_size": 32,
        "ema_decay": 0.9,
        "log_every": 1,
        "validate_every": 40,
        "validation_batches": 8,
        "checkpoint_every": 50,
        "keep_checkpoints": 4,
    }
    return ExperimentConfig(
        name="tiny",
        dataset=GaussianConfig(shape=(8,), scale=0.5),
        tokenizer=ReshapeConfig(patch=4),
        normalization=ChannelStatisticsConfig(fit_batches=4),
        encoder=None,
        decoder=VelocityNetConfig(architecture=NETWORK, condition_width=8, num_time_frequencies=4),
        optimizer=optimizer or OptimizerConfig(learning_rate=1e-2, warmup_steps=10),
        training=TrainingConfig(**(settings | training)),
    )
