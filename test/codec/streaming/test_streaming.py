"""Audio in pieces and packets one by one: the same codes and samples as for the whole, on time, whatever is lost."""

import gc
import tracemalloc

import numpy as np
import pytest
from fixtures.tiny_models import HOP, RATE, bass_alone, sound, tiny_codec
from hypothesis import given, settings
from hypothesis import strategies as st

from meanflow_audio_codec import BitstreamError
from meanflow_audio_codec.codec.codec import Codec
from meanflow_audio_codec.codec.container import read_stream
from meanflow_audio_codec.codec.files.packet_streams import decode_stream, encode_stream
from meanflow_audio_codec.codec.packets import StreamPacket, number_packets
from meanflow_audio_codec.codec.streaming.concealment import Concealment
from meanflow_audio_codec.errors import InputError

FRAMES = 5
PACKET = FRAMES * HOP
# float32 sums of at most a few hundred terms, in another order for windows of another size: 2^-24 times some tens.
ROUNDING = 1e-5


@pytest.fixture(scope="module")
def codec() -> Codec:
    return tiny_codec()


@pytest.fixture(scope="module")
def packets(codec) -> list[StreamPacket]:
    return list(encode_stream(codec, [sound(60 * HOP, 4)], RATE, frames_per_packet=FRAMES))


@pytest.fixture(scope="module")
def undisturbed(codec, packets) -> np.ndarray:
    return decode(codec, packets)


def decode(codec: Codec, packets: list[StreamPacket | None], num_samples: int = 60 * HOP, **options) -> np.ndarray:
    blocks = decode_stream(codec, packets, RATE, num_samples, frames_per_packet=FRAMES, **options)
    return np.concatenate(list(blocks), axis=1)[0]


def payloads(codec: Codec, audio: np.ndarray, rate: int, frames: int) -> list[bytes]:
    return [packet.payload for packet in read_stream(codec.encode(audio, rate, frames_per_packet=frames)).packets]


@settings(max_examples=15, deadline=None)
@given(
    num_samples=st.integers(1, 12_000),
    cuts=st.lists(st.integers(0, 12_000), max_size=6),
    rate=st.sampled_from([8_000, 16_000, 44_100]),
)
def test_packets_are_those_of_the_whole_recording_however_it_is_cut(num_samples, cuts, rate):
    audio = np.stack([sound(num_samples, seed, rate) for seed in range(2)])
    blocks = np.split(audio, sorted(min(cut, num_samples) for cut in cuts), axis=1)
    packets = list(encode_stream(tiny_codec(), blocks, rate, frames_per_packet=FRAMES))
    assert [packet.payload for packet in packets] == payloads(tiny_codec(), audio, rate, FRAMES)
    in_file = read_stream(tiny_codec().encode(audio, rate, frames_per_packet=FRAMES)).packets
    assert list(number_packets(in_file, channels=2)) == packets


@pytest.mark.parametrize("num_samples", [20 * HOP, 210 * HOP], ids=["ends within the small window", "does not"])
def test_long_packets_are_those_of_the_whole_recording(codec, num_samples):
    audio = sound(num_samples)
    packets = encode_stream(codec, [audio[:999], audio[999:]], RATE, frames_per_packet=200)
    assert [packet.payload for packet in packets] == payloads(codec, audio, RATE, 200)


@pytest.mark.parametrize("rate", [16_000, 44_100])
def test_samples_are_those_of_the_whole_recording(codec, rate):
    audio = np.stack([sound(rate + 77, seed, rate) for seed in range(2)])
    tokens = codec.analyze(audio, rate, frames_per_packet=FRAMES)
    expected = codec.synthesize(tokens, audio.shape[1], rate, seed=3, temperature=0.8)
    packets = encode_stream(codec, [audio], rate, frames_per_packet=FRAMES)
    blocks = decode_stream(
        codec, packets, rate, audio.shape[1], channels=2, frames_per_packet=FRAMES, seed=3, temperature=0.8
    )
    decoded = np.concatenate(list(blocks), axis=1)
    np.testing.assert_allclose(decoded, expected, rtol=0, atol=ROUNDING * np.abs(expected).max())


def test_a_packet_leaves_with_the_very_sample_it_needs(codec):
    encoder = codec.streaming_encoder(frames_per_packet=FRAMES)
    future = codec.networks.encoder_context.future
    audio = sound(40 * HOP)
    position = 0
    for index in range(3):
        needed = ((index + 1) * FRAMES + future) * HOP
        assert encoder.push(audio[position : needed - 1]) == []
        (packet,) = encoder.push(audio[needed - 1 : needed])
        assert (packet.index, packet.num_frames) == (index, FRAMES)
        position = needed


