"""Handwritten digits from their labels: the same trainer, improved mean flow, one evaluation.

Command: `meanflow-codec train --config mnist --run-dir runs/mnist --data-dir DATA`, then
`meanflow-codec evaluate --model runs/mnist/model --data-dir DATA`.
Duration: 9 min 33 s on two CPU cores; peak memory 1.5 GiB.
Score: 96.5 % of 5,000 samples show their digit to the shipped classifier (99.4 % of real test images do); Frechet
distance in its features 16.4 to the 10,000 test images. One evaluation, guidance scale 3.
"""

from meanflow_audio_codec.configs.data import MnistConfig
from meanflow_audio_codec.configs.experiment import ExperimentConfig, OptimizerConfig, TrainingConfig
from meanflow_audio_codec.configs.methods import GuidanceConfig, ImprovedMeanFlowConfig
from meanflow_audio_codec.configs.networks import ConvNeXtConfig, VelocityNetConfig
from meanflow_audio_codec.configs.tokens import ChannelStatisticsConfig, ReshapeConfig


def config() -> ExperimentConfig:
    """The experiment."""
    return ExperimentConfig(
        name="mnist",
        dataset=MnistConfig(),
        tokenizer=ReshapeConfig(patch=7),
        normalization=ChannelStatisticsConfig(),
        encoder=None,
        decoder=VelocityNetConfig(
            architecture=ConvNeXtConfig(width=192, num_blocks=5, kernel_size=5),
            output="data",
            num_classes=10,
        ),
        method=ImprovedMeanFlowConfig(guidance=GuidanceConfig(max_scale=4.0, sampling_scale=3.0)),
        optimizer=OptimizerConfig(learning_rate=1e-3, warmup_steps=100),
        training=TrainingConfig(num_steps=1_800, batch_size=128, ema_decay=0.995, validate_every=500),
    )
