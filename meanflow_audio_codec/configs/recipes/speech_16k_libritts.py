"""The speech codec on public corpora: `speech-16k` with larger networks, LibriTTS and VCTK, one GPU.

Commands: `meanflow-codec data --download libritts --data-dir DATA` and `--download vctk`, then
`meanflow-codec train --config speech-16k-libritts --run-dir runs/libritts --data-dir DATA` and
`meanflow-codec evaluate --model runs/libritts/model --data-dir DATA --limit 200 --bitrate 3 6 --opus 6`.
Data: about 280 hours for training (LibriTTS train-clean-100 and train-clean-360, VCTK), CC BY 4.0.
Nobody has run it, so there is neither a duration nor a score to expect.
"""

from meanflow_audio_codec.configs.experiment import ExperimentConfig
from meanflow_audio_codec.configs.networks import ConvNeXtConfig, EncoderConfig, PriorConfig
from meanflow_audio_codec.configs.recipes import speech_16k


def config() -> ExperimentConfig:
    """The experiment."""
    base = speech_16k.config()
    network = ConvNeXtConfig(width=384, num_blocks=8)
    return base.model_copy(
        update={
            "name": "speech-16k-libritts",
            "dataset": base.dataset.model_copy(update={"folders": ("libritts", "vctk")}),
            "encoder": EncoderConfig(architecture=ConvNeXtConfig(width=256, num_blocks=6)),
            "prior": PriorConfig(architecture=network),
            "decoder": base.decoder.model_copy(
                update={"architecture": base.decoder.architecture.model_copy(update={"width": 128})}
            ),
            "training": base.training.model_copy(
                update={"num_steps": 40_000, "batch_size": 64, "validate_every": 2_000, "checkpoint_every": 1_000}
            ),
        }
    )
