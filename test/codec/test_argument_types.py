"""Values of the wrong type at the interface: one line that names value and repair, and no guess at what was meant."""

from decimal import Decimal
from fractions import Fraction
from io import BytesIO

import jax.numpy as jnp
import jaxtyping
import numpy as np
import pytest
from fixtures.tiny_models import HOP, RATE, scalable_codec, sound, tiny_generator

from meanflow_audio_codec import Codec
from meanflow_audio_codec.codec.container import SeekableReader
from meanflow_audio_codec.codec.files.excerpt import decode_excerpt
from meanflow_audio_codec.codec.files.packet_streams import encode_stream
from meanflow_audio_codec.codec.files.whole_files import encode_file
from meanflow_audio_codec.codec.streaming.concealment import Concealment
from meanflow_audio_codec.codec.tokens import Tokens
from meanflow_audio_codec.errors import InputError
from meanflow_audio_codec.inference.decoding_options import DecodingOptions
from meanflow_audio_codec.inference.generation import generate

AUDIO = sound(11 * HOP)


@pytest.fixture(autouse=True)
def users_have_no_checked_annotations():
    """Only the tests check annotations at run time, and would refuse before the package does."""
    jaxtyping.config.update("jaxtyping_disable", True)
    yield
    jaxtyping.config.update("jaxtyping_disable", False)


@pytest.fixture(scope="module")
def codec() -> Codec:
    return scalable_codec()


@pytest.fixture(scope="module")
def data(codec) -> bytes:
    return codec.encode(AUDIO, RATE)


def refused(call, *parts: str) -> None:
    with pytest.raises(InputError) as caught:
        call()
    message = str(caught.value)
    assert "\n" not in message
    for part in parts:
        assert part in message


NO_WHOLE_NUMBERS = [
    1.5,
    2.0,
    "2",
    b"2",
    True,
    np.True_,
    [2],
    np.array([2]),
    2j,
    float("nan"),
    np.float32(2.0),
    object(),
]
NO_NUMBERS = [
    "0",
    b"0",
    True,
    np.bool_(False),
    [0.5],
    np.array([0.5]),
    np.array("0.5"),
    1j,
    np.complex64(1),
    {},
    object(),
]
HUGE = 10**5_000  # more digits than Python prints
OUT_OF_RANGE = [float("nan"), float("inf"), -0.1, 1e300, 10**400]


@pytest.mark.parametrize("value", NO_WHOLE_NUMBERS, ids=lambda value: repr(value)[:14])
@pytest.mark.parametrize("option", ["num_steps", "seed"])
def test_whole_numbers_are_whole_numbers(codec, data, option, value):
    for call in (
        lambda: codec.decode(data, **{option: value}),
        lambda: codec.detokenize(np.zeros((4, 2), int), **{option: value}),
        lambda: codec.streaming_decoder(**{option: value}),
        lambda: decode_excerpt(codec, SeekableReader(BytesIO(data)), **{option: value}),
    ):
        refused(call, "must be a whole number")


def test_numbers_too_long_to_print_are_refused_too(codec, data):
    for options in ({"num_steps": HUGE}, {"seed": HUGE}, {"temperature": HUGE}, {"max_seconds": HUGE}):
        refused(lambda options=options: codec.decode(data, **options), "thousands of digits")
    refused(lambda: codec.streaming_encoder(channels=HUGE), "thousands of digits")


@pytest.mark.parametrize("blocks", [["talk"], [[[0.0], [0.0, 0.1]]], [np.zeros(9, np.int16)], [None]])
def test_blocks_of_a_recording_are_audio(codec, blocks):
    refused(lambda: list(encode_stream(codec, blocks, RATE)), "audio must be")
    refused(lambda: encode_file(codec, blocks, RATE, BytesIO()), "audio must be")


@pytest.mark.parametrize("value", NO_NUMBERS + OUT_OF_RANGE, ids=lambda value: repr(value)[:20])
def test_a_temperature_is_a_number(codec, data, value):
    for call in (
        lambda: codec.decode(data, temperature=value),
        lambda: codec.streaming_decoder(temperature=value),
        lambda: DecodingOptions(num_steps=1, temperature=value, seed=0),
    ):
        refused(call, "the temperature must")


