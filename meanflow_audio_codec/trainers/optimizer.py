"""AdamW with warm-up, schedule and clipping; Adam for a discriminator."""

from functools import partial

import jax
import optax

from meanflow_audio_codec.configs.adversarial_sampler import AdversarialSamplerConfig
from meanflow_audio_codec.configs.experiment import OptimizerConfig
from meanflow_audio_codec.configs.methods import AdversarialConfig, MethodConfig

# Of the discriminator: short memories, for its task changes with every step of the other networks (EnCodec, VQGAN).
DISCRIMINATOR_BETAS = (0.5, 0.9)
DISCRIMINATOR = jax.tree_util.GetAttrKey("discriminator")  # where `CodecModel` keeps it


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


def make_optimizer(
    config: OptimizerConfig,
    num_steps: int,
    method: MethodConfig | None = None,
    frozen_networks: tuple[str, ...] = (),
) -> optax.GradientTransformation:
    """Clipping by global norm, then AdamW; biases and other vectors are not decayed, frozen networks not touched.

    Under an adversarial method the discriminator is clipped apart and has moments and a learning rate of its own.
    """
    networks = optax.chain(
        optax.clip_by_global_norm(config.max_gradient_norm),
        optax.adamw(
            learning_rate_schedule(config, num_steps),
            b1=config.beta1,
            b2=config.beta2,
            weight_decay=config.weight_decay,
            mask=lambda parameters: jax.tree.map(lambda leaf: leaf.ndim > 1, parameters),
        ),
    )
    if frozen_networks:  # without a gradient, weight decay would still shrink them
        frozen = {*frozen_networks, *(["bottleneck"] if "encoder" in frozen_networks else [])}
        networks = optax.partition({"trained": networks, "frozen": optax.set_to_zero()}, partial(_freezing, frozen))
    if not isinstance(method, AdversarialConfig | AdversarialSamplerConfig):
        return networks
    schedule, share = learning_rate_schedule(config, num_steps), method.learning_rate_share
    # Without weight decay: weights without a gradient, as before `start_step`, stay as they are.
    discriminator = optax.chain(
        optax.clip_by_global_norm(config.max_gradient_norm),
        optax.adam(lambda step: share * schedule(step), *DISCRIMINATOR_BETAS),
    )
    return optax.partition({"networks": networks, "discriminator": discriminator}, _owner)


def _freezing(frozen: set[str], model: optax.Params) -> optax.Params:
    return jax.tree_util.tree_map_with_path(
        lambda path, _: "frozen" if path[0] in map(jax.tree_util.GetAttrKey, frozen) else "trained", model
    )


def _owner(model: optax.Params) -> optax.Params:
    """For every weight, which of the two optimisers it belongs to."""
    return jax.tree_util.tree_map_with_path(
        lambda path, _: "discriminator" if path[0] == DISCRIMINATOR else "networks", model
    )
