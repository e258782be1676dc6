"""Files written once must hold the same integers for ever; write_golden_files.py says when they may change."""

import io

import numpy as np
import pytest
from fixtures.golden_files import GOLDEN, SHIPPED, TAGS, decode_tokens, speech_signal

from meanflow_audio_codec.codec.container import SeekableReader, read_stream, write_stream
from meanflow_audio_codec.codec.entropy_coding.packet_coder import PacketCoder
from meanflow_audio_codec.inference.pretrained import load_pretrained


def arrays(name: str) -> dict[str, np.ndarray]:
    with np.load(GOLDEN / f"{name}.npz") as file:
        return dict(file)


def test_two_channels_with_tags_decode_to_the_same_integers():
    data = (GOLDEN / "tiny-version-2.mfc").read_bytes()
    expected = arrays("tiny-version-2")
    side, codes = expected.pop("side"), expected.pop("codes")
    coder = PacketCoder.from_state(expected)
    stream = read_stream(data)
    header = stream.header
    assert (header.model, header.weights_hash, header.sample_rate, header.channels) == (
        "tiny",
        bytes(range(8)),
        44_100,
        2,
    )
    assert (header.frames_per_packet, header.noise_seed, stream.num_samples) == (20, 123_456_789, 37_000)
    assert stream.tags == SeekableReader(io.BytesIO(data)).tags == TAGS
    tokens = decode_tokens(coder, stream)
    np.testing.assert_array_equal(tokens.side, side)
    np.testing.assert_array_equal(tokens.codes, codes)
    # And they are written as they were.
    assert write_stream(header, stream.num_samples, stream.packets, stream.tags) == data
    for index, packet in enumerate(stream.packets):
        part, channel = slice(20 * (index // 2), 20 * (index // 2) + packet.num_frames), index % 2
        assert coder.encode(side[channel, part], codes[channel, part]) == packet.payload


@pytest.mark.parametrize("name", SHIPPED)
def test_a_file_of_the_shipped_weights_decodes_to_the_same_integers(name):
    pretrained = load_pretrained(name)
    stream = read_stream((GOLDEN / f"{name}-version-2.mfc").read_bytes())
    assert stream.header.weights_hash == pretrained.weights_hash, "other weights: run test/write_golden_files.py"
    assert (stream.num_samples, stream.tags) == (len(speech_signal()), {"title": "glides"})
    expected = arrays(f"{name}-version-2")
    tokens = decode_tokens(PacketCoder.from_state(pretrained.entropy), stream)
    np.testing.assert_array_equal(tokens.side, expected["side"])
    np.testing.assert_array_equal(tokens.codes, expected["codes"])


def test_a_file_of_several_bit_rates_decodes_by_its_tables():
    stream = read_stream((GOLDEN / "scalable-version-2.mfc").read_bytes())
    expected = arrays("scalable-version-2")
    side, codes = expected.pop("side"), expected.pop("codes")
    coder = PacketCoder.from_state(expected)
    tokens = decode_tokens(coder, stream)
    np.testing.assert_array_equal(tokens.side, side)
    np.testing.assert_array_equal(tokens.codes, codes)
    assert stream.num_samples == len(speech_signal())
    # Written as they were: one channel, one packet.
    assert [coder.encode(side[0], codes[0])] == [packet.payload for packet in stream.packets]
