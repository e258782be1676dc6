"""Spoken-word classifier: what it does not hear (level, silence, rate), what augmentation may do, and its weights."""

import os
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from meanflow_audio_codec.evaluators.classifiers.classifier_weights import write_weights
from meanflow_audio_codec.evaluators.classifiers.word_classification import (
    CLASS_NAMES,
    WORD_CLASSIFIER,
    centred,
    load_word_classifier,
    mel_power,
    read_word_classifier,
    word_accuracy,
    word_features,
    word_logits,
)
from meanflow_audio_codec.models.classifiers.word_classifier import WordClassifier, WordClassifierConfig, relative_level
from meanflow_audio_codec.preprocessing.mel import hertz_to_mel
from meanflow_audio_codec.preprocessing.resampling import resample
from meanflow_audio_codec.tools import spectrogram_augmentation as augmentation
from meanflow_audio_codec.tools import train_word_classifier as tool

TINY = WordClassifierConfig(num_frames=16, num_bands=8, fine_width=4, coarse_width=6, num_blocks=1, num_features=5)
RATE = 16_000


def sound(seconds: float, seed: int = 0) -> np.ndarray:
    """A few gliding tones in noise, fading in and out."""
    random = np.random.default_rng(seed)
    time = np.arange(round(seconds * RATE)) / RATE
    tones = sum(np.sin(2 * np.pi * (f * time + 200 * time**2)) for f in random.uniform(200, 2500, 4))
    return (0.05 * (tones + 0.1 * random.standard_normal(len(time))) * np.hanning(len(time))).astype(np.float32)


CLIPS = [sound(0.4), sound(0.9, 1), sound(1.9, 2)]


@pytest.fixture(scope="module")
def tiny() -> WordClassifier:
    return jax.jit(lambda: WordClassifier(TINY, rngs=nnx.Rngs(0)))()


def test_shipped_weights_load_and_are_small() -> None:
    classifier = load_word_classifier()
    leaves = jax.tree.leaves(classifier)
    assert sum(leaf.size for leaf in leaves) < 300_000
    assert (WORD_CLASSIFIER / "weights.safetensors").stat().st_size < 700_000
    assert {leaf.dtype for leaf in leaves} == {jnp.dtype("float32")}
    assert word_features(CLIPS, RATE).shape == (3, 64)
    assert word_logits(CLIPS, RATE).shape == (3, len(CLASS_NAMES))


def test_level_and_surrounding_silence_change_nothing() -> None:
    expected = word_features(CLIPS[:2], RATE)
    quiet = [0.003 * clip for clip in CLIPS[:2]]
    np.testing.assert_allclose(word_features(quiet, RATE), expected, atol=1e-4)
    # Silence of whole frames on both sides, as long as all of it fits.
    padded = [np.pad(clip, 10 * 160) for clip in CLIPS[:2]]
    np.testing.assert_allclose(word_features(padded, RATE), expected, atol=1e-4)
    assert not np.allclose(expected[0], expected[1], atol=0.1)


def test_the_sample_rate_hardly_matters() -> None:
    expected = word_features(CLIPS, RATE)
    wide = word_features([resample(clip, RATE, 44_100) for clip in CLIPS], 44_100)
    between = np.linalg.norm(expected[0] - expected[1])
    assert np.linalg.norm(wide - expected, axis=1).max() < 0.05 * between


def test_of_a_long_clip_the_loudest_part_is_heard() -> None:
    word = sound(1.2)
    long = 0.001 * np.random.default_rng(0).standard_normal(4 * RATE).astype(np.float32)
    # Beginning at a multiple of the hop.
    long[160 * 200 : 160 * 200 + len(word)] += word
    power = centred(mel_power(long, 64), 128)
    assert power.shape == (128, 64)
    assert power.sum() > 0.999 * mel_power(long, 64).sum()


def test_silence_and_emptiness_are_finite() -> None:
    assert np.isfinite(word_logits([np.zeros(8000, np.float32), np.zeros(0, np.float32)], RATE)).all()
    with pytest.raises(ValueError, match="no clips"):
        word_logits([], RATE)


def test_a_tone_lies_in_the_band_of_its_frequency() -> None:
    """Bands are equally spaced in mel up to 8 kHz; the level of the clip is brought to 1 first."""
    time = np.arange(RATE) / RATE
    for frequency in (300.0, 1000.0, 4000.0):
        power = mel_power(0.01 * np.sin(2 * np.pi * frequency * time), 64)
        assert power.shape == (101, 64)
        top = hertz_to_mel(np.array(8000.0))
        expected = 65 * hertz_to_mel(np.array(frequency)) / top - 1
        assert abs(power[50].argmax() - expected) <= 0.6
    np.testing.assert_allclose(
        mel_power(np.sin(time * 3000.0), 64), mel_power(np.sin(time * 3000.0) / 7, 64), rtol=1e-4
    )


