"""Lyra as a reference point: frames, stages, bits and state, by networks with closed forms, and by its own networks
where LYRA_DIR is set.

The networks in its place: the encoder gives the mean of a frame and the one before, the quantiser writes it as
hexadecimal digits, the decoder holds the mean of two values for a frame. So what k stages decode to is the signal's
means cut after k digits, exactly.
"""

import os

import numpy as np
import pytest

from meanflow_audio_codec.errors import InputError
from meanflow_audio_codec.evaluators.peers import lyra
from meanflow_audio_codec.evaluators.peers.lyra import (
    BITS_PER_STAGE,
    FOLDER_VARIABLE,
    HOP_LENGTH,
    NUM_STAGES,
    SAMPLE_RATE,
    LyraNetworks,
    code_with_lyra,
    find_lyra,
    load_lyra,
)
from meanflow_audio_codec.preprocessing.resampling import resample

UNSENT = -1


class AverageOfTwo:
    """A network in the form of LiteRT's interpreter: the mean of its input's mean and the one before, held.

    As in Lyra's networks, `reset_all_variables` does not reach what it remembers.
    """

    def __init__(self, *outputs: int) -> None:
        self.shape = outputs
        self.before = 0.0

    def reset_all_variables(self) -> None:
        pass

    def get_input_details(self) -> list[dict[str, int]]:
        return [{"index": 3}]

    def get_output_details(self) -> list[dict[str, int]]:
        return [{"index": 8}]

    def set_tensor(self, index: int, values: np.ndarray) -> None:
        assert index == 3
        assert values.dtype == np.float32
        self.mean = float(values.astype(np.float64).mean())

    def invoke(self) -> None:
        self.output = np.full(self.shape, (self.mean + self.before) / 2, np.float32)
        self.before = self.mean

    def get_tensor(self, index: int) -> np.ndarray:
        assert index == 8
        return self.output


class HexadecimalDigits:
    """A quantiser of numbers in [0, 1): stage k has the k-th hexadecimal digit; those not asked for, nonsense."""

    def get_signature_runner(self, name: str):
        return {"encode": self.encode, "decode": self.decode}[name]

    def encode(self, *, input_frames: np.ndarray, num_quantizers: np.int32) -> dict[str, np.ndarray]:
        rest = float(input_frames.reshape(-1)[0])
        digits = []
        for _ in range(num_quantizers):
            digit, rest = divmod(16 * rest, 1.0)
            digits.append(int(digit))
        digits += [7] * (NUM_STAGES - num_quantizers)
        return {"output_0": np.array(digits, np.int32).reshape(NUM_STAGES, 1, 1)}

    def decode(self, *, encoding_indices: np.ndarray) -> dict[str, np.ndarray]:
        assert encoding_indices.dtype == np.int32
        assert encoding_indices.shape == (NUM_STAGES, 1, 1)
        values = [digit * 16.0**-place for place, digit in enumerate(encoding_indices.ravel(), 1) if digit != UNSENT]
        return {"output_0": np.full((1, 1, 64), sum(values), np.float32)}


@pytest.fixture
def _closed_forms(monkeypatch: pytest.MonkeyPatch) -> None:
    def load() -> LyraNetworks:
        return LyraNetworks(AverageOfTwo(1, 1, 64), HexadecimalDigits(), AverageOfTwo(1, HOP_LENGTH))

    monkeypatch.setattr(lyra, "load_lyra", load)


def decoded_means(samples: np.ndarray, stages: int) -> np.ndarray:
    """What the frames must decode to: cut after so many hexadecimal digits, between two averages."""
    frames = np.pad(samples.astype(np.float64), (0, -len(samples) % HOP_LENGTH)).reshape(-1, HOP_LENGTH)
    average_of_two = lambda values: (values + np.concatenate([[0.0], values[:-1]])) / 2  # noqa: E731
    cut = np.floor(average_of_two(frames.mean(axis=1)) * 16.0**stages) / 16.0**stages
    return np.repeat(average_of_two(cut), HOP_LENGTH)[: len(samples)]


