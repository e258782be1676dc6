"""imdct(mdct(x)) = x within 2e-6 of the peak, whatever the hop, length, batch axes, window and amplitude."""

import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from meanflow_audio_codec.preprocessing.mdct import imdct, imdct2, mdct, mdct2, num_frames
from meanflow_audio_codec.preprocessing.mdct_windows import WINDOWS

BAR = 2e-6


def signals(rng, shape):
    """One signal of each kind: noise, full-scale square, constant, impulse, tone."""
    impulse = np.zeros(shape)
    impulse[..., rng.integers(shape[-1])] = 1.0
    tone = np.ones(shape) * np.sin(rng.uniform(0, np.pi) * np.arange(shape[-1]) + 0.5)
    noise = rng.uniform(-1, 1, shape)
    return np.stack([noise, np.sign(noise), np.ones(shape), impulse, tone]).astype(np.float32)


def assert_reconstructed(actual, signal, axes=-1):
    assert actual.shape == signal.shape
    assert actual.dtype == jnp.float32
    peak = np.abs(signal).max(axis=axes, keepdims=True)
    assert np.all(np.abs(np.asarray(actual, np.float64) - signal) <= BAR * peak)


@settings(max_examples=8, deadline=None)
@given(
    hop_length=st.integers(1, 150).map(lambda half: 2 * half),
    length=st.integers(1, 700),
    batch=st.lists(st.integers(1, 3), max_size=3).map(tuple),
    window=st.sampled_from(WINDOWS),
    kbd_alpha=st.floats(0.0, 12.0),
    exponent=st.integers(-12, 12),
    seed=st.integers(0, 2**16),
)
@example(hop_length=2, length=1, batch=(), window="sine", kbd_alpha=4.0, exponent=0, seed=0)
@example(hop_length=256, length=1, batch=(2,), window="kbd", kbd_alpha=4.0, exponent=0, seed=0)
@example(hop_length=64, length=64, batch=(), window="vorbis", kbd_alpha=4.0, exponent=0, seed=0)
@example(hop_length=64, length=65, batch=(1, 2), window="sine", kbd_alpha=4.0, exponent=0, seed=0)
def test_any_signal(hop_length, length, batch, window, kbd_alpha, exponent, seed):
    signal = signals(np.random.default_rng(seed), (*batch, length)) * np.float32(10.0**exponent)
    coefficients = mdct(jnp.asarray(signal), hop_length, window=window, kbd_alpha=kbd_alpha)
    assert coefficients.shape == (5, *batch, num_frames(length, hop_length), hop_length)
    actual = imdct(coefficients, length=length, window=window, kbd_alpha=kbd_alpha)
    assert_reconstructed(actual, signal)
    energy = np.sum(np.asarray(coefficients, np.float64) ** 2, axis=(-2, -1))
    np.testing.assert_allclose(energy, np.sum(signal.astype(np.float64) ** 2, axis=-1), rtol=1e-5)


@pytest.mark.parametrize(
    ("hop_length", "window"),
    [(hop_length, "sine") for hop_length in (4, 16, 128, 320, 960, 2048)]
    + [(hop_length, window) for hop_length in (4, 320, 2048) for window in ("kbd", "vorbis")],
)
def test_every_common_hop(hop_length, window):
    length = 4 * hop_length + 1
    signal = signals(np.random.default_rng(hop_length), (20, length))
    coefficients = mdct(jnp.asarray(signal), hop_length, window=window)
    assert_reconstructed(imdct(coefficients, length=length, window=window), signal)


@settings(max_examples=4, deadline=None)
@given(
    hop_length=st.sampled_from([2, 4, 14, 28]),
    rows=st.integers(1, 40),
    columns=st.integers(1, 40),
    batch=st.sampled_from([(), (2,), (1, 3)]),
    window=st.sampled_from(WINDOWS),
)
@example(hop_length=4, rows=1, columns=1, batch=(), window="sine")
@example(hop_length=14, rows=30, columns=1, batch=(), window="sine")
def test_any_image(hop_length, rows, columns, batch, window):
    image = np.random.default_rng(rows + columns).uniform(0, 1, (*batch, rows, columns)).astype(np.float32)
    coefficients = mdct2(jnp.asarray(image), hop_length, window=window)
    grid = (num_frames(rows, hop_length), num_frames(columns, hop_length))
    assert coefficients.shape == (*batch, *grid, hop_length, hop_length)
    # An image has one peak, not one per row: a pixel is a sum over both axes.
    assert_reconstructed(imdct2(coefficients, shape=(rows, columns), window=window), image, axes=(-2, -1))


def test_two_neighbouring_frames_suffice_for_the_samples_between_them():
    """What streaming rests on: block k needs frames k and k + 1 alone, frame k needs blocks k - 1 and k alone."""
    hop_length = 32
    signal = np.random.default_rng(0).standard_normal(6 * hop_length).astype(np.float32)
    coefficients = np.asarray(mdct(jnp.asarray(signal), hop_length))
    for k in range(1, 6):
        block = imdct(jnp.asarray(coefficients[k : k + 2]), length=hop_length)
        np.testing.assert_allclose(block, signal[k * hop_length : (k + 1) * hop_length], atol=2e-6)
        two_blocks = signal[(k - 1) * hop_length : (k + 1) * hop_length]
        np.testing.assert_allclose(np.asarray(mdct(jnp.asarray(two_blocks), hop_length))[1], coefficients[k], atol=2e-6)
