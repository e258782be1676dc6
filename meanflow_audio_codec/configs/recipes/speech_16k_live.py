"""The speech codec for conversations: 16 kHz, 100 frames per second, 3 to 12 kbit/s, 50 ms of algorithmic latency.

As `speech-16k`, with half the hop and causal networks: a packet is one block of four frames (40 ms), a sample waits for
the frame after its own (10 ms), and nothing looks ahead. As twice as many frames come per second, each has half the
digits, and the envelope fewer bands and wider steps (documentation/research/envelope_coding.md, "At half the hop").

Command: `meanflow-codec train --config speech-16k-live --run-dir runs/live --data-dir DATA`, then
`meanflow-codec evaluate --model runs/live/model --data-dir DATA --only sample_rate=16000 --bitrate 3 6 9 12
--frames-per-packet 4`.
Duration: 1 step of 10 crops per second on one core of two that other work was using too. The published weights are
those of 4,401 such steps in four runs (model card).
Score of these on the test split: at 5.9 kbit/s PESQ 2.23, ESTOI 0.827, mel 0.177; at 11.6 kbit/s 2.80, 0.887, 0.147.
"""

from meanflow_audio_codec.configs.data import AudioFolderConfig
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

HOP_LENGTH = 160


def config() -> ExperimentConfig:
    """The experiment."""
    points = ((3_000, 14.0, 10), (6_000, 9.0, 22), (9_000, 7.0, 35), (12_000, 6.0, 48))
    wide = ConvNeXtConfig(width=192, num_blocks=5, padding="causal")
    return ExperimentConfig(
        name="speech-16k-live",
        dataset=AudioFolderConfig(
            folders=("speech",), sample_rate=16_000, crop_samples=127 * HOP_LENGTH, gain_range_db=(-18.0, 6.0)
        ),
        tokenizer=MDCTConfig(hop_length=HOP_LENGTH),
        normalization=BlockGainShapeConfig(
            num_bands=18,
            block_frames=4,
            operating_points=tuple(
                OperatingPointConfig(bits_per_second=bits, envelope_step_db=step, num_digits=digits)
                for bits, step, digits in points
            ),
        ),
        encoder=EncoderConfig(architecture=ConvNeXtConfig(width=160, num_blocks=4, padding="causal")),
        bottleneck=FSQConfig(levels=(5,) * 48),
        prior=PriorConfig(architecture=wide),
        decoder=VelocityNetConfig(architecture=wide),
        method=ImprovedMeanFlowConfig(default_temperature=1.0),
        optimizer=OptimizerConfig(learning_rate=1e-3, warmup_steps=200),
        training=TrainingConfig(
            num_steps=3_000,
            batch_size=16,
            prior_gain_exponent=1.0,
            method_gain_exponent=1.0,
            spectral_loss=SpectralLossConfig(weight=2.0, repulsion=1.0, bin_weight=0.5, temperatures=(0.0, 1.0)),
        ),
    )