def steps(num_samples: int, seed: int = 0) -> np.ndarray:
    """A signal in [0, 1): one of 4096 levels per frame, so that means are exact in float32."""
    levels = np.random.default_rng(seed).integers(0, 4096, -(-num_samples // HOP_LENGTH)) / 4096
    return np.repeat(levels, HOP_LENGTH)[:num_samples].astype(np.float32)


@pytest.mark.usefixtures("_closed_forms")
@pytest.mark.parametrize("stages", [1, 2, 3, 4, 16, 30, 46])
def test_the_stages_of_a_rate_are_the_first_ones(stages: int) -> None:
    """Each stage makes the error sixteen times smaller: no other is decoded, and none is left out."""
    samples = steps(5 * HOP_LENGTH)
    clip = code_with_lyra(samples, SAMPLE_RATE, 0.2 * stages)
    np.testing.assert_allclose(clip.decoded, decoded_means(samples, stages), rtol=0, atol=1e-7)  # float32
    assert 0.0 <= (decoded_means(samples, 46) - clip.decoded).max() <= 16.0**-stages


@pytest.mark.usefixtures("_closed_forms")
@pytest.mark.parametrize("num_samples", [1, HOP_LENGTH - 1, HOP_LENGTH, HOP_LENGTH + 1, 10 * HOP_LENGTH])
def test_a_last_frame_is_filled_up_paid_for_and_cut_again(num_samples: int) -> None:
    samples = steps(num_samples)
    clip = code_with_lyra(samples, SAMPLE_RATE, 3.2)
    assert clip.payload_bits == -(-num_samples // HOP_LENGTH) * 64
    assert clip.decoded.shape == samples.shape
    np.testing.assert_allclose(clip.decoded, decoded_means(samples, 16), rtol=0, atol=1e-7)


@pytest.mark.usefixtures("_closed_forms")
@pytest.mark.parametrize("sample_rate", [8_000, 16_000, 48_000])
@pytest.mark.parametrize("rate", [0.2, 3.2, 6.0, 9.2])
def test_a_second_costs_its_bit_rate_whatever_the_sample_rate(sample_rate: int, rate: float) -> None:
    samples = np.full(sample_rate, 0.25, np.float32)
    clip = code_with_lyra(samples, sample_rate, rate)
    assert clip.payload_bits == round(1000 * rate)
    assert clip.decoded.shape == samples.shape
    # Away from the ends, where resampling and the two averages begin, a constant comes back: 0.25 is 4 sixteenths.
    np.testing.assert_allclose(clip.decoded[sample_rate // 4 : -sample_rate // 4], 0.25, atol=1e-4)


@pytest.mark.usefixtures("_closed_forms")
def test_resampling_goes_to_lyra_and_back() -> None:
    """At 48 kHz the frames are those of the signal at 16 kHz, and the result is theirs at 48 kHz."""
    samples = steps(16 * HOP_LENGTH)
    own = resample(samples, 48_000, SAMPLE_RATE)
    at_own_rate = code_with_lyra(own, SAMPLE_RATE, 6.0).decoded
    clip = code_with_lyra(samples, 48_000, 6.0)
    np.testing.assert_array_equal(clip.decoded, resample(at_own_rate, SAMPLE_RATE, 48_000)[: len(samples)])


@pytest.mark.usefixtures("_closed_forms")
def test_a_clip_leaves_nothing_to_the_next() -> None:
    first, loud = steps(3 * HOP_LENGTH), np.full(2 * HOP_LENGTH, 0.9, np.float32)
    alone = code_with_lyra(first, SAMPLE_RATE, 3.2)
    code_with_lyra(loud, SAMPLE_RATE, 3.2)
    np.testing.assert_array_equal(code_with_lyra(first, SAMPLE_RATE, 3.2).decoded, alone.decoded)


@pytest.mark.parametrize("rate", [0.0, 3.1, 9.4, 100.0])
def test_rates_that_are_no_whole_number_of_stages_are_refused(rate):
    with pytest.raises(InputError, match=r"multiples of 0\.2 up to 9\.2"):
        code_with_lyra(np.zeros(320, np.float32), 16_000, rate)


def test_a_folder_without_the_networks_is_named(monkeypatch, tmp_path):
    monkeypatch.delenv(FOLDER_VARIABLE, raising=False)
    with pytest.raises(InputError, match="set LYRA_DIR"):
        find_lyra()
    monkeypatch.setenv(FOLDER_VARIABLE, str(tmp_path))
    with pytest.raises(InputError, match=r"soundstream_encoder\.tflite"):
        find_lyra()


@pytest.fixture
def networks() -> LyraNetworks:
    """Lyra's own."""
    if FOLDER_VARIABLE not in os.environ:
        pytest.skip(f"{FOLDER_VARIABLE} is not set: no networks of Lyra")
    return load_lyra()


def test_lyras_quantiser_is_what_its_rates_take_it_for(networks: LyraNetworks) -> None:
    """46 stages of 16 levels; fewer stages are the first ones of more; each makes the error smaller on average."""
    quantize, dequantize = (networks.quantizer.get_signature_runner(name) for name in ("encode", "decode"))
    t = np.arange(25 * HOP_LENGTH) / SAMPLE_RATE
    sound = (0.3 * np.sin(2 * np.pi * (150 * t + 80 * t**2))).astype(np.float32)
    errors = dict.fromkeys((1, 4, 16, 30, 46), 0.0)
    for frame in sound.reshape(-1, 1, HOP_LENGTH):
        features = lyra._apply(networks.encoder, frame)
        every = quantize(input_frames=features, num_quantizers=np.int32(NUM_STAGES))["output_0"].ravel()
        assert every.shape == (NUM_STAGES,)
        assert every.min() >= 0
        assert every.max() < 2**BITS_PER_STAGE
        for stages in errors:
            some = quantize(input_frames=features, num_quantizers=np.int32(stages))["output_0"].ravel()
            np.testing.assert_array_equal(some[:stages], every[:stages])
            sent = np.where(np.arange(NUM_STAGES) < stages, every, UNSENT).astype(np.int32).reshape(-1, 1, 1)
            decoded = dequantize(encoding_indices=sent)["output_0"]
            errors[stages] += float(np.square(decoded - features).mean())
    assert sorted(errors.values(), reverse=True) == list(errors.values())


@pytest.mark.usefixtures("networks")
def test_lyra_codes_the_same_clip_the_same_way_twice() -> None:
    t = np.arange(2 * SAMPLE_RATE // 5) / SAMPLE_RATE
    sound = (0.3 * np.sin(2 * np.pi * (150 * t + 80 * t**2))).astype(np.float32)
    first = code_with_lyra(sound, SAMPLE_RATE, 6.0)
    assert first.payload_bits == 20 * 120
    code_with_lyra(sound[::-1].copy(), SAMPLE_RATE, 9.2)
    np.testing.assert_array_equal(code_with_lyra(sound, SAMPLE_RATE, 6.0).decoded, first.decoded)
    assert np.abs(first.decoded).max() > 0.01  # and not silence
