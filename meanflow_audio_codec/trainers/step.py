"""The loss of a whole model, a sum of named terms, and one training step."""

from collections.abc import Callable
from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array, Float, Int, PRNGKeyArray

from meanflow_audio_codec.configs.experiment import TrainingConfig
from meanflow_audio_codec.models.bottlenecks.bottleneck import BottleneckOutput, code_entropy
from meanflow_audio_codec.models.codec_model import CodecModel, LocalCondition
from meanflow_audio_codec.models.conditioning import Conditioning
from meanflow_audio_codec.models.methods.adversarial import Adversarial
from meanflow_audio_codec.models.methods.adversarial_sampler import AdversarialSampler
from meanflow_audio_codec.models.methods.base import Method, Metrics, Tokens
from meanflow_audio_codec.models.prior import Prediction
from meanflow_audio_codec.preprocessing.normalizer import TokenNormalizer
from meanflow_audio_codec.preprocessing.tokenizers import Tokenizer
from meanflow_audio_codec.trainers.adversarial_term import make_adversarial_term
from meanflow_audio_codec.trainers.spectral_term import make_spectral_term
from meanflow_audio_codec.trainers.state import TrainState

Signal = Float[Array, "b *signal"]
Labels = Int[Array, " b"] | None
Step = Int[Array, ""]
TrainStep = Callable[[TrainState, Signal, Labels, PRNGKeyArray], tuple[TrainState, Metrics]]
LossFunction = Callable[[CodecModel, Signal, Labels, PRNGKeyArray, Step], tuple[Float[Array, ""], Metrics]]
# The value of a term, already weighted, and figures to log.
Term = tuple[Float[Array, ""], Metrics]


class Example(NamedTuple):
    """Tokens as recorded and normalised, their side information, and what the decoder is told of them."""

    tokens: Tokens
    x: Tokens
    side: Int[Array, "b n s"]
    label: Labels
    condition: LocalCondition | None

    @property
    def prediction(self) -> Prediction | None:
        """That of the prior, if there is one; no term but the prior's own may move it."""
        return None if self.condition is None else jax.lax.stop_gradient(self.condition.prediction)

    @property
    def target(self) -> Tokens:
        """What the method models: what the prior leaves open, or the tokens."""
        return self.x if self.prediction is None else self.prediction.standardize(self.x)

    @property
    def conditioning(self) -> Conditioning:
        """For the velocity network."""
        return Conditioning(label=self.label, local=None if self.condition is None else self.condition.features)


def make_loss(
    tokenizer: Tokenizer,
    segment_tokenizer: Tokenizer,
    normalizer: TokenNormalizer,
    method: Method,
    training: TrainingConfig,
) -> LossFunction:
    """The training loss of a model on signals: tokens, codes, prior, method and adversary in one function.

    The networks see the middle tokens of a signal, as many as those of `segment_tokenizer`. The last argument of the
    loss is the number of steps made before. Every term that draws has a key of its own, so that none changes what
    another draws.

    `objective` among the metrics is what validation compares checkpoints by: the losses, without adaptive weights, of
    the first part of prior and decoder that is trained. For the target of a decoder behind a prior is a residual that
    grows whiter, and its loss larger, the better the prior becomes. Under an adversary it prefers the latest weights.

    Raises:
        ValueError: a segment has more tokens than a signal, an adversarial method comes without discriminator, or a
            spectral loss is asked for on other tokens than MDCT frames of audio.
    """
    num_tokens = segment_tokenizer.spec.num_tokens
    first = (tokenizer.spec.num_tokens - num_tokens) // 2
    if first < 0:
        raise ValueError(f"a signal has {tokenizer.spec.num_tokens} tokens, fewer than a segment, {num_tokens}")
    spectral = training.spectral_loss
    spectral_term = None if spectral is None else make_spectral_term(segment_tokenizer, normalizer, method, spectral)
    sampler_term = None
    if isinstance(method, AdversarialSampler):
        sampler_term = make_adversarial_term(segment_tokenizer, normalizer, method)

    def loss_function(
        model: CodecModel, signal: Signal, label: Labels, key: PRNGKeyArray, step: Step
    ) -> tuple[Float[Array, ""], Metrics]:
        draw_key, spectral_key, method_key = jax.random.split(key, 3)
        tokens = tokenizer.tokenize(signal)
        if segment_tokenizer.spec != tokenizer.spec:
            tokens = tokens[:, first : first + num_tokens]
        x, side = normalizer.draw(tokens, draw_key)
        model = _with_frozen(model, training.frozen_networks)
        example, terms = Example(tokens, x, side, label, None), list[Term]()
        if model.bottleneck is not None:
            # The encoder does not know how many of its digits will be kept.
            full = normalizer.features(normalizer.in_full_detail(side))
            encoded = model.encode(x, full, normalizer.num_kept(side))
            terms.append(_bottleneck_term(encoded, model.bottleneck.levels))
            example = example._replace(condition=model.condition(encoded.latent, normalizer.features(side)))
        if spectral_term is not None and spectral is not None and example.condition is not None:
            value = spectral_term(tokens, model.decoder, example.condition, side, spectral_key)
            terms.append((spectral.weight * value, {"spectral_loss": value}))
        if example.prediction is not None:
            terms.append(_prior_term(example, normalizer, training))
        reported = sum((value for value, _ in terms), start=jnp.zeros(()))
        if isinstance(method, Adversarial):
            value, figures = _adversarial_term(method, model, example, normalizer, segment_tokenizer, training, step)
            reported = reported + figures["reconstruction_loss"]
        elif sampler_term is not None:
            if example.condition is None:
                raise ValueError("an adversarial sampler decodes codes: give the model an encoder")
            value, figures = sampler_term(model, tokens, example.condition, side, method_key, step)
            reported = reported + figures["mel_distance"]
        else:
            value, figures = _method_term(method, model, example, normalizer, training, method_key)
            reported = reported + value
        terms.append((value, figures))
        metrics: Metrics = {name: figure for _, each in terms for name, figure in each.items()}
        if "objective" not in metrics:
            metrics["objective"] = _objective(metrics, training)
        metrics.pop("unweighted_loss", None)
        return sum((value for value, _ in terms), start=jnp.zeros(())), metrics | {"loss": reported}

    return loss_function


