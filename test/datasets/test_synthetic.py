"""Synthetic data: the Gaussian's closed-form flow obeys its equations, sounds are what their labels say."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from meanflow_audio_codec.datasets.audio.example_recording import example_recording
from meanflow_audio_codec.datasets.synthetic import (
    GaussianDataset,
    SyntheticAudio,
    instantaneous_velocity,
    marginal_scale,
    mean_velocity,
)

scales = st.floats(0.05, 3.0)
times = st.floats(0.0, 1.0)


def vector(value: float) -> jax.Array:
    return jnp.array([value], jnp.float64)


@settings(max_examples=60, deadline=None)
@given(scale=scales, first=times, second=times, value=st.floats(-3.0, 3.0))
def test_the_mean_flow_identity_holds(scale: float, first: float, second: float, value: float) -> None:
    """(t - r) u integrates v along the flow: its total derivative in t is v (MeanFlow, equation 5), also at r = t."""
    with jax.enable_x64(True):
        r, t = vector(min(first, second)), vector(max(first, second))
        z = vector(value)[:, None]
        v = instantaneous_velocity(z, t, scale)

        def displacement(z: jax.Array, r: jax.Array, t: jax.Array) -> jax.Array:
            return (t - r)[:, None] * mean_velocity(z, r, t, scale)

        tangents = (v, jnp.zeros_like(r), jnp.ones_like(t))
        _, total = jax.jvp(displacement, (z, r, t), tangents)
        np.testing.assert_allclose(total, v, rtol=1e-9, atol=1e-11)
        _, at_equal_times = jax.jvp(displacement, (z, t, t), tangents)
        np.testing.assert_allclose(at_equal_times, v, rtol=1e-9, atol=1e-11)


@settings(max_examples=40, deadline=None)
@given(scale=scales, time=times, value=st.floats(-3.0, 3.0))
def test_the_mean_velocity_at_equal_times_is_the_velocity(scale: float, time: float, value: float) -> None:
    with jax.enable_x64(True):
        z, t = vector(value)[:, None], vector(time)
        velocity = instantaneous_velocity(z, t, scale)
        np.testing.assert_allclose(mean_velocity(z, t, t, scale), velocity, rtol=1e-12, atol=1e-14)


@settings(max_examples=40, deadline=None)
@given(scale=scales, r=times, s=times, t=times)
def test_one_jump_equals_two_and_scales_the_marginal(scale: float, r: float, s: float, t: float) -> None:
    with jax.enable_x64(True):
        r, s, t = sorted((r, s, t))
        z = jnp.array([[1.3, -0.2]])

        def jump(z: jax.Array, t: float, r: float) -> jax.Array:
            return z - (t - r) * mean_velocity(z, vector(r), vector(t), scale)

        once = jump(z, t, r)
        np.testing.assert_allclose(once, jump(jump(z, t, s), s, r), rtol=1e-10, atol=1e-12)
        ratio = marginal_scale(vector(r), scale) / marginal_scale(vector(t), scale)
        np.testing.assert_allclose(once, z * ratio, rtol=1e-10, atol=1e-12)


def test_one_step_from_noise_gives_the_data_scale_and_derivatives_stay_finite_in_single_precision() -> None:
    z = jax.random.normal(jax.random.key(0), (64, 3, 5))
    r, t = jnp.zeros(64), jnp.ones(64)
    np.testing.assert_allclose(z - mean_velocity(z, r, t, 0.3), 0.3 * z, atol=2e-7)
    for corner in (0.0, 0.5, 1.0):
        same = jnp.full(64, corner)
        _, derivative = jax.jvp(lambda r, t: mean_velocity(z, r, t, 0.05), (same, same), (r, t))
        assert bool(jnp.isfinite(derivative).all())


def test_the_velocity_is_the_conditional_mean_of_noise_minus_data() -> None:
    """E[e - x | z_t] is linear for a Gaussian, so it is the regression of e - x on z_t."""
    random = np.random.default_rng(0)
    scale, t = 0.5, 0.3
    x, e = scale * random.standard_normal(400_000), random.standard_normal(400_000)
    z = (1 - t) * x + t * e
    slope = np.mean((e - x) * z) / np.mean(z * z)
    expected = instantaneous_velocity(jnp.ones((1, 1)), jnp.array([t]), scale)
    np.testing.assert_allclose(slope, float(expected[0, 0]), atol=0.01)
    np.testing.assert_allclose(z.std(), float(marginal_scale(jnp.array(t), scale)), rtol=0.01)


def test_gaussian_batches_have_the_scale_and_depend_on_seed_split_and_step_alone() -> None:
    data = GaussianDataset(scale=0.3, shape=(50, 20), batch_size=20)
    batch = data.batch(5)
    assert (batch.signal.shape, batch.signal.dtype, batch.label) == ((20, 50, 20), np.float32, None)
    np.testing.assert_allclose(batch.signal.std(), 0.3, rtol=0.02)
    np.testing.assert_allclose(batch.signal.mean(), 0.0, atol=0.01)
    np.testing.assert_array_equal(
        GaussianDataset(scale=0.3, shape=(50, 20), batch_size=20).batch(5).signal, batch.signal
    )
    others = [
        data.batch(6),
        GaussianDataset(scale=0.3, shape=(50, 20), batch_size=20, seed=1).batch(5),
        GaussianDataset(scale=0.3, shape=(50, 20), batch_size=20, split="test").batch(5),
    ]
    for other in others:
        correlation = np.corrcoef(other.signal.ravel(), batch.signal.ravel())[0, 1]
        assert abs(correlation) < 0.03
    with pytest.raises(ValueError, match="split"):
        GaussianDataset(scale=0.3, shape=(1,), batch_size=1, split="all")


def test_synthetic_audio_is_pure_bounded_and_labelled() -> None:
    data = SyntheticAudio(sample_rate=16000, crop_samples=4000, batch_size=60)
    batch = data.batch(3)
    assert (batch.signal.shape, batch.signal.dtype) == ((60, 4000), np.float32)
    assert batch.label is not None
    assert set(batch.label.tolist()) == {0, 1, 2}
    peaks = 20 * np.log10(np.abs(batch.signal).max(axis=1))
    assert -24.01 < peaks.min() < peaks.max() < -0.99
    np.testing.assert_array_equal(data.batch(3).signal, batch.signal)
    assert not np.array_equal(data.batch(4).signal, batch.signal)
    first, again = list(data.evaluation()), list(data.evaluation())
    assert len(first) == data.num_evaluation_batches
    np.testing.assert_array_equal(first[1].signal, again[1].signal)


def test_kinds_of_sound_differ_as_their_names_say() -> None:
    """Noise starts suddenly or dies away, a chirp goes up or down, a tone keeps its spectrum."""
    data = SyntheticAudio(sample_rate=16000, crop_samples=8000, batch_size=40)
    batch = data.batch(0)
    assert batch.label is not None
    for signal, label in zip(batch.signal, batch.label, strict=True):
        blocks = signal[:8000].reshape(8, 1000) * np.hanning(1000)
        power = np.abs(np.fft.rfft(blocks)) ** 2 + 1e-20
        centroid = (power * np.arange(501)).sum(axis=1) / power.sum(axis=1)
        if label == 2:
            assert np.abs(signal[:20]).max() == 0.0 or np.abs(signal[-800:]).max() < 0.5 * np.abs(signal).max()
        elif label == 1:
            change = np.diff(centroid)
            assert (change > -1.0).all() or (change < 1.0).all()
        else:
            assert centroid.max() / centroid.min() < 1.6


@pytest.mark.parametrize("sample_rate", [8000, 16000, 44100])
def test_the_example_recording_is_fixed_has_headroom_and_pauses(sample_rate: int) -> None:
    recording = example_recording(sample_rate)
    np.testing.assert_array_equal(example_recording(sample_rate), recording)
    assert recording.dtype == np.float32
    assert 5.5 < len(recording) / sample_rate < 6.5
    assert np.abs(recording).max() <= 10 ** (-3 / 20)
    frames = recording[: len(recording) // 160 * 160].reshape(-1, 160)
    levels = 20 * np.log10(np.sqrt((frames**2).mean(axis=1)))
    assert np.percentile(levels, 5) < -50 < -25 < np.median(levels)


def test_the_example_voice_has_a_pitch_and_the_formants_of_its_vowels() -> None:
    """/i/ of "mean" in the low voice: energy at its first formant (280 Hz) and second (2250 Hz), a valley between."""
    recording = example_recording(16000)
    vowel = recording[10400:12000] * np.hanning(1600)
    power = np.abs(np.fft.rfft(vowel, 16000)) ** 2

    def band(low: int, high: int) -> float:
        return power[low:high].max()

    assert band(200, 400) > 100 * band(1000, 1500)
    assert band(2000, 2500) > 3 * band(1000, 1500)
    autocorrelation = np.correlate(vowel, vowel, "full")[1599:]
    period = 80 + autocorrelation[80:230].argmax()
    assert 90 < 16000 / period < 150


def test_the_example_recording_needs_a_speech_sample_rate() -> None:
    with pytest.raises(ValueError, match="8000"):
        example_recording(4000)
