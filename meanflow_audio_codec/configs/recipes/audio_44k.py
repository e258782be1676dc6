"""Music and general sound: 44.1 kHz, 43 frames per second, one evaluation of an improved mean flow. Little trained.

Command: `meanflow-codec train --config audio-44k --run-dir runs/audio-44k --data-dir DATA`, then
`meanflow-codec evaluate --model runs/audio-44k/model --data-dir DATA --bitrate 12 24 --opus 12 24`.
The development data are 13 minutes of music: what this recipe is for is a larger collection.
Duration: 1.5 steps of 8 crops per second on one core. The published weights are those of 1,100 such steps
with coarser gains and 1,400 more.
Score of these on the test split: at 11.8 kbit/s LSD 1.33, mel 0.201, SI-SDR -3.4 dB; at 23.5 1.34, 0.194, -1.2 dB.
"""

from meanflow_audio_codec.configs.data import AudioFolderConfig
from meanflow_audio_codec.configs.decoding import ServingConfig
from meanflow_audio_codec.configs.experiment import (
    ExperimentConfig,
    OptimizerConfig,
    SpectralLossConfig,
    TrainingConfig,
)
from meanflow_audio_codec.configs.methods import ImprovedMeanFlowConfig
from meanflow_audio_codec.configs.networks import (
    ConvNeXtConfig,
    EncoderConfig,
    FSQConfig,
    PriorConfig,
    VelocityNetConfig,
)
from meanflow_audio_codec.configs.tokens import BlockGainShapeConfig, MDCTConfig, OperatingPointConfig

HOP_LENGTH = 1024


def config() -> ExperimentConfig:
    """The experiment."""
    points = ((6_000, 9.0, 60), (12_000, 5.5, 128), (24_000, 5.0, 264), (32_000, 4.9, 360))
    return ExperimentConfig(
        name="audio-44k",
        dataset=AudioFolderConfig(
            folders=("music",), sample_rate=44_100, crop_samples=31 * HOP_LENGTH, gain_range_db=(-18.0, 3.0)
        ),
        tokenizer=MDCTConfig(hop_length=HOP_LENGTH),
        normalization=BlockGainShapeConfig(
            num_bands=32,
            operating_points=tuple(
                OperatingPointConfig(bits_per_second=bits, envelope_step_db=step, num_digits=digits)
                for bits, step, digits in points
            ),
        ),
        encoder=EncoderConfig(architecture=ConvNeXtConfig(width=192, num_blocks=4)),
        bottleneck=FSQConfig(levels=(5,) * 360),
        prior=PriorConfig(architecture=ConvNeXtConfig(width=224, num_blocks=4)),
        decoder=VelocityNetConfig(architecture=ConvNeXtConfig(width=224, num_blocks=4)),
        method=ImprovedMeanFlowConfig(default_temperature=0.25),
        optimizer=OptimizerConfig(learning_rate=1e-3, warmup_steps=200),
        training=TrainingConfig(
            num_steps=5_000,
            batch_size=16,
            spectral_loss=SpectralLossConfig(
                weight=2.0, windows=(512, 1024, 2048), repulsion=1.0, bin_weight=0.5, temperatures=(0.0, 1.0)
            ),
        ),
        serving=ServingConfig(default_bits_per_second=24_000),
    )
