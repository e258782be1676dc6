"""The losses of an adversarial sampler: what one evaluation of the decoder makes of codes, judged as audio."""

from collections.abc import Callable

import jax
from jaxtyping import Array, Float, Int, PRNGKeyArray

from meanflow_audio_codec.models.codec_model import CodecModel, LocalCondition
from meanflow_audio_codec.models.coefficient_decoding import coefficients_of_draw, draw_from_noise
from meanflow_audio_codec.models.methods.adversarial_sampler import AdversarialSampler
from meanflow_audio_codec.models.methods.base import Metrics, Tokens
from meanflow_audio_codec.preprocessing.normalizer import TokenNormalizer
from meanflow_audio_codec.preprocessing.tokenizers import MDCTTokenizer, ReshapeTokenizer, Tokenizer
from meanflow_audio_codec.trainers.spectral_loss import multi_resolution_mel_loss

Signal = Float[Array, "b samples"]
# Of a model, tokens as recorded, the condition and the side information of their codes, a key, and the steps made.
AdversarialTerm = Callable[
    [CodecModel, Tokens, LocalCondition, Int[Array, "b n s"], PRNGKeyArray, Int[Array, ""]],
    tuple[Float[Array, ""], Metrics],
]


def make_adversarial_term(
    tokenizer: Tokenizer, normalizer: TokenNormalizer, method: AdversarialSampler
) -> AdversarialTerm:
    """The sum of the decoder's loss and the discriminator's, and figures; what is judged is what decoding puts out.

    Only decoder and features learn from it: the prior's mean and scale, which are parts of what is judged, do not.

    Raises:
        ValueError: the tokens are not those of audio.
    """
    sample_rate = tokenizer.signal.sample_rate if isinstance(tokenizer, MDCTTokenizer | ReshapeTokenizer) else None
    if sample_rate is None:
        raise ValueError("an adversarial sampler is judged as audio: choose method adversarial for images")
    config = method.config

    def term(
        model: CodecModel,
        tokens: Tokens,
        condition: LocalCondition,
        side: Int[Array, "b n s"],
        key: PRNGKeyArray,
        step: Int[Array, ""],
    ) -> tuple[Float[Array, ""], Metrics]:
        if model.discriminator is None:
            raise ValueError("adversarial training needs a discriminator: build the model of this configuration")
        condition = LocalCondition(condition.features, jax.lax.stop_gradient(condition.prediction))
        temperature = config.default_temperature
        noise = jax.random.normal(key, tokens.shape, tokens.dtype)
        draw = draw_from_noise(
            method, normalizer, model.decoder, condition, noise, num_steps=1, temperature=temperature
        )

        def to_signal(draw: Tokens) -> Signal:
            coefficients = coefficients_of_draw(normalizer, condition, side, draw, temperature=temperature)
            return tokenizer.detokenize(coefficients)

        original = tokenizer.detokenize(tokens)

        def mel_distance(decoded: Signal) -> Float[Array, ""]:
            return multi_resolution_mel_loss(original, decoded, sample_rate, config.mel_windows)

        of_decoder, of_discriminator, figures = method.game(
            model.discriminator, original, draw, to_signal, mel_distance, step
        )
        # One sum for both sides of the game: neither term has a gradient in the weights of the other side.
        return of_decoder + of_discriminator, figures

    return term
