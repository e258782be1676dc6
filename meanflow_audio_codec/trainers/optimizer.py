"""AdamW with warm-up, schedule and clipping."""

import jax
import optax

from meanflow_audio_codec.configs.experiment import OptimizerConfig


def learning_rate_schedule(config: OptimizerConfig, num_steps: int) -> optax.Schedule:
    """Linear warm-up from zero, then constant or half a cosine down to `final_learning_rate_share` of the peak."""
    warmup = optax.linear_schedule(0.0, config.learning_rate, max(config.warmup_steps, 1))
    match config.schedule:
        case "constant":
            rest = optax.constant_schedule(config.learning_rate)
        case "cosine":
            rest = optax.cosine_decay_schedule(
                config.learning_rate, max(num_steps - config.warmup_steps, 1), config.final_learning_rate_share
            )
    return optax.join_schedules([warmup, rest], [config.warmup_steps])


def make_optimizer(config: OptimizerConfig, num_steps: int) -> optax.GradientTransformation:
    """Clipping by global norm, then AdamW; biases and other vectors are not decayed."""
    return optax.chain(
        optax.clip_by_global_norm(config.max_gradient_norm),
        optax.adamw(
            learning_rate_schedule(config, num_steps),
            b1=config.beta1,
            b2=config.beta2,
            weight_decay=config.weight_decay,
            mask=lambda parameters: jax.tree.map(lambda leaf: leaf.ndim > 1, parameters),
        ),
    )
