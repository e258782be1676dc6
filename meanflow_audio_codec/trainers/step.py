"""The loss of a whole model, and one training step."""

from collections.abc import Callable
from functools import partial

import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array, Float, Int, PRNGKeyArray

from meanflow_audio_codec.configs.experiment import TrainingConfig
from meanflow_audio_codec.models.bottlenecks.bottleneck import code_entropy
from meanflow_audio_codec.models.codec_model import CodecModel
from meanflow_audio_codec.models.conditioning import Conditioning
from meanflow_audio_codec.models.methods.adversarial import Adversarial
from meanflow_audio_codec.models.methods.adversarial_sampler import AdversarialSampler
from meanflow_audio_codec.models.methods.base import Method, Metrics, Tokens
from meanflow_audio_codec.preprocessing.block_gain_shape import FULL_DETAIL, BlockGainShapeNormalizer
from meanflow_audio_codec.preprocessing.normalization import TokenNormalizer
from meanflow_audio_codec.preprocessing.tokenizers import Tokenizer
from meanflow_audio_codec.trainers.adversarial_term import make_adversarial_term
from meanflow_audio_codec.trainers.spectral_term import make_spectral_term
from meanflow_audio_codec.trainers.state import TrainState

Signal = Float[Array, "b *signal"]
Labels = Int[Array, " b"] | None
Step = Int[Array, ""]
TrainStep = Callable[[TrainState, Signal, Labels, PRNGKeyArray], tuple[TrainState, Metrics]]
LossFunction = Callable[[CodecModel, Signal, Labels, PRNGKeyArray, Step], tuple[Float[Array, ""], Metrics]]


def make_loss(
    tokenizer: Tokenizer,
    segment_tokenizer: Tokenizer,
    normalizer: TokenNormalizer,
    method: Method,
    training: TrainingConfig,
) -> LossFunction:
    """The training loss of a model on signals: tokens, codes, prior, method and adversary in one function.

    The networks see the middle tokens of a signal, as many as those of `segment_tokenizer`. The last argument of the
    loss is the number of steps made before.

    `objective` among the metrics is what validation compares checkpoints by: the un-weighted loss of the method, since
    the adaptively weighted one is nearly constant by construction, plus the spectral loss if there is one; but with a
    prior that is trained the prior's own losses, since the flow's target is then a residual that grows whiter, and its
    loss larger, the better the prior becomes; and under an adversary the latest weights.

    Raises:
        ValueError: a segment has more tokens than a signal, an adversarial method comes without discriminator, or a
            spectral loss is asked for on other tokens than MDCT frames of audio.
    """
    blocks = normalizer if isinstance(normalizer, BlockGainShapeNormalizer) else None
    num_tokens = segment_tokenizer.spec.num_tokens
    first = (tokenizer.spec.num_tokens - num_tokens) // 2
    if first < 0:
        raise ValueError(f"a signal has {tokenizer.spec.num_tokens} tokens, fewer than a segment, {num_tokens}")

    spectral_term = make_spectral_term(segment_tokenizer, normalizer, method, training)
    adversarial_term = None
    if isinstance(method, AdversarialSampler):
        adversarial_term = make_adversarial_term(segment_tokenizer, normalizer, method)

    def loss_function(
        model: CodecModel, signal: Signal, label: Labels, key: PRNGKeyArray, step: Step
    ) -> tuple[Float[Array, ""], Metrics]:
        tokens = tokenizer.tokenize(signal)
        if segment_tokenizer.spec != tokenizer.spec:
            tokens = tokens[:, first : first + num_tokens]
        if blocks is not None:
            key, rate_key = jax.random.split(key)
            x, side_indices = blocks.draw(tokens, rate_key)
        else:
            x, side_indices = normalizer.normalize(tokens)
        side = normalizer.features(side_indices)
        weight = normalizer.loss_weight(side_indices)
        model = _with_frozen(model, training.frozen_networks)
        metrics: Metrics = {}
        loss, objective, condition, local, prediction = jnp.zeros(()), None, None, None, None
        if model.bottleneck is not None:
            if blocks is not None:
                # The encoder does not know how many of its digits will be kept.
                full = blocks.with_detail(side_indices, jnp.full(side_indices.shape[:-1], FULL_DETAIL))
                encoded = model.encode(x, normalizer.features(full), blocks.num_digits(side_indices))
            else:
                encoded = model.encode(x, side)
            metrics["code_entropy_bits"] = code_entropy(encoded.codes, model.bottleneck.levels)
            metrics["bottleneck_loss"] = encoded.loss
            loss = loss + encoded.loss
            condition = model.condition(encoded.latent, side)
            local, prediction = condition.features, condition.prediction
            if training.spectral_loss_weight > 0.0:
                key, spectral_key = jax.random.split(key)
                spectral_loss = spectral_term(tokens, model.decoder, condition, side_indices, spectral_key)
                metrics["spectral_loss"] = spectral_loss
                loss = loss + training.spectral_loss_weight * spectral_loss
            if prediction is not None:
                # The error that counts is the one beside the band's own energy, not beside its coarse gain.
                relative = weight if blocks is None else weight * blocks.relative_weight(x)
                squared_error = prediction.squared_error(x, relative)
                scale_loss = prediction.scale_loss(x, weight)
                metrics |= {"prior_squared_error": squared_error, "prior_scale_loss": scale_loss}
                loss = loss + training.prior_loss_weight * (squared_error + scale_loss)
                if "prior" not in training.frozen_networks:
                    objective = squared_error + scale_loss
                # The flow must not move the prediction to make its own task easier.
                prediction = jax.lax.stop_gradient(prediction)
                x = prediction.standardize(x)
            if training.detach_condition:
                local = jax.lax.stop_gradient(local)
        if adversarial_term is not None:
            if condition is None or local is None:
                raise ValueError("an adversarial sampler decodes codes: give the model an encoder")
            of_decoder, of_discriminator, of_game = adversarial_term(
                model, tokens, condition._replace(features=local), side_indices, key, step
            )
            metrics["loss"] = loss + of_game["mel_distance"]
            return loss + of_decoder + of_discriminator, metrics | of_game
        conditioning = Conditioning(label=label, local=local)
        if not isinstance(method, Adversarial):
            if training.method_loss_weight > 0.0:
                method_weight = normalizer.loss_weight(side_indices, by_gain=training.method_error == "by-gain")
                method_loss, method_metrics = method.loss(model.decoder, x, conditioning, method_weight, key)
                loss = loss + training.method_loss_weight * method_loss
            else:
                method_metrics = {"objective": jnp.zeros(())}
            if objective is not None:
                method_metrics["objective"] = objective
            elif "spectral_loss" in metrics:
                method_metrics["objective"] = (
                    training.method_loss_weight * method_metrics["objective"]
                    + training.spectral_loss_weight * metrics["spectral_loss"]
                )
            return loss, metrics | method_metrics | {"loss": loss}

        def to_signal(tokens: Tokens) -> Signal:
            if prediction is not None:
                tokens = prediction.restore(tokens)
            return segment_tokenizer.detokenize(normalizer.denormalize(tokens, side_indices))

        if model.discriminator is None:
            raise ValueError("adversarial training needs a discriminator: build the model of this configuration")
        reconstruction = method.reconstruct(model.decoder, x, conditioning)
        method_loss, discriminator_loss, method_metrics = method.game(
            model.discriminator, x, reconstruction, weight, to_signal, step
        )
        metrics["loss"] = loss + method_metrics["reconstruction_loss"]
        # One sum for both sides of the game: neither term has a gradient in the weights of the other side.
        return loss + method_loss + discriminator_loss, metrics | method_metrics

    return loss_function


