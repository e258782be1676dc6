"""The comparator of `speech-16k`: its decoder, trained against discriminators instead of by a flow.

The same codes, the same network with as many parameters, the same noise, one evaluation; encoder and prior are those of
the published model and stay.

Command: `meanflow-codec train --config speech-16k-adversarial --init-from speech-16k --run-dir runs/adversarial
--data-dir DATA`; with `--set 'training.fresh_networks=["decoder"]'` the decoder starts from random weights, at the
prior's noise. Then `meanflow-codec evaluate --model runs/adversarial/model --data-dir DATA --only sample_rate=16000`.
"""

from meanflow_audio_codec.configs.adversarial_sampler import AdversarialSamplerConfig
from meanflow_audio_codec.configs.experiment import ExperimentConfig, OptimizerConfig
from meanflow_audio_codec.configs.recipes import speech_16k


def config() -> ExperimentConfig:
    """The experiment."""
    base = speech_16k.config()
    return base.model_copy(
        update={
            "name": "speech-16k-adversarial",
            "method": AdversarialSamplerConfig(),
            # Moments as codecs with adversaries have them (HiFi-GAN, arXiv 2010.05646; the Descript codec).
            "optimizer": OptimizerConfig(
                learning_rate=5e-4,
                warmup_steps=100,
                final_learning_rate_share=0.02,
                weight_decay=0.0,
                beta1=0.8,
                beta2=0.99,
            ),
            "training": base.training.model_copy(
                update={"num_steps": 6_000, "frozen_networks": ("encoder", "prior"), "ema_decay": 0.998}
            ),
        }
    )
