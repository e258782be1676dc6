"""Features of a prediction: how far they see, and that they find harmonics where nothing is known."""

import jax.numpy as jnp
import numpy as np
import pytest

from meanflow_audio_codec.configs.tokens import MDCTConfig
from meanflow_audio_codec.models.harmonic_features import NUM_FEATURES, HarmonicFeatures
from meanflow_audio_codec.preprocessing.mdct import mdct, mdst

HOP, RATE = 320, 16_000
MEAN, LOG_SCALE, QUADRATURE, EVEN, ODD = 0, 1, 2, slice(3, 5), slice(5, 7)
FEATURES = HarmonicFeatures(MDCTConfig(hop_length=HOP), lowest_bin=8, highest_bin=60)


def pulses(pitch: float, frames: int = 24) -> np.ndarray:
    """Cosines of all harmonics below half of the sample rate, in phase."""
    time = np.arange((frames - 1) * HOP) / RATE
    return sum(np.cos(2 * np.pi * pitch * k * time) for k in range(1, int(RATE / 2 / pitch))).astype(np.float32)


def of_signal(signal: np.ndarray, highest_bin: int) -> np.ndarray:
    """Features where the mean is that of a signal below a bin and zero above."""
    mean = mdct(jnp.asarray(signal)[None], HOP)
    mean = jnp.where(jnp.arange(HOP) < highest_bin, mean, 0.0)
    return np.asarray(FEATURES(mean, jnp.zeros_like(mean)))[0]


def test_shape_and_the_plain_ones():
    mean = jnp.asarray(np.random.default_rng(0).standard_normal((2, 5, HOP)), jnp.float32)
    log_scale = mean - 1.0
    features = FEATURES(mean, log_scale)
    assert features.shape == (2, 5, HOP, NUM_FEATURES)
    assert np.array_equal(features[..., MEAN], mean)
    assert np.array_equal(features[..., LOG_SCALE], log_scale)


def test_the_mean_in_quadrature_is_that_of_its_signal():
    signal = pulses(170.0)
    expected = np.asarray(mdst(jnp.asarray(signal), HOP))
    actual = of_signal(signal, HOP)[..., QUADRATURE]
    assert np.allclose(actual[2:-2], expected[2:-2], atol=1e-3 * np.abs(expected).max())


@pytest.mark.parametrize("pitch", [110.0, 187.5, 260.0])
@pytest.mark.parametrize("part", [EVEN, ODD])
def test_excitation_has_lines_at_the_harmonics_above_what_is_known(pitch, part):
    """The mean ends at 1.5 kHz; between 1.8 and 3.2 kHz the energy lies within a bin of harmonics, not between them."""
    cosine, sine = np.moveaxis(of_signal(pulses(pitch), 60)[4:-4, :, part], -1, 0)
    energy = (cosine**2 + sine**2).mean(axis=0)
    centres = (np.arange(HOP) + 0.5) * RATE / 2 / HOP
    distance = np.abs(centres / pitch - np.round(centres / pitch)) * pitch
    inside = (centres > 1_800) & (centres < 3_200)
    on_lines, between = energy[inside & (distance < 25)].mean(), energy[inside & (distance > 0.4 * pitch)].mean()
    assert on_lines > 4.0 * between


def test_excitation_is_in_phase_with_the_harmonics_it_stands_for():
    """Harmonics of one pitch that are in phase stay so under an odd power: the known ones tell of the unknown."""
    signal = pulses(200.0)
    excitation = np.moveaxis(of_signal(signal, 60)[4:-4, :, ODD], -1, 1)
    truth = np.stack([np.asarray(f(jnp.asarray(signal), HOP))[4:-4] for f in (mdct, mdst)], axis=1)
    band = slice(72, 120)
    product = (excitation[..., band] * truth[..., band]).sum()
    cosine = product / np.sqrt((excitation[..., band] ** 2).sum() * (truth[..., band] ** 2).sum())
    assert cosine > 0.8


def test_excitation_does_not_depend_on_the_level_of_the_mean():
    """Below 4 kHz; higher up there is next to nothing of it, and the floor of the level counts."""
    loud, quiet = (of_signal(level * pulses(150.0), 60)[4:-4, 20:160, EVEN] for level in (1.0, 0.25))
    assert np.allclose(loud, quiet, atol=0.05)


def test_a_frame_depends_on_its_neighbours_alone():
    random = np.random.default_rng(1)
    mean = random.standard_normal((1, 9, HOP)).astype(np.float32)
    other = mean.copy()
    other[0, 4] += 1.0
    difference = np.asarray(
        FEATURES(jnp.asarray(mean), jnp.zeros_like(mean)) - FEATURES(jnp.asarray(other), jnp.zeros_like(mean))
    )
    changed = np.abs(difference).max(axis=(0, 2, 3)) > 1e-4
    assert changed.tolist() == [False] * 3 + [True] * 3 + [False] * 3