def test_relative_level_is_the_logarithm_above_the_floor() -> None:
    """A cell of the mean power over 40 frames and all bands is at (log10(1) + 1) / 1.5."""
    power = np.zeros((2, 80, 4), np.float32)
    power[0, 20:60] = 3.0
    power[1, 5, 2] = 7.0
    level = np.asarray(relative_level(jnp.asarray(power), 45.0))
    np.testing.assert_allclose(level[0, 20:60], 1.0 / 1.5, atol=1e-4)
    np.testing.assert_allclose(level[1, 5, 2], (np.log10(160.0) + 1.0) / 1.5, atol=1e-4)
    np.testing.assert_allclose(level[power == 0.0], (-4.5 + 1.0) / 1.5, atol=1e-4)


def test_scores_do_not_depend_on_the_call(tiny: WordClassifier) -> None:
    several = [sound(0.1 + 0.002 * number, number) for number in range(105)]  # more than one call of the network
    together = word_logits(several, RATE, tiny)
    assert together.shape == (105, 15)
    for number in (0, 99, 104):
        np.testing.assert_allclose(word_logits([several[number]], RATE, tiny)[0], together[number], atol=1e-5)


def test_logits_are_a_linear_function_of_the_features() -> None:
    classifier = load_word_classifier()
    expected = word_features(CLIPS, RATE) @ np.asarray(classifier.head.kernel[...]) + np.asarray(
        classifier.head.bias[...]
    )
    np.testing.assert_allclose(word_logits(CLIPS, RATE), expected, atol=1e-4)


def test_accuracy_counts_agreement() -> None:
    answers = word_logits(CLIPS, RATE).argmax(axis=1)
    assert word_accuracy(CLIPS, answers, RATE) == 1.0
    assert word_accuracy(CLIPS, (answers + np.array([0, 1, 0])) % 15, RATE) == pytest.approx(2 / 3)


def test_every_leaf_is_a_parameter_with_a_gradient(tiny: WordClassifier) -> None:
    assert all(type(variable) is nnx.Param for _, variable in nnx.to_flat_state(nnx.state(tiny)))
    power = jnp.asarray(np.random.default_rng(0).exponential(size=(3, 16, 8)), jnp.float32)
    gradient = jax.jit(jax.grad(lambda model: jnp.sum(model(power) ** 2)))(tiny)
    assert all(np.any(leaf) for leaf in jax.tree.leaves(gradient))


def test_written_weights_come_back_and_others_are_refused(tiny: WordClassifier, tmp_path: Path) -> None:
    write_weights(tmp_path, TINY, tiny, dtype=np.float16)
    back = read_word_classifier(tmp_path)
    for written, read in zip(jax.tree.leaves(tiny), jax.tree.leaves(back), strict=True):
        assert read.dtype == jnp.float32
        np.testing.assert_allclose(read, written, rtol=1e-3, atol=1e-6)
    config = (tmp_path / "config.json").read_text()
    (tmp_path / "config.json").write_text(config.replace('"num_features": 5', '"num_features": 6'))
    with pytest.raises(ValueError, match=r"config\.json"):
        read_word_classifier(tmp_path)


# Augmentation.


@pytest.fixture(scope="module")
def spectra() -> jax.Array:
    """Two clips of 20 and 12 frames among silence."""
    power = np.random.default_rng(0).exponential(size=(2, 30, 16)).astype(np.float32)
    power[0, 20:] = power[1, 12:] = 0.0
    return jnp.asarray(power)


def test_interpolation_is_linear_and_nothing_lies_beyond_the_ends() -> None:
    values = jnp.arange(5.0)[None, :, None] + 2.0
    position = jnp.array([[0.0, 1.25, 3.5, 4.0, 4.5, 5.0, -1.0]])
    found = augmentation.interpolate(values, position)[0, :, 0]
    np.testing.assert_allclose(found, [2.0, 3.25, 5.5, 6.0, 3.0, 0.0, 0.0])


def test_augmented_spectra_are_finite_varied_and_follow_the_key(spectra: jax.Array) -> None:
    lengths = jnp.array([20, 12])
    call = jax.jit(lambda key: augmentation.augment(spectra, lengths, 24, key))
    first, again, other = call(jax.random.key(0)), call(jax.random.key(0)), call(jax.random.key(1))
    assert first.shape == (2, 24, 16)
    assert np.isfinite(first).all()
    assert (first >= 0.0).all()
    np.testing.assert_array_equal(first, again)
    assert not np.allclose(first, other)


