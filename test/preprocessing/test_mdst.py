"""The transform in quadrature: its definition summed directly, and what it is there for."""

import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from test_mdct_reference import relative_error, windowed_frames

from meanflow_audio_codec.preprocessing.mdct import mdct, mdst


def sines(hop_length):
    n, k = np.arange(2 * hop_length)[:, None], np.arange(hop_length)
    return np.sqrt(2 / hop_length) * np.sin(np.pi / hop_length * (n + 0.5 + hop_length / 2) * (k + 0.5))


@pytest.mark.parametrize(
    ("hop_length", "window"), [(2, "sine"), (14, "sine"), (64, "vorbis"), (320, "sine"), (320, "kbd")]
)
@pytest.mark.parametrize("extra", [0, 1])
def test_equals_the_direct_sum(hop_length, window, extra):
    signal = np.random.default_rng(hop_length).uniform(-1, 1, 3 * hop_length + extra).astype(np.float32)
    expected = windowed_frames(signal, hop_length, window) @ sines(hop_length)
    actual = mdst(jnp.asarray(signal), hop_length, window=window)
    assert actual.shape == expected.shape
    assert relative_error(actual, expected) <= 1e-6


@settings(max_examples=25, deadline=None)
@given(st.floats(20.0, 140.0), st.floats(0.0, 2 * np.pi))
def test_a_steady_tone_has_the_same_magnitude_in_every_frame(frequency, phase):
    """The MDCT alone fluctuates with the phase of the tone."""
    hop_length, frames = 160, 12
    tone = np.cos(np.pi / hop_length * frequency * np.arange(frames * hop_length) + phase).astype(np.float32)
    cosine, sine = (np.asarray(transform(jnp.asarray(tone), hop_length)) for transform in (mdct, mdst))
    energy = (cosine**2 + sine**2).sum(axis=-1)[1:-1]
    assert energy.max() / energy.min() < 1.001