def _bottleneck_term(encoded: BottleneckOutput, levels: tuple[int, ...]) -> Term:
    entropy = code_entropy(encoded.codes, levels)
    return encoded.loss, {"code_entropy_bits": entropy, "bottleneck_loss": encoded.loss}


def _prior_term(example: Example, normalizer: TokenNormalizer, training: TrainingConfig) -> Term:
    """Of the prior's mean and scale; the error that counts is the one beside the band's own energy, not its gain."""
    assert example.condition is not None
    assert example.condition.prediction is not None
    prediction, x = example.condition.prediction, example.x
    weight = normalizer.loss_weight(example.side, training.prior_gain_exponent)
    squared_error = prediction.squared_error(x, weight * normalizer.relative_weight(x))
    scale_loss = prediction.scale_loss(x, weight)
    figures = {"prior_squared_error": squared_error, "prior_scale_loss": scale_loss}
    return training.prior_loss_weight * (squared_error + scale_loss), figures


def _method_term(
    method: Method,
    model: CodecModel,
    example: Example,
    normalizer: TokenNormalizer,
    training: TrainingConfig,
    key: PRNGKeyArray,
) -> Term:
    """The method's own loss."""
    if training.method_loss_weight == 0.0:
        return jnp.zeros(()), {}
    weight = normalizer.loss_weight(example.side, training.method_gain_exponent)
    loss, figures = method.loss(model.decoder, example.target, example.conditioning, weight, key)
    return training.method_loss_weight * loss, figures


def _adversarial_term(
    method: Adversarial,
    model: CodecModel,
    example: Example,
    normalizer: TokenNormalizer,
    tokenizer: Tokenizer,
    training: TrainingConfig,
    step: Step,
) -> Term:
    """One sum for both sides of the game: neither has a gradient in the weights of the other side."""
    if model.discriminator is None:
        raise ValueError("adversarial training needs a discriminator: build the model of this configuration")

    def to_signal(tokens: Tokens) -> Signal:
        if example.prediction is not None:
            tokens = example.prediction.restore(tokens)
        return tokenizer.detokenize(normalizer.denormalize(tokens, example.side))

    x = example.target
    weight = normalizer.loss_weight(example.side, training.method_gain_exponent)
    reconstruction = method.reconstruct(model.decoder, x, example.conditioning)
    loss, discriminator_loss, figures = method.game(model.discriminator, x, reconstruction, weight, to_signal, step)
    return loss + discriminator_loss, figures


def _objective(metrics: Metrics, training: TrainingConfig) -> Float[Array, ""]:
    """Of the first part of prior and decoder that is trained: see `make_loss`."""
    if "prior_squared_error" in metrics and "prior" not in training.frozen_networks:
        return metrics["prior_squared_error"] + metrics["prior_scale_loss"]
    value = training.method_loss_weight * metrics.get("unweighted_loss", jnp.zeros(()))
    if training.spectral_loss is not None:
        value = value + training.spectral_loss.weight * metrics["spectral_loss"]
    return value


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
