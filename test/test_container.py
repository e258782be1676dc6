"""The .mfc container: exact round trips, and one specific line for every way in which a file can be wrong."""

import contextlib
import dataclasses
import io
import os
import struct
import threading
import tracemalloc
import zlib

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from meanflow_audio_codec.codec.container import (
    BitstreamError,
    Header,
    Packet,
    SeekableReader,
    StreamReader,
    StreamWriter,
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
    frames_per_packet=50,
    noise_seed=77,
)
PACKETS = [Packet(50, b"abc"), Packet(50, b""), Packet(7, b"x" * 200)]
TAGS = {"title": "Röslein", "tracknumber": "3"}
DATA = write_stream(HEADER, 12345, PACKETS, TAGS)
END_BYTES = 33

headers = st.builds(
    Header,
    model=st.text(st.characters(categories=["L", "N", "P"]), min_size=1, max_size=60),
    weights_hash=st.binary(min_size=8, max_size=8),
    sample_rate=st.integers(1, 768_000),
    channels=st.integers(1, 5),
    frames_per_packet=st.integers(1, 2**12),
    noise_seed=st.integers(0, 2**32 - 1),
)
tag_sets = st.dictionaries(
    st.text("abcdefghijklmnopqrstuvwxyz0123456789_-", min_size=1, max_size=32),
    st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), min_size=1, max_size=40),
    max_size=5,
)


@st.composite
def streams(draw):
    header = draw(headers)
    full = header.frames_per_packet
    slices = draw(st.integers(0, 3))
    frames = [full] * (slices - 1) + [draw(st.integers(1, full))] * (slices > 0)
    packets = [Packet(count, draw(st.binary(max_size=99))) for count in frames for _ in range(header.channels)]
    return header, draw(st.integers(0, 2**48 - 1)), packets, draw(tag_sets)


def chunk(kind: bytes, content: bytes) -> bytes:
    """Written from the documentation, not by the package."""
    body = kind + struct.pack("<I", len(content)) + content
    return body + struct.pack("<I", zlib.crc32(body))


def file(*parts: tuple[bytes, bytes], num_samples: int = 12345) -> bytes:
    """A file of these chunks with the index and the end that belong to them."""
    data = b"MFC\x02"
    crcs, index, last, packets = b"", b"", 0, 0
    for kind, content in parts:
        if kind == b"P":
            index += struct.pack("<I", len(data) - last)
            last = len(data)
            packets += 1
        data += chunk(kind, content)
        crcs += data[-4:]
    index_position = len(data)
    data += chunk(b"I", index)
    crcs += data[-4:]
    return data + chunk(b"E", struct.pack("<QIQI", num_samples, packets, index_position, zlib.crc32(crcs)))


H = (b"H", HEADER.to_bytes())
P = (b"P", b"\x07\x00payload")


class CountingFile(io.BytesIO):
    """A file that counts the bytes read from it."""

    num_read = 0

    def read(self, size=-1):
        data = super().read(size)
        self.num_read += len(data)
        return data


class OneWay(io.RawIOBase):
    """A file that can neither seek nor tell, and reads as little at a time as a pipe may."""

    def __init__(self, data: bytes = b""):
        self.data = bytearray(data)

    def write(self, data):
        self.data += data
        return len(data)

    def read(self, size=-1):
        piece = bytes(self.data[: min(size, 3)])
        del self.data[: len(piece)]
        return piece

    def seek(self, *_):
        raise AssertionError("a pipe cannot seek")

    tell = seek


@settings(deadline=None)
@given(streams())
def test_what_is_written_is_read(stream):
    header, num_samples, packets, tags = stream
    data = write_stream(header, num_samples, packets, tags)
    assert read_stream(data) == (header, tags, num_samples, packets)
    assert read_header(data) == header
    seekable = SeekableReader(io.BytesIO(data))
    assert (seekable.header, seekable.tags, seekable.trailer.num_samples) == (header, tags, num_samples)
    order = range(len(packets))[::-1]
    assert [seekable.packet(index) for index in order] == [packets[index] for index in order]


def test_layout_is_the_documented_one():
    numbers = struct.pack("<IBHI", 16000, 1, 50, 77)
    header = b"\x0a" + b"speech-16k" + bytes(range(8)) + numbers
    title = "Röslein".encode()
    tags = b"\x05title" + struct.pack("<H", len(title)) + title + b"\x0btracknumber" + b"\x01\x003"
    packets = [struct.pack("<H", packet.num_frames) + packet.payload for packet in PACKETS]
    assert file((b"H", header), (b"t", tags), *((b"P", packet) for packet in packets)) == DATA
    assert len(chunk(b"E", bytes(24))) == END_BYTES