def test_stretching_keeps_the_clip_and_moves_it(spectra: jax.Array) -> None:
    """The extent follows the speed, the middle the shift; power per frame stays."""
    call = jax.jit(lambda key: augmentation.stretch_and_shift(spectra, jnp.array([20, 12]), 128, key))
    spans, middles = [], []
    for number in range(40):
        power, place = call(jax.random.key(number))
        present = np.flatnonzero(np.asarray(power[0].sum(axis=1)))
        inside = np.flatnonzero((np.asarray(place[0]) >= 0.0) & (np.asarray(place[0]) <= 1.0))
        assert set(inside) <= set(present.tolist())
        assert len(present) <= len(inside) + 4
        spans.append(len(inside))
        middles.append(present.mean() - 63.5)
    assert 20 / 1.28 - 1 <= min(spans) < 18
    assert 22 < max(spans) <= 20 * 1.28 + 1
    assert -22 < min(middles) < -8
    assert 8 < max(middles) < 22


def test_trimming_keeps_one_stretch_with_the_loudest_frame() -> None:
    energy = np.exp(-0.5 * ((np.arange(40) - 18) / 5.0) ** 2)
    power = jnp.asarray(np.tile(energy[None, :, None], (200, 1, 4)), jnp.float32)
    place = jnp.asarray(np.tile(np.arange(40) / 39, (200, 1)), jnp.float32)
    kept = np.asarray(augmentation.trim(power, place, jax.random.key(0)))
    assert kept[:, 18].all()
    assert (np.abs(np.diff(kept, axis=1)).sum(axis=1) <= 2).all()
    lengths = kept.sum(axis=1)
    assert lengths.min() < 26
    assert lengths.max() == 40


def test_band_limits_and_masks_only_take_away(spectra: jax.Array) -> None:
    for number in range(5):
        for change in (augmentation.limit_band, augmentation.mask):
            changed = change(spectra, jax.random.key(number))
            assert (changed <= spectra).all()
    masked = np.asarray(augmentation.mask(jnp.ones((300, 40, 30)), jax.random.key(0))) == 0.0
    silenced = masked.all(axis=2).sum(axis=1), masked.all(axis=1).sum(axis=1)
    assert 8 < silenced[0].max() <= 22
    assert 8 < silenced[1].max() <= 18
    np.testing.assert_array_equal(masked, masked.all(axis=2)[:, :, None] | masked.all(axis=1)[:, None, :])


def test_noise_adds_power_and_smearing_keeps_its_sum(spectra: jax.Array) -> None:
    kept = spectra.sum(axis=2) > 0.0
    assert (augmentation.add_noise(spectra, kept, jax.random.key(0)) > spectra).all()
    inner = jnp.pad(spectra[:, :12], ((0, 0), (9, 9), (0, 0)))
    for number in range(6):
        smeared = augmentation.smear(inner, jax.random.key(number))
        np.testing.assert_allclose(smeared.sum(axis=1), inner.sum(axis=1), rtol=1e-4)


def test_training_lowers_the_loss_and_repeats() -> None:
    """Two words that differ by their frequency, at a tiny size."""
    time = np.arange(4000) / RATE
    clips = [np.sin(2 * np.pi * frequency * time).astype(np.float32) for frequency in (400.0, 3000.0)]
    spectra = tool.training_spectra(clips, np.array([0, 9], np.int32), TINY.num_bands, 0)
    assert spectra.power.shape == (2, tool.NUM_VERSIONS, tool.SOURCE_FRAMES, 8)
    # Faster versions are shorter.
    assert (np.diff(spectra.lengths) <= 0).all()
    losses: list[float] = []
    settings = {"num_steps": 30, "seed": 0, "report": lambda step, loss, model: losses.append(loss)}
    first, again = (tool.train(spectra, TINY, **settings) for _ in range(2))
    assert losses[0] == losses[1] < np.log(15)
    assert all(np.array_equal(a, b) for a, b in zip(jax.tree.leaves(first), jax.tree.leaves(again), strict=True))


def test_accuracy_on_unseen_recordings() -> None:
    if not os.environ.get("MEANFLOW_DATA_DIR"):
        pytest.skip("MEANFLOW_DATA_DIR is not set: no spoken words to measure on")
    counts = tool.confusion(
        load_word_classifier(), *tool.clips_and_labels(Path(os.environ["MEANFLOW_DATA_DIR"]), "valid")
    )
    assert counts.sum() == 575
    assert tool.share_correct(counts, keywords=False) > 0.7
    assert tool.share_correct(counts, keywords=True) > 0.9