def _with_frozen(model: CodecModel, names: tuple[str, ...]) -> CodecModel:
    """The model with constants for the weights of these networks; the encoder's are also those of the bottleneck."""
    encoder, bottleneck, prior, decoder = model.encoder, model.bottleneck, model.prior, model.decoder
    if "encoder" in names:
        encoder, bottleneck = jax.lax.stop_gradient((encoder, bottleneck))
    if "prior" in names:
        prior = jax.lax.stop_gradient(prior)
    if "decoder" in names:
        decoder = jax.lax.stop_gradient(decoder)
    return CodecModel(encoder, bottleneck, prior, decoder, model.discriminator, model.harmonic_features)


def make_train_step(
    loss_function: LossFunction, optimizer: optax.GradientTransformation, config: TrainingConfig
) -> TrainStep:
    """One jitted step: gradient, update, moving average. The key of a step is the run's key folded with its number."""

    @partial(jax.jit, donate_argnums=0)
    def train_step(
        state: TrainState, signal: Signal, label: Labels, run_key: PRNGKeyArray
    ) -> tuple[TrainState, Metrics]:
        key = jax.random.fold_in(run_key, state.step)
        (_, metrics), gradient = jax.value_and_grad(loss_function, has_aux=True)(
            state.model, signal, label, key, state.step
        )
        updates, opt_state = optimizer.update(gradient, state.opt_state, state.model)  # pyright: ignore[reportArgumentType]
        model = optax.apply_updates(state.model, updates)  # pyright: ignore[reportArgumentType]
        # The average forgets its start quickly: decay grows to its final value over the first steps.
        decay = jnp.minimum(config.ema_decay, (1.0 + state.step) / (10.0 + state.step))
        # In this form weights that do not change have themselves as average, to the last bit.
        ema_model = jax.tree.map(lambda average, new: average + (1.0 - decay) * (new - average), state.ema_model, model)
        metrics = metrics | {"gradient_norm": optax.tree.norm(gradient.without_discriminator())}
        if gradient.discriminator is not None:  # clipped apart, so logged apart
            metrics["discriminator_gradient_norm"] = optax.tree.norm(gradient.discriminator)
        return TrainState(state.step + 1, model, ema_model, opt_state), metrics  # pyright: ignore[reportArgumentType]

    return train_step
