"""Damaged .mfc containers: one specific line for every way in which a file can be wrong."""

import contextlib
import dataclasses
import io
import struct
import tracemalloc

import numpy as np
import pytest
from fixtures.container_chunks import DATA, END_BYTES, HEADER, PACKETS, TAGS, H, P, chunk, file
from hypothesis import given, settings
from hypothesis import strategies as st

from meanflow_audio_codec.codec.container import (
    BitstreamError,
    Packet,
    SeekableReader,
    read_header,
    read_stream,
    write_stream,
)
from meanflow_audio_codec.codec.container.chunks import CHUNK_OVERHEAD
from meanflow_audio_codec.codec.container.trailer import index_entry, packet_positions
from meanflow_audio_codec.errors import InputError

# Damage.


def test_every_truncation_is_refused():
    for length in range(len(DATA)):
        for read in (read_stream, lambda data: SeekableReader(io.BytesIO(data))):
            with pytest.raises(BitstreamError, match=r"truncated|empty"):
                read(DATA[:length])


def read_by_seeking(data: bytes) -> list[Packet]:
    reader = SeekableReader(io.BytesIO(data))
    return [reader.packet(index) for index in range(reader.num_packets)]


def test_every_flipped_bit_is_noticed():
    for bit in range(8 * len(DATA)):
        damaged = bytearray(DATA)
        damaged[bit // 8] ^= 1 << bit % 8
        with pytest.raises(BitstreamError) as error:
            read_stream(bytes(damaged))
        assert "\n" not in str(error.value)
        # By seeking, only chunks that are never touched can be damaged unnoticed: here the tags, if their type is.
        with contextlib.suppress(BitstreamError):
            assert read_by_seeking(bytes(damaged)) == PACKETS


def test_random_mutations_are_refused_or_harmless():
    rng = np.random.default_rng(0)
    original = np.frombuffer(DATA, np.uint8)
    start = len(write_stream(HEADER, 0, [], TAGS)) - END_BYTES - 9
    for trial in range(5_000):
        damaged = original.copy()
        # Half of the trials leave header and tags intact, so that the packets are reached.
        low = start if trial % 2 else 0
        for _ in range(rng.integers(1, 4)):
            damaged[rng.integers(low, len(damaged))] = rng.integers(256)
        damaged = damaged[: rng.integers(low, len(damaged) + 1)] if trial % 3 == 0 else damaged
        try:
            stream = read_stream(damaged.tobytes())
        except BitstreamError:
            continue
        assert write_stream(stream.header, stream.num_samples, stream.packets, stream.tags) == DATA


@settings(deadline=None)
@given(st.binary(max_size=200))
def test_noise_is_refused(noise):
    for data in (noise, b"MFC\x02" + noise, b"MFC\x02" + chunk(*H) + noise):
        with pytest.raises(BitstreamError):
            read_stream(data)
        with pytest.raises(BitstreamError):
            SeekableReader(io.BytesIO(data))


@pytest.mark.parametrize("announced", [(b"P", 2**20), (b"I", 2**24), (b"q", 2**24)])
def test_an_announced_size_costs_no_memory(announced):
    kind, size = announced
    data = b"MFC\x02" + chunk(*H) + kind + struct.pack("<I", size) + bytes(50)
    tracemalloc.start()
    try:
        with pytest.raises(BitstreamError, match="truncated"):
            read_stream(data)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 300_000  # pieces of 64 KiB


# What the message says.


MESSAGES = {
    "nothing": (b"", "empty"),
    "a wav": (b"RIFF1234", "not an .mfc file"),
    "newer": (b"MFC\x03" + DATA[4:], r"newer version of this format \(3, this program reads 2\); upgrade"),
    "version 1": (b"MFC\x01" + DATA[4:], "format version 1, which does not exist"),
    "version 0": (b"MFC\x00" + DATA[4:], "version 0, which does not exist"),
    "header changed": (DATA[:15] + b"\xff" + DATA[16:], "corrupted in the header: the CRC-32 of the header"),
    "no header": (file(P), "begins with a packet, not with the header"),
    "two headers": (file(H, H, P), "the header stands where the index belongs"),
    "no packets": (file(H)[:-END_BYTES], "truncated after the last of 0 packets: it has no end chunk"),
    "packet changed": (DATA.replace(b"xxx", b"xyx", 1), "corrupted after packet 1: the CRC-32 of a packet"),
    "cut": (DATA[:-1], "truncated after the last of 3 packets"),
    "longer": (DATA + b"!", f"unexpected bytes after the end chunk; cut the file at {len(DATA)}"),
    "tags twice": (file(H, (b"t", b""), (b"t", b""), P), "the tags stands where the index belongs"),
    "tags late": (file(H, P, (b"t", b"")), "the tags stands where the index belongs"),
    "mandatory chunk": (file(H, (b"X", b"new"), P), "needs a chunk of the unknown type b'X'.*upgrade"),
    "no letter": (DATA[:4] + b"\x00" + DATA[5:], "no chunk begins with the byte 0x00"),
    "huge chunk": (DATA[:4] + b"H\xff\xff\xff\xff" + DATA[9:], "a chunk 'H' of 4294967295 bytes, more than 512"),
    "no frames": (file(H, (b"P", b"\x00\x00")), "packet 0 has 0 frames, not 1 ... 50"),
    "too many frames": (file(H, (b"P", b"\x33\x00")), "packet 0 has 51 frames, not 1 ... 50"),
    "no number of frames": (file(H, (b"P", b"\x33")), "packet 0 is malformed: 1 bytes"),
    "short in the middle": (file(H, P, P), "packet 1 follows packets of fewer than 50 frames"),
    "samples": (file(H, P, num_samples=2**48), "sample count 281474976710656"),
    "tag without an end": (file(H, (b"t", b"\x05ti"), P), "a key goes beyond their end"),
    "tag without a value": (file(H, (b"t", b"\x01t\x09\x00v"), P), "a value goes beyond their end"),
    "tag of no text": (file(H, (b"t", b"\x01t\x01\x00\xff"), P), "not UTF-8"),
    "tag of a bad key": (file(H, (b"t", b"\x01T\x01\x00v"), P), "tag 'T'"),
    "tag given twice": (file(H, (b"t", b"\x01t\x01\x00v" * 2), P), "tag t occurs twice"),
    "packets exchanged": (
        file(H, (b"P", b"\x32\x00one"), (b"P", b"\x32\x00two")).replace(
            chunk(b"P", b"\x32\x00one"), chunk(b"P", b"\x32\x00six")
        ),
        "chunks are missing, exchanged or from another file",
    ),
    "packet removed": (DATA.replace(chunk(b"P", b"\x32\x00abc"), b""), "the index does not lead to the packets"),
    "channel missing": (
        file((b"H", dataclasses.replace(HEADER, channels=2).to_bytes()), P),
        r"the last slice of time lacks 1 channel\(s\)",
    ),
    "channels unequal": (
        file((b"H", dataclasses.replace(HEADER, channels=2).to_bytes()), P, (b"P", b"\x08\x00x")),
        "packet 1 has 8 frames, those of the channel before it 7",
    ),
}


@pytest.mark.parametrize("case", MESSAGES)
def test_messages_say_what_is_wrong(case):
    data, message = MESSAGES[case]
    with pytest.raises(BitstreamError, match=message) as error:
        read_stream(data)
    assert "\n" not in str(error.value)
    assert issubclass(BitstreamError, InputError)


@pytest.mark.parametrize(
    ("index", "position", "count", "message"),
    [
        (b"", 0, 0, "no possible position of the index"),
        (b"", 2**63, 0, "no possible position of the index"),
        (b"", None, 1, "index has 0 bytes for 1 packets"),
        (b"\x00\x00\x00\x00", None, 1, "outside the packets"),
        (b"\xff\xff\xff\xff", None, 1, "outside the packets"),
        (struct.pack("<II", 48, 0), None, 2, "outside the packets"),
        (struct.pack("<II", 48, 1), None, 2, "outside the packets"),
        (b"", None, 2**32 - 1, "packet count"),
    ],
)
def test_an_index_that_leads_astray_is_refused_in_both_ways_of_reading(index, position, count, message):
    data = b"MFC\x02" + chunk(*H)
    position = len(data) if position is None else position
    data += chunk(b"I", index) + chunk(b"E", struct.pack("<QIQI", 1, count, position, 0))
    with pytest.raises(BitstreamError, match=message):
        SeekableReader(io.BytesIO(data))
    with pytest.raises(BitstreamError):
        read_stream(data)


@pytest.mark.parametrize("distance", [0, 1, CHUNK_OVERHEAD - 1])
def test_packets_that_overlap_in_the_index_are_refused(distance):
    """Each takes its head and its checksum at least."""

    def positions(distance: int) -> list[int]:
        content = b"".join(map(index_entry, (60, distance, 40)))
        return packet_positions(content, 3, first=60, end=60 + distance + 40 + CHUNK_OVERHEAD).tolist()

    assert positions(CHUNK_OVERHEAD) == [60, 60 + CHUNK_OVERHEAD, 100 + CHUNK_OVERHEAD]
    with pytest.raises(BitstreamError, match="outside the packets"):
        positions(distance)


@pytest.mark.parametrize("frames", [1, 49, 51])
@pytest.mark.parametrize("channels", [1, 2])
def test_a_packet_in_the_middle_must_be_full_when_it_is_sought(frames, channels):
    """As when the file is read from its beginning; only those of the last slice may be shorter."""
    header = (b"H", dataclasses.replace(HEADER, channels=channels).to_bytes())
    full, last = ((b"P", struct.pack("<H", number) + b"payload") for number in (50, 7))
    good = SeekableReader(io.BytesIO(file(header, *[full] * (2 * channels), *[last] * channels)))
    assert [good.packet(index).num_frames for index in range(3 * channels)] == [50] * 2 * channels + [7] * channels
    odd = (b"P", struct.pack("<H", frames) + b"payload")
    reader = SeekableReader(io.BytesIO(file(header, *[full] * (2 * channels - 1), odd, *[last] * channels)))
    with pytest.raises(BitstreamError, match=f"packet {2 * channels - 1} has an impossible number of frames, {frames}"):
        reader.packet(2 * channels - 1)
    # One that is empty, or longer than any, is none of the last slice either.
    for number in (0, 51):
        odd = (b"P", struct.pack("<H", number) + b"payload")
        with pytest.raises(BitstreamError, match="impossible number of frames"):
            SeekableReader(io.BytesIO(file(header, *[odd] * channels))).packet(0)


def test_implausible_headers_with_a_right_checksum_are_refused():
    def header(name: bytes, *numbers: int) -> bytes:
        return file((b"H", bytes([len(name)]) + name + bytes(8) + struct.pack("<IBHI", *numbers)))

    assert read_header(header(b"a", 16000, 1, 50, 0)).model == "a"
    for numbers, message in (
        ((0, 1, 50, 0), "sample rate 0"),
        ((16000, 0, 50, 0), "channel count 0"),
        ((16000, 1, 0, 0), "frames per packet 0"),
        ((16000, 1, 2_001, 0), "frames per packet 2001: must lie in 1 ... 2000"),
    ):
        with pytest.raises(BitstreamError, match=message):
            read_header(header(b"a", *numbers))
    with pytest.raises(BitstreamError, match="not UTF-8"):
        read_header(header(b"\xff", 16000, 1, 50, 0))
    with pytest.raises(BitstreamError, match="implausible size of 0"):
        read_header(file((b"H", b"")))


# What cannot be written.


@pytest.mark.parametrize(
    ("field", "value", "message"),
    [
        ("channels", 0, "channel count 0"),
        ("channels", 256, "channel count 256"),
        ("sample_rate", 0, "sample rate 0"),
        ("sample_rate", 768_001, "sample rate 768001"),
        ("frames_per_packet", 0, "frames per packet 0"),
        ("frames_per_packet", 2_001, "frames per packet 2001"),
        ("noise_seed", 2**32, "noise seed"),
        ("model", "", "model name"),
        ("model", "a\nb", "model name"),
        ("model", "x" * 256, "model name"),
        ("weights_hash", b"1234567", "weights hash"),
    ],
)
def test_implausible_headers_cannot_be_made(field, value, message):
    with pytest.raises(BitstreamError, match=message):
        dataclasses.replace(HEADER, **{field: value})


@pytest.mark.parametrize(
    ("tags", "message"),
    [
        ({"Title": "x"}, "a-z"),
        ({"": "x"}, "a-z"),
        ({"k" * 33: "x"}, "a-z"),
        ({"title": ""}, "0 bytes"),
        ({"title": "x" * 8193}, "8193 bytes"),
        ({"title": "a\0b"}, "zero character"),
        ({"title": "\ud800"}, "not valid Unicode"),
        ({f"comment{i}": "x" * 8000 for i in range(9)}, "more than 65536: leave some out"),
    ],
)
def test_tags_that_cannot_be_stored_are_refused(tags, message):
    with pytest.raises(BitstreamError, match=message):
        write_stream(HEADER, 1, [], tags)
