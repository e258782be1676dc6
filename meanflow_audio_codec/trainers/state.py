"""Everything that changes while training."""

from dataclasses import dataclass

import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array, Int

from meanflow_audio_codec.models.codec_model import CodecModel


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class TrainState:
    """Step number, weights, their moving average, and the optimiser's state: one pytree."""

    step: Int[Array, ""]
    model: CodecModel
    ema_model: CodecModel
    opt_state: optax.OptState


def initial_state(model: CodecModel, optimizer: optax.GradientTransformation) -> TrainState:
    """The state before the first step; the average starts as a copy of the weights."""
    return TrainState(
        step=jnp.zeros((), jnp.int32),
        model=model,
        ema_model=jax.tree.map(jnp.copy, model),
        opt_state=optimizer.init(model),  # pyright: ignore[reportArgumentType]  # a module is a pytree of parameters
    )
