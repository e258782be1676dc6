"""From integers and noise to MDCT coefficients: what decoding is, wherever the frames come from."""

import jax.numpy as jnp
from jaxtyping import Array, Float, Int

from meanflow_audio_codec.models.codec_model import CodecModel, LocalCondition
from meanflow_audio_codec.models.conditioning import Conditioning
from meanflow_audio_codec.models.methods.base import Method, VelocityFunction
from meanflow_audio_codec.models.methods.sampling import sample
from meanflow_audio_codec.preprocessing.normalizer import TokenNormalizer


def decode_coefficients(
    method: Method,
    normalizer: TokenNormalizer,
    model: CodecModel,
    side: Int[Array, "b n s"],
    codes: Int[Array, "b n q"],
    noise: Float[Array, "b n bins"],
    *,
    num_steps: int,
    temperature: Float[Array, ""] | float,
) -> Float[Array, "b n bins"]:
    """Coefficients of frames by their side information and codes, from unit noise."""
    condition = model.condition_of_codes(codes, normalizer.features(side), normalizer.num_kept(side))
    return coefficients_from_noise(
        method,
        normalizer,
        model.decoder,
        condition,
        side,
        noise,
        num_steps=num_steps,
        temperature=temperature,
    )


def coefficients_from_noise(
    method: Method,
    normalizer: TokenNormalizer,
    decoder: VelocityFunction,
    condition: LocalCondition,
    side: Int[Array, "b n s"],
    noise: Float[Array, "b n bins"],
    *,
    num_steps: int,
    temperature: Float[Array, ""] | float,
) -> Float[Array, "b n bins"]:
    """Coefficients of frames by the decoder's condition and their side information, from unit noise."""
    draw = draw_from_noise(method, normalizer, decoder, condition, noise, num_steps=num_steps, temperature=temperature)
    return coefficients_of_draw(normalizer, condition, side, draw, temperature=temperature)


def draw_from_noise(
    method: Method,
    normalizer: TokenNormalizer,
    decoder: VelocityFunction,
    condition: LocalCondition,
    noise: Float[Array, "b n bins"],
    *,
    num_steps: int,
    temperature: Float[Array, ""] | float,
) -> Float[Array, "b n bins"]:
    """What the decoder makes of unit noise: tokens, or their standardised residual if there is a prediction."""
    prediction, temperature = condition.prediction, jnp.asarray(temperature, jnp.float32)
    if prediction is not None:
        noise = normalizer.scale_noise(noise, prediction.variance, prediction.mean_square)
    return sample(
        method,
        decoder,
        noise,
        Conditioning(local=condition.features),
        num_steps=num_steps,
        temperature=temperature,
    )


def coefficients_of_draw(
    normalizer: TokenNormalizer,
    condition: LocalCondition,
    side: Int[Array, "b n s"],
    draw: Float[Array, "b n bins"],
    *,
    temperature: Float[Array, ""] | float,
) -> Float[Array, "b n bins"]:
    """Coefficients of frames from what the decoder made of noise at this temperature."""
    tokens, prediction = draw, condition.prediction
    if prediction is not None:
        temperature = jnp.asarray(temperature, jnp.float32)
        tokens = normalizer.restore_energy(prediction.restore(draw), prediction.mean_square, temperature)
    return normalizer.denormalize(tokens, side)
