"""The loss of a whole model, and one training step."""

from collections.abc import Callable
from functools import partial

import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array, Float, Int, PRNGKeyArray

from meanflow_audio_codec.configs.experiment import TrainingConfig
from meanflow_audio_codec.models.bottleneck import code_entropy
from meanflow_audio_codec.models.codec_model import CodecModel
from meanflow_audio_codec.models.conditioning import Conditioning
from meanflow_audio_codec.models.methods.base import Method, Metrics
from meanflow_audio_codec.preprocessing.normalization import TokenNormalizer
from meanflow_audio_codec.preprocessing.tokenizers import Tokenizer
from meanflow_audio_codec.trainers.state import TrainState

Signal = Float[Array, "b *signal"]
Labels = Int[Array, " b"] | None
TrainStep = Callable[[TrainState, Signal, Labels, PRNGKeyArray], tuple[TrainState, Metrics]]
LossFunction = Callable[[CodecModel, Signal, Labels, PRNGKeyArray], tuple[Float[Array, ""], Metrics]]


def make_loss(
    tokenizer: Tokenizer, normalizer: TokenNormalizer, method: Method, training: TrainingConfig
) -> LossFunction:
    """The training loss of a model on signals: tokens, codes, prior and method in one function.

    `objective` among the metrics is what validation compares checkpoints by: the un-weighted loss of the method, since
    the adaptively weighted one is nearly constant by construction; but with a prior the prior's own losses, since the
    flow's target is then a residual that grows whiter, and its loss larger, the better the prior becomes.
    """

    def loss_function(
        model: CodecModel, signal: Signal, label: Labels, key: PRNGKeyArray
    ) -> tuple[Float[Array, ""], Metrics]:
        x, side_indices = normalizer.normalize(tokenizer.tokenize(signal))
        side = normalizer.features(side_indices)
        weight = normalizer.loss_weight(side_indices)
        metrics: Metrics = {}
        loss, objective, local = jnp.zeros(()), None, None
        if model.bottleneck is not None:
            encoded = model.encode(x, side)
            metrics["code_entropy_bits"] = code_entropy(encoded.codes, model.bottleneck.levels)
            condition = model.condition(encoded.latent, side)
            local = condition.features
            if condition.prediction is not None:
                squared_error = condition.prediction.squared_error(x, weight)
                scale_loss = condition.prediction.scale_loss(x, weight)
                metrics |= {"prior_squared_error": squared_error, "prior_scale_loss": scale_loss}
                loss = loss + training.prior_loss_weight * (squared_error + scale_loss)
                objective = squared_error + scale_loss
                # The flow must not move the prediction to make its own task easier.
                x = jax.lax.stop_gradient(condition.prediction.standardize(x))
            if training.detach_condition:
                local = jax.lax.stop_gradient(local)
        method_loss, method_metrics = method.loss(model.decoder, x, Conditioning(label=label, local=local), weight, key)
        metrics |= method_metrics
        if objective is not None:
            metrics["objective"] = objective
        metrics["loss"] = loss + method_loss
        return loss + method_loss, metrics

    return loss_function


def make_train_step(
    loss_function: LossFunction, optimizer: optax.GradientTransformation, config: TrainingConfig
) -> TrainStep:
    """One jitted step: gradient, update, moving average. The key of a step is the run's key folded with its number."""

    @partial(jax.jit, donate_argnums=0)
    def train_step(
        state: TrainState, signal: Signal, label: Labels, run_key: PRNGKeyArray
    ) -> tuple[TrainState, Metrics]:
        key = jax.random.fold_in(run_key, state.step)
        (_, metrics), gradient = jax.value_and_grad(loss_function, has_aux=True)(state.model, signal, label, key)
        updates, opt_state = optimizer.update(gradient, state.opt_state, state.model)  # pyright: ignore[reportArgumentType]
        model = optax.apply_updates(state.model, updates)  # pyright: ignore[reportArgumentType]
        # The average forgets its start quickly: decay grows to its final value over the first steps.
        decay = jnp.minimum(config.ema_decay, (1.0 + state.step) / (10.0 + state.step))
        ema_model = jax.tree.map(lambda average, new: decay * average + (1.0 - decay) * new, state.ema_model, model)
        metrics = metrics | {"gradient_norm": optax.tree.norm(gradient)}
        return TrainState(state.step + 1, model, ema_model, opt_state), metrics  # pyright: ignore[reportArgumentType]

    return train_step
