"""Experiments in which, together, every field of every part occurs, with networks as small as can be."""

from typing import Any

from meanflow_audio_codec.configs.data import (
    AudioFolderConfig,
    AugmentationConfig,
    GaussianConfig,
    SyntheticAudioConfig,
)
from meanflow_audio_codec.configs.experiment import ExperimentConfig, OptimizerConfig, TrainingConfig
from meanflow_audio_codec.configs.methods import (
    AdversarialConfig,
    AutoencoderConfig,
    FixedGuidanceConfig,
    FlowMatchingConfig,
    GuidanceConfig,
    ImprovedMeanFlowConfig,
    MeanFlowConfig,
    MethodConfig,
    TimeConfig,
)
from meanflow_audio_codec.configs.networks import (
    ArchitectureConfig,
    BottleneckConfig,
    ConvNeXtConfig,
    DiscriminatorConfig,
    EncoderConfig,
    FSQConfig,
    MixerConfig,
    MLPConfig,
    PriorConfig,
    ResidualFSQConfig,
    RVQConfig,
    VelocityNetConfig,
)
from meanflow_audio_codec.configs.tokens import (
    BlockGainShapeConfig,
    ChannelStatisticsConfig,
    GainShapeConfig,
    MDCTConfig,
    OperatingPointConfig,
    ReshapeConfig,
)

CONVNEXT = ConvNeXtConfig(width=4, num_blocks=1, kernel_size=3, expansion=2)
MLP = MLPConfig(width=4, hidden_width=4, num_blocks=1)
MIXER = MixerConfig(width=4, token_width=4, num_blocks=1)
TIME = TimeConfig(equal_share=0.5)
FIXED_GUIDANCE = FixedGuidanceConfig(scale=2.0, mixing=0.25)
SETTINGS = TrainingConfig(num_steps=20, batch_size=4)


def training(**parts: Any) -> ExperimentConfig:
    return ExperimentConfig(optimizer=OptimizerConfig(warmup_steps=5), **{"training": SETTINGS, **parts})


def codec(architecture: ArchitectureConfig, **parts: Any) -> ExperimentConfig:
    networks = {
        "encoder": EncoderConfig(architecture=architecture),
        "bottleneck": FSQConfig(levels=(5, 4)),
        "prior": PriorConfig(architecture=architecture),
        "decoder": VelocityNetConfig(architecture=architecture, condition_width=4, num_time_frequencies=2),
    }
    return training(**(networks | parts))


def vector_codec(bottleneck: BottleneckConfig) -> ExperimentConfig:
    """Vectors of 16 numbers."""
    return codec(
        MIXER,
        bottleneck=bottleneck,
        dataset=GaussianConfig(shape=(16,)),
        tokenizer=ReshapeConfig(patch=4),
        normalization=ChannelStatisticsConfig(fit_batches=2),
        method=AutoencoderConfig(),
    )


def generator(method: MethodConfig) -> ExperimentConfig:
    """Three classes of sounds."""
    return training(
        dataset=SyntheticAudioConfig(sample_rate=8_000, crop_samples=32),
        tokenizer=ReshapeConfig(patch=8),
        normalization=ChannelStatisticsConfig(fit_batches=2, compression_power=0.5),
        encoder=None,
        decoder=VelocityNetConfig(architecture=CONVNEXT, condition_width=4, num_time_frequencies=2, num_classes=3),
        method=method,
    )


EXPERIMENTS: dict[str, ExperimentConfig] = {
    # The cheapest first: a field is changed in one after the other (`experiments_with`), until one shows its effect.
    "flow-matching": generator(FlowMatchingConfig(sampling_scale=2.0, adaptive_weight_power=1.0)),
    "mixer": vector_codec(FSQConfig(levels=(5, 4))),
    "residual-fsq": vector_codec(ResidualFSQConfig(channels=3, num_stages=2, num_levels=3)),
    "rvq": vector_codec(RVQConfig(channels=4, num_codebooks=2, codebook_size=4, code_channels=2)),
    "convnext": codec(
        CONVNEXT,
        dataset=AudioFolderConfig(
            folders=("first", "second"),
            sample_rate=8_000,
            crop_samples=64,
            label_columns=("digit",),
            level_dbfs=-20.0,
            augmentation=AugmentationConfig(
                speed_range=(0.75, 1.25), equalization_db=4.0, noise_probability=0.75, noise_clip_share=0.5
            ),
        ),
        segment_tokens=4,
        tokenizer=MDCTConfig(hop_length=8, window="kbd"),
        normalization=GainShapeConfig(num_bands=4),
        method=AutoencoderConfig(),
    ),
    "several-rates": training(
        dataset=SyntheticAudioConfig(sample_rate=8_000, crop_samples=40),
        tokenizer=MDCTConfig(hop_length=8),
        normalization=BlockGainShapeConfig(
            num_bands=4,
            block_frames=2,
            operating_points=(
                OperatingPointConfig(bits_per_second=600, envelope_step_db=12.0, num_digits=1),
                OperatingPointConfig(bits_per_second=1_200, envelope_step_db=6.0, num_digits=3),
            ),
            temperature_tilt=0.5,
            uncertainty_exponent=0.5,
            default_bits_per_second=900,
            fit_batches=2,
        ),
        encoder=EncoderConfig(architecture=CONVNEXT),
        bottleneck=FSQConfig(levels=(5, 3, 3)),
        prior=PriorConfig(architecture=CONVNEXT),
        decoder=VelocityNetConfig(architecture=CONVNEXT, condition_width=4, num_time_frequencies=2),
        training=SETTINGS.model_copy(
            update={
                "spectral_loss_weight": 0.5,
                "spectral_windows": (16, 32),
                "spectral_repulsion": 0.5,
                "spectral_bin_weight": 0.5,
                "spectral_temperatures": (0.0, 1.0),
            }
        ),
    ),
    "mlp": codec(
        MLP,
        dataset=SyntheticAudioConfig(sample_rate=8_000, crop_samples=64),
        tokenizer=ReshapeConfig(patch=16),
        normalization=GainShapeConfig(num_bands=1),
        method=AdversarialConfig(
            start_step=1, discriminator=DiscriminatorConfig(width=4, num_blocks=1, hop_lengths=(8, 16))
        ),
    ),
    "mean-flow": generator(MeanFlowConfig(time=TIME, guidance=FIXED_GUIDANCE)),
    "conditional-guidance": generator(
        ImprovedMeanFlowConfig(
            time=TIME, guidance=GuidanceConfig(max_scale=3.0, sampling_scale=2.0, condition_on_interval=True)
        )
    ),
    "fixed-guidance": generator(ImprovedMeanFlowConfig(time=TIME, guidance=FIXED_GUIDANCE)),
}
