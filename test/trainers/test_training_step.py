"""One step of training: what it draws and averages, what the optimiser does, and which loss trains what."""

import math
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from fixtures.one_rate import one_rate
from fixtures.tiny_training import tiny
from flax import nnx

from meanflow_audio_codec.configs.data import SyntheticAudioConfig
from meanflow_audio_codec.configs.experiment import ExperimentConfig, OptimizerConfig, TrainingConfig
from meanflow_audio_codec.configs.methods import AutoencoderConfig
from meanflow_audio_codec.configs.networks import (
    ConvNeXtConfig,
    EncoderConfig,
    FSQConfig,
    PriorConfig,
    VelocityNetConfig,
)
from meanflow_audio_codec.configs.tokens import MDCTConfig
from meanflow_audio_codec.datasets.synthetic import SyntheticAudio
from meanflow_audio_codec.models.build import build_method, build_model
from meanflow_audio_codec.models.codec_model import CodecModel
from meanflow_audio_codec.preprocessing.normalization import build_normalizer, unfitted_state
from meanflow_audio_codec.preprocessing.tokenizers import build_tokenizer
from meanflow_audio_codec.trainers.experiment import build_experiment
from meanflow_audio_codec.trainers.optimizer import learning_rate_schedule, make_optimizer
from meanflow_audio_codec.trainers.state import TrainState, initial_state
from meanflow_audio_codec.trainers.step import make_loss, make_train_step

# Keys and averages.


@pytest.fixture(scope="module")
def drawing_step() -> tuple[TrainState, Callable[..., Any]]:
    """A step whose loss pulls all weights to zero and logs a random number drawn with its key."""
    config = tiny(OptimizerConfig(learning_rate=1e-2, warmup_steps=0, schedule="constant"), ema_decay=0.5)
    optimizer = make_optimizer(config.optimizer, config.training.num_steps)

    def loss(
        model: CodecModel, signal: jax.Array, label: Any, key: jax.Array, step: jax.Array
    ) -> tuple[jax.Array, dict[str, jax.Array]]:
        return jnp.square(optax.tree.norm(model)), {"draw": jax.random.uniform(key)}

    return initial_state(build_experiment(config, None).model, optimizer), make_train_step(
        loss, optimizer, config.training
    )


def copied(state: TrainState) -> TrainState:
    """A step consumes the state it is given."""
    return jax.tree.map(jnp.copy, state)


def test_no_two_steps_draw_the_same_noise(drawing_step: tuple[TrainState, Callable[..., Any]]) -> None:
    """The draw depends on run key and step number alone, so a resumed run repeats none and changes none."""
    initial, step = drawing_step
    signal_batch = jnp.zeros((2, 8))

    def draws(state: TrainState, count: int, seed: int) -> tuple[TrainState, list[float]]:
        values = []
        for _ in range(count):
            state, metrics = step(state, signal_batch, None, jax.random.key(seed))
            values.append(float(metrics["draw"]))
        return state, values

    _, uninterrupted = draws(copied(initial), 6, 0)
    assert len(set(uninterrupted)) == 6
    halfway, first = draws(copied(initial), 3, 0)
    _, second = draws(halfway, 3, 0)
    assert first + second == uninterrupted
    _, other = draws(copied(initial), 6, 1)
    assert not set(other) & set(uninterrupted)


def test_the_average_follows_its_recurrence(drawing_step: tuple[TrainState, Callable[..., Any]]) -> None:
    """average <- d average + (1 - d) weights with d = min(decay, (1 + step) / (10 + step)), here 0.1, 2/11, 0.25."""
    initial, step = drawing_step
    state = copied(initial)
    expected = [np.asarray(leaf, np.float64) for leaf in jax.tree.leaves(initial.ema_model)]
    for number in range(3):
        state, _ = step(state, jnp.zeros((2, 8)), None, jax.random.key(0))
        decay = (1.0 + number) / (10.0 + number)
        weights = jax.tree.leaves(state.model)
        expected = [
            decay * average + (1.0 - decay) * np.asarray(leaf) for average, leaf in zip(expected, weights, strict=True)
        ]
    for average, leaf in zip(expected, jax.tree.leaves(state.ema_model), strict=True):
        np.testing.assert_allclose(leaf, average, rtol=1e-5, atol=1e-7)


# The optimiser.


