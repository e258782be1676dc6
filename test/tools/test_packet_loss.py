"""The channels of the packet-loss benchmark lose what they say, in bursts as long as they say."""

import numpy as np
import pytest
from fixtures.tiny_models import HOP, sound, tiny_codec

from meanflow_audio_codec.codec.streaming.concealment import Concealment
from meanflow_audio_codec.errors import InputError
from meanflow_audio_codec.evaluators.evaluation_clips import Clip
from meanflow_audio_codec.tools.benchmarks.coding.lost_packets import burst_losses, random_losses
from meanflow_audio_codec.tools.benchmarks.coding.packet_loss import SILENCE, Channel, _packets, _received

COUNT = 200_000


def burst_lengths(lost: np.ndarray) -> np.ndarray:
    edges = np.flatnonzero(np.diff(np.concatenate([[0], lost.astype(int), [0]])))
    return edges[1::2] - edges[::2]


@pytest.mark.parametrize("loss", [0.05, 0.1, 0.2])
def test_bursts_have_the_share_and_the_mean_length(loss):
    """Lengths are geometric: their share of single packets is 1 / mean length."""
    lost = burst_losses(COUNT, loss, 3.0, np.random.default_rng(0))
    lengths = burst_lengths(lost)
    # The variance of the share is (1 + q) / (1 - q) times that of independent losses, q the chain's other eigenvalue.
    eigenvalue = 1.0 - 1.0 / 3.0 - loss / (3.0 * (1.0 - loss))
    deviation = np.sqrt(loss * (1 - loss) / COUNT * (1 + eigenvalue) / (1 - eigenvalue))
    assert abs(lost.mean() - loss) < 5 * deviation
    assert lengths.mean() == pytest.approx(3.0, abs=5 * np.sqrt(6.0 / len(lengths)))
    assert np.mean(lengths == 1) == pytest.approx(1 / 3, abs=5 * np.sqrt(2 / 9 / len(lengths)))


def test_bursts_of_the_length_that_chance_makes_are_independent_losses():
    """With a mean length of 1 / (1 - loss) both states go on alike."""
    loss = 0.2
    chain = burst_losses(COUNT, loss, 1.0 / (1.0 - loss), np.random.default_rng(1))
    chance = random_losses(COUNT, loss, np.random.default_rng(2))
    for lost in (chain, chance):
        pairs = np.mean(lost[1:] & lost[:-1])
        assert pairs == pytest.approx(loss**2, abs=5 * np.sqrt(loss**2 / COUNT))
    assert not burst_losses(1_000, 0.0, 3.0, np.random.default_rng(0)).any()


@pytest.mark.parametrize(("loss", "length"), [(0.1, 0.5), (0.8, 1.0), (-0.1, 3.0), (1.0, 3.0)])
def test_impossible_bursts_are_refused(loss, length):
    with pytest.raises(InputError, match="burst"):
        burst_losses(10, loss, length, np.random.default_rng(0))


def test_the_benchmark_decodes_live_and_silence_is_worse():
    codec, frames = tiny_codec(), 5
    samples = sound(100 * HOP)
    packets = _packets(codec, samples, frames, None)
    assert len(packets) == -(-101 // frames)

    def decoded(channel: Channel, way: Concealment) -> np.ndarray:
        clip = Clip("a", samples)
        received = _received(codec, [clip], [packets], channel, way, frames, clip)
        assert received.samples.shape == samples.shape
        assert received.payload_bits is None
        return received.samples

    whole = decoded(Channel(0.0, 0.0), Concealment())
    np.testing.assert_array_equal(whole, decoded(Channel(0.0, 0.0), SILENCE))
    # Where a gap is long enough to be heard alone, the baseline is silent there.
    channel = Channel(0.3, 3.0)
    lost = np.repeat(channel.lost(len(packets), 0), frames)[:100].reshape(-1, 5)
    gone = decoded(channel, SILENCE).reshape(-1, 5, HOP)
    inside = lost.all(axis=1)
    assert inside.any()
    assert np.abs(gone[inside][:, 1:-1]).max() < 1e-3 * np.abs(whole).max()
    kept = decoded(channel, Concealment()).reshape(-1, 5, HOP)
    assert np.abs(kept[inside][:, 1:-1]).max() > np.abs(gone[inside][:, 1:-1]).max()
