"""The codec as pure functions: they take the operating point and the temperature that they are given."""

import jax
import jax.numpy as jnp
import numpy as np
from fixtures.tiny_models import HOP, scalable_codec, sound, tiny_codec

# 32 frames: whole blocks.
AUDIO = jnp.asarray(sound(31 * HOP)[None])


def test_every_operating_point_has_its_own_gains_and_says_so():
    functions = scalable_codec().pure_functions
    encode = jax.jit(functions.encode, static_argnums=2)
    sides = [np.asarray(encode(functions.model, AUDIO, point)[0]) for point in range(3)]
    for point, side in enumerate(sides):
        assert (side[..., -1] == point).all()
    # Steps of 20, 12 and 8 dB: the gains follow the sound more and more closely.
    normalizer = functions.pretrained.normalizer
    heights = 4.0 * np.asarray(normalizer.heights_db(functions._tokenizer(AUDIO.shape[1]).tokenize(AUDIO)))
    errors = [np.abs(side[..., :-2] - heights).mean() for side in sides]
    assert errors[2] < errors[1] < errors[0]


def test_at_temperature_zero_no_noise_is_heard_and_above_it_more_and_more():
    functions = tiny_codec().pure_functions
    audio = sound(20 * HOP)[None]
    side, codes = jax.jit(functions.encode)(functions.model, audio)

    decode = jax.jit(functions.decode, static_argnames=("num_samples", "temperature"))

    def decoded(seed: int, temperature: float) -> jax.Array:
        return decode(
            functions.model, side, codes, jax.random.key(seed), num_samples=audio.shape[1], temperature=temperature
        )

    apart = [float(jnp.abs(decoded(0, each) - decoded(1, each)).mean()) for each in (0.0, 0.1, 0.5)]
    assert apart[0] == 0.0 < apart[1] < apart[2]