@pytest.mark.parametrize("rate", [16_000, 48_000])
def test_samples_come_within_the_stated_latency(codec, rate):
    encoder = codec.streaming_encoder(sample_rate=rate, frames_per_packet=FRAMES)
    decoder = codec.streaming_decoder(sample_rate=rate, frames_per_packet=FRAMES)
    latency = encoder.latency_samples + decoder.latency_samples
    step = 64 * rate // RATE
    pushed = given_out = 0
    margins = []
    for block in np.split(sound(150 * step * 5, sample_rate=rate), 150 * 5):
        # Just before the next sample comes, all but the last `latency` samples must have been given out.
        margins.append(given_out - (pushed + 1 - latency))
        pushed += len(block)
        given_out += sum(decoder.push(packet).shape[1] for packet in encoder.push(block))
    assert pushed > 2 * latency
    assert min(margins[-len(margins) // 2 :]) >= 0
    if rate == RATE:
        hops = FRAMES + 1 + codec.networks.encoder_context.future + codec.networks.decoder_context.future
        assert latency == hops * HOP
        # And not before: it is no looser than one step of this test.
        assert min(margins[-len(margins) // 2 :]) <= step


def test_what_follows_after_the_latency_changes_nothing(codec):
    encoder, decoder = (make(frames_per_packet=FRAMES) for make in (codec.streaming_encoder, codec.streaming_decoder))
    latency = encoder.latency_samples + decoder.latency_samples
    audio = sound(latency + 20 * HOP)
    other = audio.copy()
    other[latency + 100 :] = sound(20 * HOP - 100, seed=5)
    first, second = (
        decode(codec, list(encode_stream(codec, [x], RATE, frames_per_packet=FRAMES)), len(x)) for x in (audio, other)
    )
    np.testing.assert_array_equal(first[:100], second[:100])
    assert (first != second).any()


def test_memory_does_not_grow_with_the_stream(codec):
    encoder, decoder = (make(frames_per_packet=FRAMES) for make in (codec.streaming_encoder, codec.streaming_decoder))
    block = sound(2 * PACKET)

    def held_after(count: int) -> int:
        for _ in range(count):
            for packet in encoder.push(block):
                decoder.push(packet)
        gc.collect()
        return tracemalloc.get_traced_memory()[0]

    held_after(10)
    tracemalloc.start()
    before = held_after(10)
    after = held_after(50)
    tracemalloc.stop()
    # Interpreter and annotation checks keep some kilobytes; audio that stayed would be five times the bound.
    assert after - before < 10 * block.nbytes


def test_joints_do_not_click(codec, packets):
    # Bass alone, whose samples lie on a smooth curve; a step between samples shows in the second difference.
    coder = codec.packet_coder
    bass = []
    for packet in packets:
        side, codes = coder.decode(packet.payload, packet.num_frames)
        side = bass_alone(codec.networks, side)
        bass.append(packet._replace(payload=coder.encode(side, codes)))
    for stream in (bass, [packet if packet.index not in (5, 9) else None for packet in bass]):
        curvature = np.abs(np.diff(decode(codec, stream, temperature=0.0), n=2))
        context = codec.networks.decoder_context.future
        # Windows of decoded samples meet at the middle of the frame that is the last one of a window.
        joints = np.arange((-context % FRAMES - 1) * HOP, len(curvature), PACKET)
        joints = joints[(joints > 2 * HOP) & (joints < len(curvature) - 2 * HOP)]
        near = np.unique(joints[:, None] + np.arange(-3, 2))
        assert curvature[near].max() < np.delete(curvature, near).max()


@settings(max_examples=15, deadline=None)
@given(lost=st.sets(st.integers(0, 12)))
def test_lost_packets_are_bridged_and_the_rest_is_bit_exact(lost):
    codec = tiny_codec()
    whole = list(encode_stream(codec, [sound(60 * HOP, 4)], RATE, frames_per_packet=FRAMES))
    received = [None if packet.index in lost else packet for packet in whole]
    decoded, expected = decode(codec, received), decode(codec, whole)
    assert decoded.shape == expected.shape
    assert np.isfinite(decoded).all()
    # A frame's tokens reach `past` frames on and `future` frames back; a frame sounds in two blocks.
    past, future = codec.networks.decoder_context
    touched = np.zeros(len(decoded), bool)
    for index in lost:
        first, last = index * FRAMES - future - 1, (index + 1) * FRAMES + past
        touched[max(first, 0) * HOP : last * HOP] = True
    np.testing.assert_array_equal(decoded[~touched], expected[~touched])
    # Left out without a word, but for those at the end, which the length tells.
    np.testing.assert_array_equal(decode(codec, [packet for packet in received if packet is not None]), decoded)


def test_concealment_sounds_and_fades_out(codec, packets):
    decoded = decode(codec, [packets[0], packets[1]] + [None] * 200, num_samples=202 * PACKET - HOP)
    levels = np.abs(decoded).reshape(-1, HOP).max(axis=1)
    assert levels[2 * FRAMES + 1] > 0.0
    assert not decoded[len(decoded) // 2 :].any()


def test_nothing_received_is_silence(codec):
    assert not decode(codec, [None] * 12).any()
    assert not decode(codec, []).any()


def test_late_and_repeated_packets_are_ignored(codec, packets, undisturbed):
    again = [packets[0], packets[0], *packets[1:8], packets[3], *packets[8:]]
    np.testing.assert_array_equal(decode(codec, again), undisturbed)


def test_one_lost_channel_is_bridged(codec):
    audio = np.stack([sound(30 * HOP, seed) for seed in range(2)])
    packets = list(encode_stream(codec, [audio], RATE, frames_per_packet=FRAMES))
    options = {"channels": 2, "frames_per_packet": FRAMES}
    whole, holed = (
        np.concatenate(list(decode_stream(codec, stream, RATE, 30 * HOP, **options)), axis=1)
        for stream in (packets, [packet for packet in packets if packet[:2] != (2, 0)])
    )
    assert (holed[0] != whole[0]).any()
    np.testing.assert_array_equal(holed[1], whole[1])


@pytest.mark.parametrize(
    ("change", "match"),
    [
        ({"payload": b"\xff" * 40}, "packet"),
        ({"channel": 1}, "of channel 1"),
        ({"num_frames": FRAMES + 1}, "holds 6 frames"),
        ({"num_frames": 0}, "holds 0 frames"),
        ({"index": 10**9}, "are missing"),
    ],
)
def test_bad_packets_are_refused_and_leave_no_trace(codec, packets, undisturbed, change, match):
    decoder = codec.streaming_decoder(frames_per_packet=FRAMES)
    samples = [decoder.push(packets[0])]
    with pytest.raises(BitstreamError, match=match):
        decoder.push(packets[1]._replace(**change))
    samples += [decoder.push(packet) for packet in packets[1:]]
    samples.append(decoder.finish(60 * HOP))
    np.testing.assert_array_equal(np.concatenate(samples, axis=1)[0], undisturbed)


def test_impossible_streams_are_refused(codec, packets):
    for options, match in (
        ({"channels": 0}, "number of channels"),
        ({"frames_per_packet": 0}, "frames per packet"),
        ({"frames_per_packet": 10**6}, "frames per packet"),
        ({"sample_rate": 0}, "sample rate"),
    ):
        for make in (codec.streaming_encoder, codec.streaming_decoder):
            with pytest.raises(InputError, match=match):
                make(**options)
    encoder = codec.streaming_encoder()
    with pytest.raises(InputError, match="2 channels, and this stream 1"):
        encoder.push(np.zeros((2, 10)))
    with pytest.raises(InputError, match="NaN"):
        encoder.push(np.array([np.nan]))
    assert encoder.push(np.zeros(0)) == encoder.finish() == []
    with pytest.raises(ValueError, match="finished"):
        encoder.push(np.zeros(10))
    with pytest.raises(InputError, match="no samples"):
        list(encode_stream(codec, [], RATE))
    with pytest.raises(InputError, match="do not fit"):
        decode(codec, packets, 10 * HOP)
    side, codes = codec.packet_coder.decode(packets[3].payload, FRAMES)
    short = packets[3]._replace(num_frames=1, payload=codec.packet_coder.encode(side[:1], codes[:1]))
    with pytest.raises(BitstreamError, match="follows the last packet"):
        decode(codec, [*packets[:3], short, packets[4]])
    with pytest.raises(InputError, match="must be above 0"):
        Concealment(fade_db=0.0)
