"""Hostile and damaged files: refused with one line, quickly, and without large allocations."""

import argparse
import contextlib
import dataclasses
import gc
import time
import tracemalloc
from collections.abc import Iterator

import numpy as np
import pytest
from fixtures.tiny_models import RATE, codec_folder, sound, tiny_codec

from meanflow_audio_codec import BitstreamError, Codec
from meanflow_audio_codec.codec.container import Header, Packet, read_stream, write_stream
from meanflow_audio_codec.commands import info
from meanflow_audio_codec.errors import InputError

# Values a parser is likely to mistake, beside random ones.
ODD_NUMBERS = (0, 1, 2, 3, 127, 128, 255, 256, 500, 2_000, 65_535, 65_536, 2**31 - 1, 2**31, 2**32 - 1)


@pytest.fixture(scope="module")
def files() -> list[bytes]:
    codec = tiny_codec()
    stereo = np.stack([sound(3_000, seed) for seed in range(2)])
    return [codec.encode(audio, rate) for audio, rate in ((sound(1), RATE), (sound(8_000), RATE), (stereo, 44_100))]


def with_fields(data: bytes, *, num_samples: int | None = None, num_frames: int | None = None, **fields: int) -> bytes:
    """The file with other numbers in header, packets and end, and all checksums made right: deeper code is reached."""
    stream = read_stream(data)
    packets = [Packet(num_frames or packet.num_frames, packet.payload) for packet in stream.packets]
    length = stream.num_samples if num_samples is None else num_samples
    return write_stream(dataclasses.replace(stream.header, **fields), length, packets)


def mutated(data: bytes, files: list[bytes], rng: np.random.Generator) -> bytes:
    """The file damaged in one of seven ways."""
    changed = bytearray(data)
    position = int(rng.integers(len(data)))
    match rng.integers(7):
        case 0:
            changed[position] ^= 1 << int(rng.integers(8))
        case 1:
            del changed[position:]
        case 2:
            changed[position:position] = rng.bytes(int(rng.integers(1, 9)))
        case 3:
            other = files[rng.integers(len(files))]
            changed[position:] = other[rng.integers(len(other)) :]
        case 4:
            field = str(rng.choice(["sample_rate", "num_samples", "frames_per_packet", "num_frames"]))
            value = int(rng.choice(ODD_NUMBERS)) if rng.integers(2) else int(rng.integers(1, 20_000))
            with contextlib.suppress(BitstreamError):
                return with_fields(data, **{field: value})
        case 5:
            with contextlib.suppress(BitstreamError):
                return with_fields(data, channels=int(rng.integers(256)), num_samples=int(rng.integers(2**20)))
        case 6:
            # Damage below all checksums: another payload, or other packets.
            header, tags, num_samples, packets = read_stream(data)
            index = int(rng.integers(len(packets)))
            payload = bytearray(packets[index].payload) + rng.bytes(int(rng.integers(3)))
            if payload:
                payload[rng.integers(len(payload))] = int(rng.integers(256))
            packets[index] = Packet(packets[index].num_frames, bytes(payload))
            return write_stream(header, num_samples, packets if rng.integers(2) else [], tags)
    # A number that cannot be written comes here, too.
    if changed == data:
        changed[position] ^= 1
    return bytes(changed)


@pytest.fixture
def small_heap() -> Iterator[None]:
    """What other tests have left is not searched for garbage while the clock runs: that alone takes a second or two."""
    gc.collect()
    gc.freeze()
    yield
    gc.unfreeze()


@pytest.mark.usefixtures("small_heap")
def test_mutated_files_are_decoded_or_refused_and_nothing_else(files):
    """What damage costs is compared with what reading the model and intact files costs, in the same process."""
    start = time.process_time()
    codec = Codec.from_pretrained(codec_folder())
    for data in files:
        codec.decode(data)  # compiles, which a damaged file of another length may have to, too
    intact = time.process_time() - start
    longest = 0.0
    rng = np.random.default_rng(0)
    refusals: list[str] = []
    decoded = 0
    for index in range(3_000):
        data = mutated(files[index % len(files)], files, rng)
        start = time.process_time()
        try:
            audio, _ = codec.decode(data)
            assert np.isfinite(audio).all()
            decoded += 1
        except InputError as error:
            refusals.append(str(error))
        longest = max(longest, time.process_time() - start)
    assert longest < 3 * intact
    # Some damage is none: another sample rate, or a payload that stayed as it was.
    assert len(refusals) > 2_400
    assert not any("\n" in message for message in refusals)
    assert decoded > 0


def test_info_says_something_or_refuses(files, tmp_path, capsys):
    rng = np.random.default_rng(1)
    path = tmp_path / "file.mfc"
    refusals: list[str] = []
    for index in range(500):
        path.write_bytes(mutated(files[index % len(files)], files, rng))
        try:
            assert info.run(argparse.Namespace(input=path, json=True)) == 0
        except BitstreamError as error:
            refusals.append(str(error))
    assert not any("\n" in message for message in refusals)
    assert capsys.readouterr().out.count("\n") == 500 - len(refusals)


@pytest.mark.parametrize(
    ("fields", "match"),
    [
        ({"num_samples": 2**48 - 1}, "do not fit 26 frames"),
        ({"num_samples": 2**40, "sample_rate": 1}, "do not fit 26 frames"),
        ({"num_frames": 2_000, "frames_per_packet": 2_000}, "2000 frames in .* bytes, fewer than any"),
        ({"num_samples": 0}, "no samples"),
        ({"num_frames": 27}, "a packet (is corrupted|does not fit)"),
    ],
)
def test_hostile_headers_cost_nothing(files, fields, match):
    codec = tiny_codec()
    _ = codec.packet_coder
    hostile = with_fields(files[1], **fields)
    tracemalloc.start()
    try:
        with pytest.raises(BitstreamError, match=match):
            codec.decode(hostile)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    # 600 000 samples alone would be 2.4 MB, and 2^40 do not fit any machine.
    assert peak < 8e6


def test_a_file_without_packets_is_refused():
    codec = tiny_codec()
    header = Header("tiny", codec.pretrained.weights_hash, RATE, 1, 500)
    with pytest.raises(BitstreamError, match="no samples"):
        codec.decode(write_stream(header, 1_000, []))


def test_what_follows_is_not_disturbed_by_damage(files):
    codec = tiny_codec()
    before, _ = codec.decode(files[1])
    with pytest.raises(BitstreamError):
        codec.decode(files[1][:-1])
    np.testing.assert_array_equal(codec.decode(files[1])[0], before)
