"""The .mfc container: exact round trips, forwards and by seeking, in the documented layout."""

import dataclasses
import io
import os
import struct
import threading
import tracemalloc

import pytest
from fixtures.container_chunks import DATA, END_BYTES, HEADER, PACKETS, TAGS, H, P, chunk, file
from hypothesis import given, settings
from hypothesis import strategies as st

from meanflow_audio_codec.codec.container import (
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

headers = st.builds(
    Header,
    model=st.text(st.characters(categories=["L", "N", "P"]), min_size=1, max_size=60),
    weights_hash=st.binary(min_size=8, max_size=8),
    sample_rate=st.integers(1, 768_000),
    channels=st.integers(1, 5),
    frames_per_packet=st.integers(1, 2_000),
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