def test_payload_bits_count_payloads_only():
    assert payload_bits(PACKETS) == 8 * 203
    assert payload_bits([]) == 0


def test_a_file_is_written_and_read_in_one_direction():
    out = OneWay()
    writer = StreamWriter(out, HEADER, TAGS)
    for packet in PACKETS:
        writer.write_packet(packet)
    writer.finish(12345)
    assert bytes(out.data) == DATA
    reader = StreamReader(OneWay(DATA))
    assert (reader.header, reader.tags) == (HEADER, TAGS)
    with pytest.raises(ValueError, match="only once"):
        _ = reader.trailer
    assert list(reader.packets()) == PACKETS
    assert (reader.trailer.num_samples, reader.num_frames, reader.position) == (12345, 107, len(DATA))


def test_packets_arrive_through_a_pipe_before_the_file_ends():
    read_end, write_end = os.pipe()
    with os.fdopen(read_end, "rb", buffering=0) as source, os.fdopen(write_end, "wb", buffering=0) as sink:
        writer = StreamWriter(sink, HEADER)
        writer.write_packet(PACKETS[0])
        reader = StreamReader(source)
        packets = reader.packets()
        assert next(packets) == PACKETS[0]
        finishing = threading.Thread(target=lambda: (writer.write_packet(PACKETS[2]), writer.finish(9), sink.close()))
        finishing.start()
        assert list(packets) == [PACKETS[2]]
        finishing.join()
    assert reader.trailer.num_samples == 9


def test_two_seconds_of_an_hour_cost_header_index_and_their_packets():
    packets = [Packet(500, bytes(7_000))] * 360
    header = dataclasses.replace(HEADER, frames_per_packet=500)
    counting = CountingFile(write_stream(header, 3600 * 16_000, packets, TAGS))
    reader = SeekableReader(counting)
    fixed = counting.num_read
    # Header, tags, index entries and end, with the first bytes of the end chunk read twice.
    assert fixed < 4 * 360 + 250
    reader.packet(1)
    assert counting.num_read - fixed == 7_000 + 2 + 9
    assert counting.num_read < 0.004 * len(counting.getvalue())


def test_unknown_optional_chunks_are_skipped_wherever_they_stand():
    data = file(H, (b"c", b"cover"), (b"P", b"\x32\x00first"), (b"z", b""), P, (b"y", b"later"))
    stream = read_stream(data)
    assert (stream.packets, stream.tags) == ([Packet(50, b"first"), Packet(7, b"payload")], {})
    reader = SeekableReader(io.BytesIO(data))
    assert [reader.packet(0), reader.packet(1)] == stream.packets
    tagged = file(H, (b"c", b"cover"), (b"t", b"\x01a\x01\x00b"), P)
    assert read_stream(tagged).tags == SeekableReader(io.BytesIO(tagged)).tags == {"a": "b"}


def test_unknown_optional_chunks_are_not_kept():
    data = file(H, (b"c", bytes(8_000_000)), P)
    tracemalloc.start()
    try:
        read_stream(data)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 1_000_000


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


MESSAGES = {
    "nothing": (b"", "empty"),
    "a wav": (b"RIFF1234", "not an .mfc file"),
    "newer": (b"MFC\x03" + DATA[4:], r"newer version of this format \(3, this program reads 2\); upgrade"),
    "version 1": (b"MFC\x01" + DATA[4:], "version 1, which was never released; encode the recording again"),
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


@pytest.mark.parametrize(
    ("field", "value", "message"),
    [
        ("channels", 0, "channel count 0"),
        ("channels", 256, "channel count 256"),
        ("sample_rate", 0, "sample rate 0"),
        ("sample_rate", 768_001, "sample rate 768001"),
        ("frames_per_packet", 0, "frames per packet 0"),
        ("frames_per_packet", 4097, "frames per packet 4097"),
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


def test_implausible_headers_with_a_right_checksum_are_refused():
    def header(name: bytes, *numbers: int) -> bytes:
        return file((b"H", bytes([len(name)]) + name + bytes(8) + struct.pack("<IBHI", *numbers)))

    assert read_header(header(b"a", 16000, 1, 50, 0)).model == "a"
    for numbers, message in (
        ((0, 1, 50, 0), "sample rate 0"),
        ((16000, 0, 50, 0), "channel count 0"),
        ((16000, 1, 0, 0), "frames per packet 0"),
    ):
        with pytest.raises(BitstreamError, match=message):
            read_header(header(b"a", *numbers))
    with pytest.raises(BitstreamError, match="not UTF-8"):
        read_header(header(b"\xff", 16000, 1, 50, 0))
    with pytest.raises(BitstreamError, match="implausible size of 0"):
        read_header(file((b"H", b"")))


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
