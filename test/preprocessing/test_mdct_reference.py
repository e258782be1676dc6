"""The transform against the definition summed directly in float64, and against SciPy."""

import jax.numpy as jnp
import numpy as np
import pytest
from scipy.fft import dct
from scipy.signal.windows import kaiser_bessel_derived

from meanflow_audio_codec.preprocessing.mdct import imdct, imdct2, mdct, mdct2
from meanflow_audio_codec.preprocessing.mdct_windows import window_values

HOPS = [2, 4, 14, 28, 64, 320, 1024]


def cosines(hop_length):
    n, k = np.arange(2 * hop_length)[:, None], np.arange(hop_length)
    return np.sqrt(2 / hop_length) * np.cos(np.pi / hop_length * (n + 0.5 + hop_length / 2) * (k + 0.5))


def windowed_frames(signal, hop_length, window, kbd_alpha=4.0):
    """Frame k is the window times samples (k - 1) hop ... (k + 1) hop - 1, zero outside the signal."""
    frames = []
    start = -hop_length
    while start < len(signal):
        frame = [signal[n] if 0 <= n < len(signal) else 0.0 for n in range(start, start + 2 * hop_length)]
        frames.append(frame)
        start += hop_length
    return np.asarray(frames, np.float64) * window_values(window, hop_length, kbd_alpha)


def relative_error(actual, expected):
    return np.abs(np.asarray(actual, np.float64) - expected).max() / np.abs(expected).max()


@pytest.mark.parametrize(
    ("hop_length", "window"),
    [(hop_length, "sine") for hop_length in HOPS] + [(4, "kbd"), (4, "vorbis"), (320, "kbd"), (320, "vorbis")],
)
def test_equals_the_direct_sum(hop_length, window):
    signal = np.random.default_rng(hop_length).uniform(-1, 1, 3 * hop_length + hop_length // 2 + 1).astype(np.float32)
    expected = windowed_frames(signal, hop_length, window) @ cosines(hop_length)
    actual = mdct(jnp.asarray(signal), hop_length, window=window)
    assert actual.shape == expected.shape
    assert relative_error(actual, expected) <= 1e-6


@pytest.mark.parametrize("hop_length", HOPS)
def test_inverse_equals_the_directly_summed_overlap_add(hop_length):
    frames, length = 4, 3 * hop_length - 1
    coefficients = np.random.default_rng(hop_length).standard_normal((frames, hop_length)).astype(np.float32)
    pieces = coefficients.astype(np.float64) @ cosines(hop_length).T * window_values("sine", hop_length)
    overlapped = np.zeros((frames + 1) * hop_length)
    for k, piece in enumerate(pieces):
        overlapped[k * hop_length : (k + 2) * hop_length] += piece
    actual = imdct(jnp.asarray(coefficients), length=length)
    assert relative_error(actual, overlapped[hop_length : hop_length + length]) <= 1e-6


def test_hop_2048_equals_the_direct_sum_on_a_sample_of_bins():
    hop_length = 2048
    signal = np.random.default_rng(0).uniform(-1, 1, 2 * hop_length + 7).astype(np.float32)
    bins = np.array([0, 1, 2, 511, 1023, 1024, 1500, 2046, 2047])
    n = np.arange(2 * hop_length)[:, None]
    basis = np.sqrt(2 / hop_length) * np.cos(np.pi / hop_length * (n + 0.5 + hop_length / 2) * (bins + 0.5))
    expected = windowed_frames(signal, hop_length, "kbd") @ basis
    actual = np.asarray(mdct(jnp.asarray(signal), hop_length, window="kbd"))[:, bins]
    assert relative_error(actual, expected) <= 1e-6


@pytest.mark.parametrize(("hop_length", "window"), [(4, "kbd"), (30, "vorbis"), (480, "kbd"), (2048, "sine")])
def test_equals_scipy_dct4_of_folded_frames(hop_length, window):
    signal = np.random.default_rng(1).standard_normal(5 * hop_length - 3).astype(np.float32)
    a, b, c, d = np.split(windowed_frames(signal, hop_length, window), 4, axis=-1)
    folded = np.concatenate([-c[:, ::-1] - d, a - b[:, ::-1]], axis=-1)
    expected = dct(folded, type=4, norm="ortho", axis=-1)
    assert relative_error(mdct(jnp.asarray(signal), hop_length, window=window), expected) <= 1e-6


@pytest.mark.parametrize("alpha", [0.0, 0.5, 4.0, 6.0, 20.0])
@pytest.mark.parametrize("hop_length", [2, 14, 320])
def test_kbd_window_equals_scipy(hop_length, alpha):
    expected = kaiser_bessel_derived(2 * hop_length, np.pi * alpha)
    np.testing.assert_allclose(window_values("kbd", hop_length, alpha), expected, rtol=1e-12)


def test_quiet_bins_beside_a_loud_tone_keep_float32_accuracy():
    """Bins 120 dB below a full-scale tone are right to 135 dB below it."""
    hop_length = 512
    n = np.arange(6 * hop_length)
    signal = np.sin(np.pi / hop_length * 100.5 * n).astype(np.float32)
    # Interior frames only: the outermost see the tone cut off.
    expected = (windowed_frames(signal, hop_length, "kbd") @ cosines(hop_length))[2:-2]
    actual = np.asarray(mdct(jnp.asarray(signal), hop_length, window="kbd"))[2:-2]
    peak = np.abs(expected).max()
    assert np.abs(expected[:, 300:]).max() < 10 ** (-120 / 20) * peak
    assert np.abs(actual[:, 300:] - expected[:, 300:]).max() < 10 ** (-135 / 20) * peak


@pytest.mark.parametrize("kbd_alpha", [2.0, 7.0])
def test_an_image_is_transformed_along_both_axes_with_the_same_window(kbd_alpha):
    """Rows, then columns, each summed directly; and back."""
    hop_length, shape = 4, (10, 7)
    image = np.random.default_rng(2).standard_normal(shape).astype(np.float32)

    def frames(values):  # over the last axis
        return np.stack([windowed_frames(row, hop_length, "kbd", kbd_alpha) @ cosines(hop_length) for row in values])

    of_rows = frames(image)  # rows, column frames, column bins
    flat = np.moveaxis(of_rows, 0, -1)
    of_columns = frames(flat.reshape(-1, shape[0])).reshape(*flat.shape[:-1], -1, hop_length)
    # Column frames, column bins, row frames, row bins.
    expected = np.transpose(of_columns, (2, 0, 3, 1))
    actual = mdct2(jnp.asarray(image), hop_length, window="kbd", kbd_alpha=kbd_alpha)
    assert relative_error(actual, expected) <= 1e-6
    back = imdct2(actual, shape=shape, window="kbd", kbd_alpha=kbd_alpha)
    np.testing.assert_allclose(back, image, atol=2e-6)