@pytest.mark.parametrize("one", [1, np.int8(1), np.uint64(1), jnp.int32(1), np.array(1)], ids=repr)
@pytest.mark.parametrize(
    "half",
    [0.5, np.float16(0.5), np.float64(0.5), jnp.bfloat16(0.5), jnp.float32(0.5), Fraction(1, 2), Decimal("0.5")],
    ids=repr,
)
def test_numbers_of_numpy_and_jax_are_numbers(one, half):
    options = DecodingOptions(num_steps=one, temperature=half, seed=one)
    assert options == DecodingOptions(num_steps=1, temperature=0.5, seed=1)
    assert [type(value) for value in vars(options).values()] == [int, float, int]


@pytest.mark.parametrize("value", NO_NUMBERS + OUT_OF_RANGE, ids=lambda value: repr(value)[:20])
def test_a_bit_rate_is_a_number(codec, value):
    refused(lambda: codec.encode(AUDIO, RATE, bitrate=value), "the bit rate", "kbit/s")
    refused(lambda: codec.streaming_encoder(bitrate=value), "the bit rate", "kbit/s")


@pytest.mark.parametrize("value", [16_000.5, "16000", True, b"16000", None, float("nan"), float("inf"), -1, 0, [1], 1j])
def test_a_sample_rate_is_a_positive_whole_number(codec, value):
    refused(lambda: codec.encode(AUDIO, value), "the sample rate must be positive, a whole number of Hz")
    refused(lambda: codec.tokenize(AUDIO, value), "the sample rate must be positive, a whole number of Hz")
    if value is not None:
        refused(lambda: codec.streaming_encoder(sample_rate=value), "the sample rate must be")


@pytest.mark.parametrize("rate", [16_000.0, np.int32(16_000), np.float32(16_000), jnp.int32(16_000)])
def test_a_sample_rate_without_a_fraction_is_taken(codec, data, rate):
    assert codec.encode(AUDIO, rate) == data


@pytest.mark.parametrize("value", [2.5, "2", True, None, [2]])
def test_counts_of_streams_are_whole_numbers(codec, value):
    refused(lambda: codec.streaming_encoder(channels=value), "the number of channels must be a whole number")
    refused(lambda: codec.encode(AUDIO, RATE, frames_per_packet=value), "the frames per packet must be a whole number")


@pytest.mark.parametrize("value", ["5", True, None, float("nan"), 0, -1.0])
def test_a_limit_is_a_positive_number(codec, data, value):
    refused(lambda: codec.decode(data, max_seconds=value), "max_seconds")


@pytest.mark.parametrize("value", ["0", True, float("nan"), [0.0]])
def test_times_of_an_excerpt_are_numbers(codec, data, value):
    for options in ({"start": value}, {"end": value}):
        refused(lambda options=options: decode_excerpt(codec, SeekableReader(BytesIO(data)), **options), "(--")


@pytest.mark.parametrize("dtype", [jnp.bfloat16, jnp.float8_e4m3fn, np.float16, np.float64, np.longdouble])
def test_audio_of_any_precision_is_taken_for_what_it_is(codec, dtype):
    rounded = np.asarray(AUDIO).astype(dtype)
    expected = codec.encode(rounded.astype(np.float32), RATE)
    assert codec.encode(rounded, RATE) == expected
    assert codec.encode(jnp.asarray(rounded) if dtype == jnp.bfloat16 else rounded, RATE) == expected


@pytest.mark.parametrize(
    ("audio", "words"),
    [
        (np.zeros(9, np.int16), "int16: divide integers by full scale"),
        (np.zeros(9, bool), "bool: divide integers by full scale"),
        (np.zeros(9, complex), "not complex128"),
        ("talk.wav", "not str"),
        (b"RIFF", "not bytes"),
        (None, "not NoneType"),
        ([[0.0], [0.0, 0.1]], "not list"),
        ({"a": 1}, "not dict"),
        (np.array([0.1, None]), "floating-point samples"),
        (0.5, "shape"),
        (np.zeros((1, 1, 9)), "shape"),
    ],
)
def test_what_is_no_audio_is_called_so(codec, audio, words):
    refused(lambda: codec.encode(audio, RATE), words)
    refused(lambda: codec.streaming_encoder().push(audio), words)


