"""The .mfc container: exact round trips, and one specific line for every way in which a file can be wrong."""

import dataclasses
import struct
import zlib

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from meanflow_audio_codec.codec.container import (
    BitstreamError,
    Header,
    payload_bits,
    read_header,
    read_stream,
    write_stream,
)
from meanflow_audio_codec.errors import InputError

HEADER = Header(
    model="speech-16k",
    weights_hash=bytes(range(8)),
    sample_rate=16000,
    channels=1,
    num_samples=12345,
    frames_per_packet=50,
)
PACKETS = [b"abc", b"", b"x" * 200]
NUMBERS = struct.Struct("<IBQII")

headers = st.builds(
    Header,
    model=st.text(st.characters(categories=["L", "N", "P"]), min_size=1, max_size=60),
    weights_hash=st.binary(min_size=8, max_size=8),
    sample_rate=st.integers(1, 768_000),
    channels=st.integers(1, 255),
    num_samples=st.integers(0, 2**48 - 1),
    frames_per_packet=st.integers(1, 2**12),
)


def with_header_crc(head: bytes) -> bytes:
    return head + struct.pack("<I", zlib.crc32(head))


@settings(deadline=None)
@given(headers, st.lists(st.binary(max_size=300), max_size=8))
def test_what_is_written_is_read(header, packets):
    data = write_stream(header, packets)
    assert read_stream(data) == (header, packets)
    assert read_header(data) == header


def test_layout_is_the_documented_one():
    name = b"speech-16k"
    fields = b"\x0a" + name + bytes(range(8)) + NUMBERS.pack(16000, 1, 12345, 50, 3)
    expected = with_header_crc(b"MFC\x01" + struct.pack("<H", len(fields)) + fields)
    for payload, length in zip(PACKETS, (b"\x03", b"\x00", b"\xc8\x01"), strict=True):
        expected += length + struct.pack("<I", zlib.crc32(payload)) + payload
    assert write_stream(HEADER, PACKETS) == expected


def test_payload_bits_count_payloads_only():
    assert payload_bits(PACKETS) == 8 * 203
    assert payload_bits([]) == 0


def test_every_truncation_is_refused():
    data = write_stream(HEADER, PACKETS)
    for length in range(len(data)):
        with pytest.raises(BitstreamError, match=r"truncated|empty"):
            read_stream(data[:length])


def test_every_flipped_bit_is_noticed():
    data = write_stream(HEADER, PACKETS)
    for bit in range(8 * len(data)):
        damaged = bytearray(data)
        damaged[bit // 8] ^= 1 << bit % 8
        with pytest.raises(BitstreamError) as error:
            read_stream(bytes(damaged))
        assert "\n" not in str(error.value)


def test_messages_say_what_is_wrong():
    data = write_stream(HEADER, PACKETS)
    start = len(write_stream(HEADER, []))
    cases = {
        b"": "empty",
        b"RIFF1234": "not an .mfc file",
        b"MFC\x02" + data[4:]: "newer version.*upgrade",
        b"MFC\x00" + data[4:]: "version 0, which does not exist",
        data[:10] + b"\xff" + data[11:]: "header is corrupted",
        data[: start + 5] + b"z" + data[start + 6 :]: "packet 0 of 3 is corrupted",
        data[:-1] + b"z": "packet 2 of 3 is corrupted",
        data[:-1]: "truncated in packet 2 of 3",
        data + b"!": "1 unexpected bytes after the last packet",
    }
    for damaged, message in cases.items():
        with pytest.raises(BitstreamError, match=message):
            read_stream(damaged)
    assert issubclass(BitstreamError, InputError)


@pytest.mark.parametrize(
    ("field", "value", "message"),
    [
        ("channels", 0, "channel count 0"),
        ("channels", 256, "channel count 256"),
        ("sample_rate", 0, "sample rate 0"),
        ("sample_rate", 768_001, "sample rate 768001"),
        ("num_samples", 2**48, "sample count"),
        ("frames_per_packet", 0, "frames per packet 0"),
        ("frames_per_packet", 4097, "frames per packet 4097"),
        ("model", "", "model name"),
        ("model", "a\nb", "model name"),
        ("model", "x" * 256, "model name"),
        ("weights_hash", b"1234567", "weights hash"),
    ],
)
def test_implausible_headers_cannot_be_made(field, value, message):
    with pytest.raises(BitstreamError, match=message):
        dataclasses.replace(HEADER, **{field: value})


def test_implausible_values_with_a_right_checksum_are_refused():
    def file(name: bytes, *numbers: int) -> bytes:
        fields = bytes([len(name)]) + name + bytes(8) + NUMBERS.pack(*numbers)
        return with_header_crc(b"MFC\x01" + struct.pack("<H", len(fields)) + fields)

    assert read_header(file(b"a", 16000, 1, 1, 50, 0)).model == "a"
    for numbers, message in (
        ((0, 1, 1, 50, 0), "sample rate 0"),
        ((16000, 0, 1, 50, 0), "channel count 0"),
        ((16000, 1, 2**48, 50, 0), "sample count"),
        ((16000, 1, 1, 0, 0), "frames per packet 0"),
        ((16000, 1, 1, 50, 2**32 - 1), "4294967295 packets announced"),
    ):
        with pytest.raises(BitstreamError, match=message):
            read_stream(file(b"a", *numbers))
    with pytest.raises(BitstreamError, match="not UTF-8"):
        read_stream(file(b"\xff", 16000, 1, 1, 50, 0))
    with pytest.raises(BitstreamError, match="implausible length of 0"):
        read_stream(with_header_crc(b"MFC\x01\x00\x00"))


@pytest.mark.parametrize("length", [b"\x80\x00", b"\xff\xff\xff\xff\xff", b"\x80\x80\x80\x80\x80\x01"])
def test_malformed_lengths_are_refused(length):
    start = len(write_stream(HEADER, []))
    data = write_stream(HEADER, [b""])[:start] + length + bytes(20)
    with pytest.raises(BitstreamError, match=r"length of packet 0 of 1 is malformed"):
        read_stream(data)


def test_random_mutations_are_refused_or_harmless():
    rng = np.random.default_rng(0)
    data = np.frombuffer(write_stream(HEADER, PACKETS * 3), np.uint8)
    start = len(write_stream(HEADER, []))
    for trial in range(20_000):
        damaged = data.copy()
        # Half of the trials leave the header intact, so that the packets are reached.
        low = start if trial % 2 else 0
        for _ in range(rng.integers(1, 4)):
            damaged[rng.integers(low, len(damaged))] = rng.integers(256)
        damaged = damaged[: rng.integers(low, len(damaged) + 1)] if trial % 3 == 0 else damaged
        try:
            header, packets = read_stream(damaged.tobytes())
        except BitstreamError:
            continue
        assert write_stream(header, packets) == data.tobytes()


@settings(deadline=None)
@given(st.binary(max_size=200))
def test_noise_is_refused(noise):
    for data in (noise, b"MFC\x01" + noise):
        with pytest.raises(BitstreamError):
            read_stream(data)
