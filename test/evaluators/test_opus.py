import struct
import subprocess

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from meanflow_audio_codec.datasets.audio.example_recording import example_recording
from meanflow_audio_codec.datasets.audio_files import read_audio, write_audio
from meanflow_audio_codec.errors import InputError
from meanflow_audio_codec.evaluators.audio.reconstruction import signal_to_noise_ratio
from meanflow_audio_codec.evaluators.peers.alignment import find_lag, remove_lag
from meanflow_audio_codec.evaluators.peers.ogg import last_granule_position, opus_payload_bytes, read_packets
from meanflow_audio_codec.evaluators.peers.opus import code_with_opus, find_opus_tools
from meanflow_audio_codec.evaluators.peers.opus_decoder import OpusDecoder, find_opus_decoder


def page(segments: list[bytes], *, flags: int = 0, serial: int = 7, granule: int = 0) -> bytes:
    """One Ogg page: capture pattern, version, flags, granule position, serial, sequence number, checksum, segments."""
    header = struct.pack("<4sBBqIII", b"OggS", 0, flags, granule, serial, 0, 0)
    return header + bytes([len(segments), *map(len, segments)]) + b"".join(segments)


def lace(packet: bytes) -> list[bytes]:
    """A packet as segments: pieces of 255 bytes, then one that is shorter, possibly empty."""
    return [packet[i : i + 255] for i in range(0, len(packet) + 1, 255)]


HEADERS = [page(lace(b"OpusHead" + bytes(11)), flags=2), page(lace(b"OpusTags" + bytes(600)))]


def test_a_hand_made_file():
    audio = page(lace(bytes(100)) + lace(bytes(255)) + lace(bytes(0)), flags=4, granule=960)
    content = b"".join([*HEADERS, audio])
    assert [len(packet) for packet in read_packets(content)] == [19, 608, 100, 255, 0]
    assert opus_payload_bytes(content) == 355
    assert last_granule_position(content) == 960


@settings(max_examples=50, deadline=None)
@given(sizes=st.lists(st.integers(0, 1_000), min_size=1, max_size=20), segments_per_page=st.integers(1, 255))
def test_packets_survive_any_paging(sizes, segments_per_page):
    segments = [segment for size in sizes for segment in lace(bytes(size))]
    groups = [segments[i : i + segments_per_page] for i in range(0, len(segments), segments_per_page)]
    pages = [page(group, flags=4 * (group is groups[-1])) for group in groups]
    assert read_packets(b"".join(pages)) == [bytes(size) for size in sizes]


@pytest.mark.parametrize("cut", [1, 50, 130, 640])
def test_a_file_cut_short_is_an_error(cut):
    content = b"".join([*HEADERS, page(lace(bytes(100)), flags=4)])
    with pytest.raises(InputError, match=r"cut short|no Ogg page"):
        read_packets(content[:-cut])


def test_other_content_is_an_error():
    with pytest.raises(InputError, match="byte 0"):
        read_packets(b"RIFF" + bytes(100))
    with pytest.raises(InputError, match="second stream"):
        read_packets(page([b"a"], flags=2) + page([b"b"], serial=8))
    with pytest.raises(InputError, match="no Opus headers"):
        opus_payload_bytes(page([b"vorbis"], flags=2) + page([b"b", b"c"], flags=4))


@settings(max_examples=20, deadline=None)
@given(lag=st.integers(-40, 40), tail=st.integers(-200, 200))
def test_a_lag_is_found_and_removed(lag, tail):
    reference = np.random.default_rng(0).standard_normal(2_000)
    decoded = remove_lag(reference, -lag, len(reference) + tail)
    assert find_lag(reference, decoded, 40) == lag
    restored = remove_lag(decoded, lag, len(reference))
    inner = slice(40, 1_700)
    np.testing.assert_array_equal(restored[inner], reference[inner])


def test_silence_has_no_lag():
    assert find_lag(np.zeros(100), np.zeros(90), 10) == 0


@pytest.mark.parametrize("sample_rate", [16_000, 44_100])
def test_opus_is_aligned_and_as_long_as_the_clip(sample_rate):
    try:
        find_opus_tools()
    except InputError as error:
        pytest.skip(str(error))
    clip = example_recording(sample_rate)[: sample_rate + 37]
    decoded, payload_bytes = code_with_opus(clip, sample_rate, 64.0)
    assert decoded.shape == clip.shape
    # One sample of delay would leave some 10 dB.
    assert signal_to_noise_ratio(clip, decoded) > 15
    # Variable bit rate: a target, not a promise.
    assert 45_000 < 8 * payload_bytes < 90_000


def need_libopus_1_5() -> None:
    try:
        find_opus_tools()
        find_opus_decoder()
    except InputError as error:
        pytest.skip(str(error))


def test_libopus_1_5_decodes_as_opusdec_does_and_enhances_if_told(tmp_path):
    need_libopus_1_5()
    encoder, decoder = find_opus_tools()
    original, coded, decoded = (tmp_path / name for name in ("original.wav", "coded.opus", "decoded.wav"))
    write_audio(original, example_recording(16_000)[:16_037], 16_000, overwrite=False)
    subprocess.run([encoder, "--quiet", "--bitrate", "12", original, coded], check=True)
    subprocess.run([decoder, "--quiet", "--float", "--rate", "48000", coded, decoded], check=True)
    expected = read_audio(decoded)[0][0]
    plain, enhanced = (kind.decode(coded.read_bytes()) for kind in (OpusDecoder.NONE, OpusDecoder.NOLACE))
    np.testing.assert_allclose(plain, expected, atol=1e-3)
    assert enhanced.shape == expected.shape
    assert 1.0 < signal_to_noise_ratio(expected, enhanced) < 30.0


def test_the_encoder_keeps_wide_band_for_libopus_1_5():
    need_libopus_1_5()
    clip = example_recording(16_000)
    narrow, wide = (code_with_opus(clip, 16_000, 6.0, decoder).decoded for decoder in (None, OpusDecoder.NONE))
    assert wide.shape == clip.shape
    high = [np.square(np.abs(np.fft.rfft(sound))[int(0.6 * len(sound) / 2) :]).sum() for sound in (narrow, wide)]
    assert high[1] > 10 * high[0]


def test_without_node_the_repair_is_named(monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(InputError, match=r"npm install -g @wasm-audio-decoders/opus-ml"):
        find_opus_decoder()


def test_without_the_programs_the_repair_is_named(monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(InputError, match="opus-tools"):
        code_with_opus(np.zeros(100, np.float32), 16_000, 12.0)


def test_rates_out_of_range():
    with pytest.raises(InputError, match="not at 5"):
        code_with_opus(np.zeros(100, np.float32), 16_000, 5.0)
