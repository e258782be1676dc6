"""Music: `audio-44k` with larger networks on the songs of MUSDB18-HQ, four times the steps at twice the batch size.

Non-commercial: the terms of MUSDB18-HQ allow education and research only, and weights trained on it inherit that limit.
Commands: `meanflow-codec data --download musdb18hq --data-dir DATA`, then
`meanflow-codec train --config audio-44k-musdb18 --run-dir runs/musdb18 --data-dir DATA` and
`meanflow-codec evaluate --model runs/musdb18/model --data-dir DATA --bitrate 12 24 --opus 12 24`.
Data: 86 songs for training, 14 for validation, 50 for the test, 10 hours in all.
Duration: less than half an hour on one GPU. This is an estimate, not a measurement: a twentieth of the operations of
`speech-16k-libritts`, in half as many steps. Nobody has run it to the end, so there is no score to expect.
"""

from meanflow_audio_codec.configs.experiment import ExperimentConfig
from meanflow_audio_codec.configs.networks import ConvNeXtConfig, EncoderConfig, PriorConfig
from meanflow_audio_codec.configs.recipes import audio_44k


def config() -> ExperimentConfig:
    """The experiment."""
    base = audio_44k.config()
    network = ConvNeXtConfig(width=288, num_blocks=4)
    return base.model_copy(
        update={
            "name": "audio-44k-musdb18",
            "dataset": base.dataset.model_copy(update={"folders": ("musdb18hq",)}),
            "encoder": EncoderConfig(architecture=ConvNeXtConfig(width=256, num_blocks=4)),
            "prior": PriorConfig(architecture=network),
            "decoder": base.decoder.model_copy(update={"architecture": network}),
            "training": base.training.model_copy(
                update={"num_steps": 20_000, "batch_size": 32, "validate_every": 1_000, "checkpoint_every": 1_000}
            ),
        }
    )
