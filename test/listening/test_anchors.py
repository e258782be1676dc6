"""The anchors of a MUSHRA test: what passes and what does not, by the figures of BS.1534."""

import numpy as np
import pytest

from meanflow_audio_codec.errors import InputError
from meanflow_audio_codec.listening.blind_tests.anchors import LOW_HZ, MIDDLE_HZ, anchor


def gain_db(hertz: float, sample_rate: int, highest_hz: float) -> float:
    """Of a tone, away from the ends."""
    tone = np.sin(2 * np.pi * hertz * np.arange(8_000) / sample_rate)[None]
    middle = slice(2_000, 6_000)
    return 10 * np.log10(np.mean(anchor(tone, sample_rate, highest_hz)[0, middle] ** 2) / np.mean(tone[0, middle] ** 2))


@pytest.mark.parametrize("sample_rate", [16_000, 44_100, 48_000])
def test_the_low_anchor_has_the_slope_of_the_recommendation(sample_rate):
    """A ripple of at most 0.1 dB up to 3.5 kHz, 25 dB down at 4 kHz and 50 dB at 4.5 kHz."""
    for hertz in (100.0, 1_000.0, 3_000.0, 3_490.0):
        assert abs(gain_db(hertz, sample_rate, LOW_HZ)) < 0.1
    assert gain_db(4_000.0, sample_rate, LOW_HZ) < -25.0
    assert gain_db(4_500.0, sample_rate, LOW_HZ) < -50.0


@pytest.mark.parametrize("sample_rate", [16_000, 48_000])
def test_the_middle_anchor_ends_at_seven_kilohertz(sample_rate):
    assert abs(gain_db(6_990.0, sample_rate, MIDDLE_HZ)) < 0.1
    assert gain_db(7_990.0, sample_rate, MIDDLE_HZ) < -50.0


def test_an_anchor_is_neither_late_nor_of_another_length():
    """A symmetric pulse of low frequencies comes back as it was."""
    time = np.arange(999) - 400
    pulse = np.exp(-0.5 * (time / 20.0) ** 2).astype(np.float32)
    both = np.stack([pulse, -pulse])
    np.testing.assert_allclose(anchor(both, 48_000, LOW_HZ), both, atol=2e-3)


def test_a_rate_with_nothing_to_take_away_is_refused():
    with pytest.raises(InputError, match=r"at 8000 Hz hold too little above 7 kHz .* 16000 Hz or more"):
        anchor(np.zeros((1, 100), np.float32), 8_000, MIDDLE_HZ)
