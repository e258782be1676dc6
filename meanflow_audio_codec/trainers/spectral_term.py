"""The spectral loss of what one evaluation of the decoder makes of codes."""

from collections.abc import Callable

import jax
from jaxtyping import Array, Float, Int, PRNGKeyArray

from meanflow_audio_codec.configs.experiment import SpectralLossConfig
from meanflow_audio_codec.models.codec_model import LocalCondition
from meanflow_audio_codec.models.coefficient_decoding import coefficients_from_noise
from meanflow_audio_codec.models.methods.base import Method, Tokens, VelocityFunction
from meanflow_audio_codec.preprocessing.normalizer import TokenNormalizer
from meanflow_audio_codec.preprocessing.tokenizers import MDCTTokenizer, Tokenizer
from meanflow_audio_codec.trainers.spectral_loss import (
    multi_resolution_mel_loss,
    repulsion_of_temperature,
    spectral_energy_score,
)

# Of tokens as recorded, a decoder, the condition and the side information of their codes, and a key.
SpectralTerm = Callable[[Tokens, VelocityFunction, LocalCondition, Int[Array, "b n s"], PRNGKeyArray], Float[Array, ""]]


def make_spectral_term(
    tokenizer: Tokenizer, normalizer: TokenNormalizer, method: Method, config: SpectralLossConfig
) -> SpectralTerm:
    """The spectral loss as training is configured: of one draw, or of two that are also compared with each other.

    Raises:
        ValueError: the tokens are no MDCT frames of audio.
    """
    sample_rate = tokenizer.signal.sample_rate if isinstance(tokenizer, MDCTTokenizer) else None
    if sample_rate is None:
        raise ValueError("the spectral loss needs MDCT frames of audio: set config.loss to null")
    lowest, highest = config.temperatures

    def term(
        tokens: Tokens,
        decoder: VelocityFunction,
        condition: LocalCondition,
        side: Int[Array, "b n s"],
        key: PRNGKeyArray,
    ) -> Float[Array, ""]:
        temperature_key, *noise_keys = jax.random.split(key, 3)
        temperature = jax.random.uniform(temperature_key, minval=lowest, maxval=highest)

        def draw(noise_key: PRNGKeyArray) -> Float[Array, "b samples"]:
            noise = jax.random.normal(noise_key, tokens.shape, tokens.dtype)
            return tokenizer.detokenize(
                coefficients_from_noise(
                    method, normalizer, decoder, condition, side, noise, num_steps=1, temperature=temperature
                )
            )

        reference = tokenizer.detokenize(tokens)
        if config.repulsion == 0.0:
            first = draw(noise_keys[0])
            return multi_resolution_mel_loss(
                reference, first, sample_rate, config.windows, bin_weight=config.bin_weight
            )
        return spectral_energy_score(
            reference,
            (draw(noise_keys[0]), draw(noise_keys[1])),
            sample_rate,
            config.windows,
            repulsion=config.repulsion * repulsion_of_temperature(temperature),
            bin_weight=config.bin_weight,
        )

    return term