@pytest.mark.parametrize(
    ("tags", "words"),
    [
        ({"title": 3}, "the value must be text, not int"),
        ({"title": b"a"}, "the value must be text, not bytes"),
        ({"title": None}, "the value must be text, not NoneType"),
        ({1: "a"}, "the key must be text, not int"),
        ({b"title": "a"}, "the key must be text, not bytes"),
        (["title"], "a mapping of keys to texts, not list"),
        ("title", "a mapping of keys to texts, not str"),
        (None, "a mapping of keys to texts, not NoneType"),
    ],
)
def test_tags_are_texts(codec, tags, words):
    refused(lambda: codec.encode(AUDIO, RATE, tags=tags), words)


@pytest.mark.parametrize("value", ["talk.mfc", None, 3, BytesIO(b"mfc"), [1, 2]])
def test_a_file_is_bytes(codec, value):
    refused(lambda: codec.decode(value), "the bytes of a .mfc file", type(value).__name__)
    refused(lambda: codec.bits(value), "the bytes of a .mfc file")


def test_bytes_of_any_kind_are_decoded(codec, data):
    expected = codec.decode(data)[0]
    for same in (bytearray(data), memoryview(data)):
        np.testing.assert_array_equal(codec.decode(same)[0], expected)


def test_tokens_are_integers(codec):
    tokens = codec.analyze(AUDIO, RATE)
    for side, codes in (
        (tokens.side.astype(float), tokens.codes),
        (tokens.side, tokens.codes.astype(bool)),
        (tokens.side, "codes"),
        (tokens.side, [[1], [1, 2]]),
        (tokens.side, 3),
    ):
        refused(lambda side=side, codes=codes: codec.synthesize(Tokens(side, codes), len(AUDIO), RATE), "tokens")  # pyright: ignore[reportArgumentType]
    refused(lambda: codec.synthesize(tokens.codes, len(AUDIO), RATE), "Tokens(side, codes)")  # pyright: ignore[reportArgumentType]
    for value in (1.5, "9", None, 0, True):
        refused(lambda value=value: codec.synthesize(tokens, value, RATE), "the number of samples must be")  # pyright: ignore[reportArgumentType]
    for array in (codec.tokenize(AUDIO, RATE).astype(float), "tokens", [[1], [1, 2]], None):
        refused(lambda array=array: codec.detokenize(array), "tokens must be")


@pytest.mark.parametrize("packet", [b"payload", 3, (0, 0, 4, b""), "packet"])
def test_a_stream_takes_packets(codec, packet):
    refused(lambda: codec.streaming_decoder().push(packet), "StreamPacket")


@pytest.mark.parametrize("options", [{"fade_db": "1"}, {"fade_db": float("nan")}, {"repeat": 1.5}, {"repeat": True}])
def test_concealment_is_of_numbers(options):
    refused(lambda: Concealment(**options), "must be")


def test_concealment_is_concealment(codec):
    refused(lambda: codec.streaming_decoder(concealment=3.0), "Concealment")


@pytest.mark.parametrize("labels", [np.array([1.0]), np.array([True]), np.array(["1"]), 1, np.array([[1]]), None])
def test_labels_are_whole_numbers(labels):
    refused(lambda: generate(tiny_generator(), labels, seed=0), "labels must")


@pytest.mark.parametrize("options", [{"guidance_scale": "2"}, {"guidance_scale": True}, {"seed": 1.5}])
def test_options_of_sampling_are_numbers(options):
    refused(lambda: generate(tiny_generator(), np.array([1]), **{"seed": 0} | options), "must be a")


@pytest.mark.parametrize("name", [None, 3, b"speech-16k", ["speech-16k"], True])
def test_a_model_is_a_name_or_a_folder(name):
    refused(lambda: Codec.from_pretrained(name), "a name or a folder")
