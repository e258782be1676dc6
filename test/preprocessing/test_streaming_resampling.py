"""Sample rate conversion piece by piece: the very samples of the conversion in one go, within the stated delay."""

import numpy as np
import pytest
from fixtures.tiny_models import sound
from hypothesis import given, settings
from hypothesis import strategies as st

from meanflow_audio_codec.preprocessing.resampling import resample
from meanflow_audio_codec.preprocessing.streaming_resampling import StreamingResampler, resampling_delay

RATES = [(48_000, 16_000), (44_100, 16_000), (8_000, 16_000), (16_000, 44_100), (16_000, 16_000)]


@settings(max_examples=30, deadline=None)
@given(rates=st.sampled_from(RATES), num_samples=st.integers(1, 9_000), cuts=st.lists(st.integers(0, 9_000)))
def test_the_cut_does_not_show(rates, num_samples, cuts):
    audio = np.stack([sound(num_samples, seed) for seed in range(2)])
    resampler = StreamingResampler(*rates, 2)
    blocks = np.split(audio, sorted(min(cut, num_samples) for cut in cuts), axis=1)
    parts = [*(resampler.push(block) for block in blocks), resampler.finish()]
    # One filter over one stream: not a bit differs.
    np.testing.assert_array_equal(np.concatenate(parts, axis=1), resample(audio, *rates))


@pytest.mark.parametrize("rates", RATES)
def test_the_delay_is_bounded_as_stated(rates):
    from_rate, to_rate = rates
    resampler = StreamingResampler(from_rate, to_rate, 1)
    delay = resampling_delay(from_rate, to_rate)
    received = given_out = 0
    for block in np.split(sound(from_rate // 50 * 150), from_rate // 50):
        assert (received - delay) * to_rate <= given_out * from_rate
        received += len(block)
        given_out += resampler.push(block[None]).shape[1]
    assert 0 <= delay < 0.2 * from_rate


def test_nothing_becomes_nothing():
    resampler = StreamingResampler(8_000, 16_000, 2)
    assert resampler.push(np.zeros((2, 0), np.float32)).shape == (2, 0)
    assert resampler.finish().shape == (2, 0)
