"""Training a part of a model: what is frozen keeps its weights to the last bit, and what is left out costs nothing."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from fixtures.computation import loss_of
from fixtures.one_rate import one_rate

from meanflow_audio_codec.configs.data import SyntheticAudioConfig
from meanflow_audio_codec.configs.experiment import (
    ExperimentConfig,
    OptimizerConfig,
    SpectralLossConfig,
    TrainingConfig,
)
from meanflow_audio_codec.configs.networks import (
    ConvNeXtConfig,
    EncoderConfig,
    FSQConfig,
    PriorConfig,
    RVQConfig,
    VelocityNetConfig,
)
from meanflow_audio_codec.configs.serialization import apply_overrides
from meanflow_audio_codec.configs.tokens import MDCTConfig
from meanflow_audio_codec.errors import InputError
from meanflow_audio_codec.trainers.experiment import Experiment, build_experiment
from meanflow_audio_codec.trainers.optimizer import make_optimizer
from meanflow_audio_codec.trainers.state import TrainState, initial_state
from meanflow_audio_codec.trainers.step import make_train_step

NETWORK = ConvNeXtConfig(width=8, num_blocks=1, kernel_size=3)


def experiment(**training: Any) -> Experiment:
    config = ExperimentConfig(
        dataset=SyntheticAudioConfig(crop_samples=128),
        tokenizer=MDCTConfig(hop_length=32),
        normalization=one_rate(4, 2),
        encoder=EncoderConfig(architecture=NETWORK),
        bottleneck=RVQConfig(channels=4, num_codebooks=2, codebook_size=4, code_channels=2),
        prior=PriorConfig(architecture=NETWORK),
        decoder=VelocityNetConfig(architecture=NETWORK, condition_width=8, num_time_frequencies=4),
        optimizer=OptimizerConfig(warmup_steps=0, weight_decay=0.1),
        training=TrainingConfig(batch_size=4, **({"spectral_loss": SpectralLossConfig(windows=(32, 64))} | training)),
    )
    return build_experiment(config, None)


def trained(given: Experiment) -> tuple[TrainState, TrainState, dict[str, float]]:
    """The state before and after three steps, and the last figures."""
    training = given.config.training
    optimizer = make_optimizer(given.config.optimizer, 10, given.config.method, training.frozen_networks)
    step = make_train_step(loss_of(given), optimizer, training)
    before = initial_state(given.model, optimizer)
    state = jax.tree.map(jnp.copy, before)
    metrics: dict[str, Any] = {}
    for number in range(3):
        signal = jnp.asarray(given.training_data.batch(number).signal)
        state, metrics = step(state, signal, None, jax.random.key(0))
    return before, state, {name: float(value) for name, value in metrics.items()}


def changed(before: Any, after: Any) -> list[bool]:
    pairs = zip(jax.tree.leaves(before), jax.tree.leaves(after), strict=True)
    return [not np.array_equal(one, other) for one, other in pairs]


@pytest.mark.parametrize("names", [("encoder",), ("prior",), ("encoder", "prior"), ("decoder",)], ids="+".join)
def test_frozen_networks_and_their_averages_keep_their_weights_to_the_last_bit(names: tuple[str, ...]) -> None:
    before, after, metrics = trained(experiment(frozen_networks=names))
    for old, new in ((before.model, after.model), (before.ema_model, after.ema_model)):
        for name in ("encoder", "bottleneck", "prior"):
            frozen = name in names or (name == "bottleneck" and "encoder" in names)
            assert any(changed(getattr(old, name), getattr(new, name))) != frozen, name
        assert any(changed(old.decoder, new.decoder)) != ("decoder" in names)
    # A frozen prior no longer says how good a checkpoint is.
    names_of_terms = {
        True: ("velocity_loss_at_equal_times", "spectral_loss"),
        False: ("prior_squared_error", "prior_scale_loss"),
    }["prior" in names]
    assert metrics["objective"] == pytest.approx(sum(metrics[name] for name in names_of_terms), rel=1e-5)


def test_a_decoder_can_be_trained_without_its_flow() -> None:
    before, after, metrics = trained(experiment(method_loss_weight=0.0, frozen_networks=("encoder", "prior")))
    assert any(changed(before.model.decoder, after.model.decoder))
    assert "velocity_loss" not in metrics
    assert metrics["objective"] == pytest.approx(metrics["spectral_loss"], rel=1e-6)


def test_encoder_and_prior_can_be_trained_by_regression_alone() -> None:
    weights = {"method_loss_weight": 0.0, "spectral_loss": None}
    before, after, metrics = trained(experiment(frozen_networks=("decoder",), **weights))
    assert any(changed(before.model.encoder, after.model.encoder))
    assert not any(changed(before.model.decoder, after.model.decoder))
    assert not {"velocity_loss", "spectral_loss"} & set(metrics)
    terms = ("prior_squared_error", "prior_scale_loss")
    assert metrics["objective"] == pytest.approx(sum(metrics[name] for name in terms), rel=1e-5)


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        (["prior=null", 'training.frozen_networks=["prior"]'], "frozen_networks names prior"),
        (["training.method_loss_weight=0", "training.spectral_loss=null"], "nothing trains the decoder"),
        (['training.frozen_networks=["encoder","prior","decoder"]'], "leaves nothing to train"),
        (
            [
                'training.frozen_networks=["decoder"]',
                "training.method_loss_weight=0",
                "training.spectral_loss=null",
                "prior=null",
            ],
            "only a prior trains the encoder",
        ),
        (
            [
                'training.frozen_networks=["decoder"]',
                "training.method_loss_weight=0",
                "training.spectral_loss=null",
                "training.prior_loss_weight=0",
            ],
            "only a prior trains the encoder",
        ),
        (
            ['method={"kind":"adversarial"}', "training.method_loss_weight=0.5", "training.spectral_loss=null"],
            "leave training.method_loss_weight at 1",
        ),
    ],
)
def test_what_cannot_be_trained_is_refused(settings: list[str], words: str) -> None:
    config = experiment().config.model_copy(update={"bottleneck": FSQConfig(levels=(5, 4))})
    with pytest.raises(InputError, match=words):
        apply_overrides(config, settings)
