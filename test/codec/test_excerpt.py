"""Decoding a part of a file: the samples of the whole, and no more of the file than they need."""

import io

import numpy as np
import pytest
from fixtures.tiny_models import RATE, sound, tiny_codec

from meanflow_audio_codec import BitstreamError
from meanflow_audio_codec.codec.container import SeekableReader, read_stream, write_stream
from meanflow_audio_codec.codec.files.excerpt import decode_excerpt
from meanflow_audio_codec.errors import InputError


class CountingFile(io.BytesIO):
    num_read = 0

    def read(self, size=-1):
        data = super().read(size)
        self.num_read += len(data)
        return data


@pytest.fixture(scope="module")
def stereo() -> bytes:
    return tiny_codec().encode(np.stack([sound(35 * RATE, seed) for seed in range(2)]), RATE)


def excerpt(data: bytes, start: float, end: float | None, **options) -> np.ndarray:
    end = None if end is None else float(end)
    return decode_excerpt(tiny_codec(), SeekableReader(io.BytesIO(data)), start=float(start), end=end, **options)[0]


@pytest.mark.parametrize(("start", "end"), [(0, 0.01), (10, 12), (9.9, 20.7), (34.5, None), (34.99, 99), (0, None)])
def test_an_excerpt_has_the_samples_of_the_whole(stereo, start, end):
    whole, _ = tiny_codec().decode(stereo)
    part = excerpt(stereo, start, end)
    np.testing.assert_array_equal(part, whole[:, round(start * RATE) : None if end is None else round(end * RATE)])


@pytest.mark.parametrize("rate", [8_000, 44_100, 48_000, 16_001])
def test_at_another_rate_it_differs_by_rounding_only(rate):
    codec = tiny_codec()
    data = codec.encode(sound(round(14.3 * rate), sample_rate=rate), rate)
    whole, _ = codec.decode(data, seed=3, temperature=0.5)
    for start, end in ((10.123, 12.3), (0.0, 0.5), (14.0, None), (3.0, 3.0001)):
        part = excerpt(data, start, end, seed=3, temperature=0.5)
        expected = whole[:, round(start * rate) : None if end is None else round(end * rate)]
        # SoXR's stop band lies at 28 bits; its end effects are what the margin is for.
        np.testing.assert_allclose(part, expected, atol=2e-5 * np.abs(whole).max())


def test_only_the_packets_needed_are_read(stereo):
    packets = read_stream(stereo).packets
    file = CountingFile(stereo)
    reader = SeekableReader(file)
    fixed = file.num_read
    assert fixed < 250
    decode_excerpt(tiny_codec(), reader, start=1.0, end=2.0)
    # The window over the first 512 frames and its context lie in the first two slices of time.
    assert file.num_read - fixed == sum(len(packet.payload) + 11 for packet in packets[:4])


def test_damage_elsewhere_does_not_matter(stereo):
    end = stereo.index(read_stream(stereo).packets[-1].payload)
    damaged = stereo[:end] + b"!" + stereo[end + 1 :]
    np.testing.assert_array_equal(excerpt(damaged, 1, 2), excerpt(stereo, 1, 2))
    with pytest.raises(BitstreamError, match="corrupted in packet 7"):
        excerpt(damaged, 34, 35)


@pytest.mark.parametrize(
    ("start", "end", "message"),
    [
        (-1, None, r"--start\) must lie in 0 ... 35 s, the length of the recording, not -1"),
        (35, None, "must lie in 0 ... 35 s"),
        (float("nan"), None, "must lie in 0 ... 35 s"),
        (3, 3, "must lie after the start at 3.0 s, not at 3.0"),
        (3, 2, "must lie after the start"),
        (3, float("nan"), "must lie after the start"),
    ],
)
def test_no_audio_is_refused(stereo, start, end, message):
    with pytest.raises(InputError, match=message):
        excerpt(stereo, start, end)


def test_the_limit_counts_the_excerpt(stereo):
    assert excerpt(stereo, 3, 4, max_seconds=1.5).shape == (2, RATE)
    with pytest.raises(InputError, match="the limit is"):
        excerpt(stereo, 3, 5, max_seconds=1.5)


@pytest.mark.parametrize("num_samples", [1, 10 * RATE, 2**40])
def test_a_length_that_is_not_that_of_the_packets_is_refused(stereo, num_samples):
    header, tags, _, packets = read_stream(stereo)
    with pytest.raises(BitstreamError, match="do not fit 8 packets"):
        excerpt(write_stream(header, num_samples, packets, tags), 0, None, max_seconds=1e12)
    with pytest.raises(BitstreamError, match="lacks frames"):
        excerpt(write_stream(header, 36 * RATE, packets, tags), 34, None)