def test_the_learning_rate_warms_up_and_decays() -> None:
    config = OptimizerConfig(learning_rate=0.2, warmup_steps=10, final_learning_rate_share=0.1)

    def rates(config: OptimizerConfig, *steps: int) -> list[float]:
        return [float(jnp.asarray(learning_rate_schedule(config, 110)(step))) for step in steps]

    np.testing.assert_allclose(rates(config, 0, 5, 10), [0.0, 0.1, 0.2], rtol=1e-6)
    halfway = 0.2 * (0.1 + 0.9 * 0.5 * (1.0 + math.cos(math.pi * 0.5)))
    np.testing.assert_allclose(rates(config, 60, 110, 500), [halfway, 0.02, 0.02], rtol=1e-5)
    constant = config.model_copy(update={"schedule": "constant", "warmup_steps": 0})
    np.testing.assert_allclose(rates(constant, 0, 1000), 0.2, rtol=1e-6)


def test_only_matrices_are_decayed_and_gradients_are_clipped() -> None:
    config = OptimizerConfig(
        learning_rate=0.1, warmup_steps=0, schedule="constant", weight_decay=0.5, max_gradient_norm=1.0
    )
    optimizer = make_optimizer(config, 10)
    weights = {"matrix": jnp.full((2, 2), 3.0), "bias": jnp.full(2, 3.0)}

    @jax.jit
    def update(value: float) -> Any:
        return optimizer.update(
            jax.tree.map(lambda leaf: jnp.full_like(leaf, value), weights), optimizer.init(weights), weights
        )

    updates, _ = update(0.0)
    np.testing.assert_allclose(updates["matrix"], -0.1 * 0.5 * 3.0, rtol=1e-6)
    np.testing.assert_array_equal(updates["bias"], 0.0)
    # First moment after a gradient of norm 490: (1 - beta1) times a gradient of norm 1.
    _, state = update(200.0)
    moments = [leaf for leaf in jax.tree.leaves(state) if leaf.ndim]
    assert float(optax.tree.norm(moments[: len(weights)])) == pytest.approx(0.1, rel=1e-5)


# The loss of a codec.


def test_the_decoder_trains_the_encoder() -> None:
    """Without the prior's own loss only the decoder's is left, through its local condition."""
    network = ConvNeXtConfig(width=8, num_blocks=1, kernel_size=3)
    config = ExperimentConfig(
        dataset=SyntheticAudioConfig(crop_samples=128),
        tokenizer=MDCTConfig(hop_length=32),
        normalization=one_rate(4, 2),
        encoder=EncoderConfig(architecture=network),
        bottleneck=FSQConfig(levels=(5, 4)),
        prior=PriorConfig(architecture=network),
        decoder=VelocityNetConfig(architecture=network, condition_width=8, num_time_frequencies=4),
        method=AutoencoderConfig(),
        training=TrainingConfig(prior_loss_weight=0.0),
    )
    data = SyntheticAudio(sample_rate=16_000, crop_samples=128, batch_size=4)
    tokenizer = build_tokenizer(config.tokenizer, data.spec)
    normalizer = build_normalizer(
        config.normalization,
        config.decoding,
        tokenizer.spec,
        data.spec,
        unfitted_state(config.normalization, tokenizer.spec),
    )
    random = np.random.default_rng(0)
    model = jax.tree.map(
        lambda leaf: jnp.asarray(0.3 * random.standard_normal(leaf.shape), jnp.float32),
        nnx.eval_shape(lambda: build_model(config, tokenizer.spec, len(normalizer.side_levels), jax.random.key(0))),
    )
    loss = make_loss(tokenizer, tokenizer, normalizer, build_method(config.method), config.training)
    batch = jnp.asarray(data.batch(0).signal)
    gradient, metrics = jax.jit(jax.grad(loss, has_aux=True))(model, batch, None, jax.random.key(0), jnp.array(0))
    # An autoencoder's decoder starts from silence, z = 0: what multiplies z alone has no gradient, all else has.
    silent = {
        jax.tree_util.keystr(path)
        for path, leaf in jax.tree_util.tree_leaves_with_path(gradient.decoder)
        if not leaf.any()
    }
    assert silent == {".mean_head.gain.bias.value", ".mean_head.gain.kernel.value", ".project_in.kernel.value"}
    trained = [bool(leaf.any()) for leaf in jax.tree.leaves((gradient.encoder, gradient.prior.backbone))]
    assert all(trained)
    # Features alone reach the decoder: mean and scale are the regression's.
    assert not any(leaf.any() for leaf in jax.tree.leaves((gradient.prior.mean, gradient.prior.log_scale)))
    # Checkpoints are compared by the regression: the better it is, the whiter and harder what is left for the flow.
    of_prior = metrics["prior_squared_error"] + metrics["prior_scale_loss"]
    assert float(metrics["objective"]) == pytest.approx(float(of_prior), rel=1e-6)
    assert 0.0 < float(metrics["code_entropy_bits"]) < math.log2(5 * 4) + 1e-3
