"""The speech codec: 16 kHz, 50 frames per second, 1.5 to 12 kbit/s, one evaluation of an improved mean flow.

Command: `meanflow-codec train --config speech-16k --run-dir runs/speech-16k --data-dir DATA`, then
`meanflow-codec evaluate --model runs/speech-16k/model --data-dir DATA --only sample_rate=16000 --bitrate 3 6 --opus 6`.
Duration: some two hours on two CPU cores (estimated: 1.2 steps per second on cores that other work was using too); peak
memory 2.5 GiB, before the second draw of the energy distance. The published weights were trained in eight stages, the
last of them 1,000 steps of the decoder alone (model card).
Score of these on the test split: at 6.0 kbit/s PESQ 3.27, ESTOI 0.872, mel 0.150; at 3.2 kbit/s 2.67, 0.799, 0.170.
"""

from meanflow_audio_codec.configs.data import AudioFolderConfig
from meanflow_audio_codec.configs.experiment import ExperimentConfig, OptimizerConfig, TrainingConfig
from meanflow_audio_codec.configs.methods import ImprovedMeanFlowConfig
from meanflow_audio_codec.configs.networks import (
    ConvNeXtConfig,
    EncoderConfig,
    FSQConfig,
    PriorConfig,
    VelocityNetConfig,
)
from meanflow_audio_codec.configs.tokens import BlockGainShapeConfig, MDCTConfig, OperatingPointConfig


def config() -> ExperimentConfig:
    """The experiment."""
    # Up to half of the bits for the envelope, and more digits than the rest pays for on average: loud frames have them,
    # quiet ones leave them out. Points lie so close that a rate between two does not pay for much finer gains.
    points = (
        (1_500, 14.0, 10),
        (2_100, 10.5, 15),
        (3_000, 7.5, 22),
        (4_200, 6.2, 33),
        (6_000, 5.0, 48),
        (9_000, 4.5, 76),
        (12_000, 4.0, 112),
    )
    return ExperimentConfig(
        name="speech-16k",
        dataset=AudioFolderConfig(
            folders=("speech",), sample_rate=16_000, crop_samples=63 * 320, gain_range_db=(-18.0, 6.0)
        ),
        tokenizer=MDCTConfig(hop_length=320),
        normalization=BlockGainShapeConfig(
            num_bands=21,
            block_frames=4,
            loss_gain_exponent=1.0,
            energy_restoration=0.6,
            operating_points=tuple(
                OperatingPointConfig(bits_per_second=bits, envelope_step_db=step, num_digits=digits)
                for bits, step, digits in points
            ),
        ),
        encoder=EncoderConfig(architecture=ConvNeXtConfig(width=192, num_blocks=5)),
        bottleneck=FSQConfig(levels=(5,) * points[-1][-1]),
        prior=PriorConfig(architecture=ConvNeXtConfig(width=256, num_blocks=6)),
        decoder=VelocityNetConfig(architecture=ConvNeXtConfig(width=256, num_blocks=6)),
        method=ImprovedMeanFlowConfig(default_temperature=0.15),
        optimizer=OptimizerConfig(learning_rate=1e-3, warmup_steps=200),
        training=TrainingConfig(
            num_steps=9_000,
            batch_size=16,
            spectral_loss_weight=2.0,
            spectral_repulsion=1.0,
            spectral_bin_weight=0.5,
            spectral_temperatures=(0.0, 1.0),
        ),
    )
