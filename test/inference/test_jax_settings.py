"""The sound of a file and the codes of a recording do not depend on what the program around has set in JAX."""

import threading

import jax
import numpy as np
import pytest
from fixtures.tiny_models import HOP, RATE, scalable_codec, scalable_folder, sound, tiny_generator

from meanflow_audio_codec import Codec
from meanflow_audio_codec.inference.generation import generate
from meanflow_audio_codec.inference.jax_settings import noise_key, own_jax_settings

# Contexts, so that no test leaves a setting behind.
SETTINGS = {
    "64 bits": lambda: jax.enable_x64(True),
    "other generator": lambda: jax.default_prng_impl("rbg"),
    "other bits of the generator": lambda: jax.threefry_partitionable(False),
    "strict dtypes": lambda: jax.numpy_dtype_promotion("strict"),
    "strict ranks": lambda: jax.numpy_rank_promotion("raise"),
    "short products": lambda: jax.default_matmul_precision("bfloat16"),
    "no implicit transfers": lambda: jax.transfer_guard("disallow"),
}
AUDIO = sound(20 * HOP)


def results(codec: Codec) -> tuple[bytes, np.ndarray]:
    data = codec.encode(AUDIO, RATE)
    return data, codec.decode(data, temperature=1.0)[0]


@pytest.fixture(scope="module")
def expected() -> tuple[bytes, np.ndarray]:
    return results(scalable_codec())


@pytest.mark.parametrize("setting", SETTINGS)
def test_a_codec_loaded_and_used_under_any_setting_gives_the_same(expected, setting):
    with SETTINGS[setting]():
        data, audio = results(Codec.from_pretrained(scalable_folder()))
    assert data == expected[0]
    assert audio.dtype == np.float32
    np.testing.assert_array_equal(audio, expected[1])


@pytest.fixture
def all_settings():
    contexts = [make() for make in SETTINGS.values()]
    for context in contexts:
        context.__enter__()
    yield
    for context in reversed(contexts):
        context.__exit__(None, None, None)


def test_streams_tokens_and_generated_signals_are_the_same_under_all_settings_together(request):
    codec, labels = scalable_codec(), np.array([3, 1])

    def everything() -> list[np.ndarray]:
        encoder, decoder = codec.streaming_encoder(), codec.streaming_decoder(temperature=1.0)
        packets = encoder.push(AUDIO) + encoder.finish()
        stream = [*(decoder.push(packet) for packet in packets), decoder.finish(len(AUDIO))]
        tokens = codec.tokenize(AUDIO, RATE)
        generated = generate(tiny_generator(), labels, seed=2**32 - 1)
        return [np.concatenate(stream, axis=1), tokens, codec.detokenize(tokens, seed=7), generated]

    plain = everything()
    request.getfixturevalue("all_settings")
    for one, other in zip(plain, everything(), strict=True):
        assert one.dtype == other.dtype
        np.testing.assert_array_equal(one, other)


def test_pure_functions_compute_the_same_inside_a_program_of_64_bits():
    functions = scalable_codec().pure_functions
    audio = sound(31 * HOP)[None]

    def codes_and_sound() -> tuple[np.ndarray, ...]:
        side, codes = jax.jit(functions.encode)(functions.model, audio)
        decoded = functions.decode(functions.model, side, codes, noise_key(0), num_samples=31 * HOP)
        return np.asarray(side), np.asarray(codes), np.asarray(decoded)

    plain = codes_and_sound()
    with jax.enable_x64(True), jax.numpy_dtype_promotion("strict"), jax.numpy_rank_promotion("raise"):
        inside = codes_and_sound()
    for one, other in zip(plain, inside, strict=True):
        assert one.dtype == other.dtype
        np.testing.assert_array_equal(one, other)


def test_the_settings_of_the_program_and_of_other_threads_stay_as_they_were():
    seen = []
    with jax.enable_x64(True):
        with own_jax_settings():
            assert jax.numpy.ones(1).dtype == np.float32
            thread = threading.Thread(target=lambda: seen.append(jax.numpy.ones(1).dtype))
            thread.start()
            thread.join()
        assert jax.numpy.ones(1).dtype == np.float64
    assert seen == [np.float32]


def test_blocks_of_a_file_leave_the_settings_alone_between_them():
    from meanflow_audio_codec.codec.files.packet_streams import decode_stream, encode_stream

    codec = scalable_codec()
    packets = list(encode_stream(codec, [AUDIO], RATE, frames_per_packet=8))
    with jax.enable_x64(True):
        for _ in decode_stream(codec, packets, RATE, len(AUDIO), frames_per_packet=8):
            assert jax.numpy.ones(1).dtype == np.float64


@pytest.mark.parametrize("seed", [0, 1, 2**31 - 1, 2**31, 2**32 - 1])
def test_a_seed_stands_for_the_key_that_it_always_did(seed):
    with jax.threefry_partitionable(True), jax.enable_x64(False):
        key = jax.random.key(seed, impl="threefry2x32")
    np.testing.assert_array_equal(jax.random.key_data(noise_key(seed)), jax.random.key_data(key))
