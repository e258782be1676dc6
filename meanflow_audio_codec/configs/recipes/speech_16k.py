"""The speech codec: 16 kHz, 50 frames per second, 1.5 to 12 kbit/s, one evaluation of an improved mean flow.

Command: `meanflow-codec train --config speech-16k --run-dir runs/speech-16k --data-dir DATA`, then
`meanflow-codec evaluate --model runs/speech-16k/model --data-dir DATA --only sample_rate=16000 --bitrate 3 6 --opus 6`.
Nobody has run this command to its end, so it has no score. What is published has encoder and prior of the sixth
version, from eight stages with a spectral loss, and this decoder, trained alone for 4,900 steps of 8 crops (1.3 steps
per second on two CPU cores, peak memory 2.2 GiB): model card and documentation/research/experiments.md.
"""

from meanflow_audio_codec.configs.data import AudioFolderConfig
from meanflow_audio_codec.configs.decoding import DecodingConfig
from meanflow_audio_codec.configs.experiment import ExperimentConfig, OptimizerConfig, TrainingConfig
from meanflow_audio_codec.configs.methods import ImprovedMeanFlowConfig, TimeConfig
from meanflow_audio_codec.configs.networks import (
    ConvNeXtConfig,
    EncoderConfig,
    FSQConfig,
    PatchConvolutionConfig,
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
            operating_points=tuple(
                OperatingPointConfig(bits_per_second=bits, envelope_step_db=step, num_digits=digits)
                for bits, step, digits in points
            ),
        ),
        encoder=EncoderConfig(architecture=ConvNeXtConfig(width=192, num_blocks=5)),
        bottleneck=FSQConfig(levels=(5,) * points[-1][-1]),
        prior=PriorConfig(architecture=ConvNeXtConfig(width=256, num_blocks=6)),
        decoder=VelocityNetConfig(architecture=PatchConvolutionConfig(), output="beyond-gaussian"),
        method=ImprovedMeanFlowConfig(
            # Wide times: one evaluation uses the velocity over all of [0, 1].
            time=TimeConfig(mean=0.0, standard_deviation=1.6, equal_share=0.75),
            default_temperature=0.8,
        ),
        optimizer=OptimizerConfig(learning_rate=1.5e-3, warmup_steps=100, final_learning_rate_share=0.02),
        training=TrainingConfig(num_steps=20_000, batch_size=8, prior_gain_exponent=1.0, method_gain_exponent=0.0),
        decoding=DecodingConfig(energy_restoration=0.6, uncertainty_exponent=1.0),
    )
