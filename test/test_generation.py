"""Sampling from a generative model: the noise of an item belongs to the seed and its place, and to nothing else."""

import numpy as np
import pytest
from tiny_models import tiny_codec, tiny_generator

from meanflow_audio_codec.codec import generation
from meanflow_audio_codec.codec.generation import default_guidance_scale, generate, largest_guidance_scale
from meanflow_audio_codec.errors import InputError

LABELS = np.array([3, 1, 4, 1, 5, 9, 2], np.int32)


@pytest.fixture(scope="module")
def images() -> np.ndarray:
    return generate(tiny_generator(), LABELS, seed=0)


def test_one_image_per_label(images):
    assert images.shape == (7, 28, 28)
    assert images.dtype == np.float32
    assert np.isfinite(images).all()


def test_the_batch_an_item_is_in_does_not_matter(images, monkeypatch):
    # Three at a time, the last batch incomplete: the same noise, hence the same images up to float rounding.
    monkeypatch.setattr(generation, "BATCH_SIZE", 3)
    np.testing.assert_allclose(generate(tiny_generator(), LABELS, seed=0), images, atol=1e-5)


def test_an_item_depends_on_its_own_label_and_place_only(images, monkeypatch):
    monkeypatch.setattr(generation, "BATCH_SIZE", 3)
    other = LABELS.copy()
    other[2] = 7
    changed = generate(tiny_generator(), other[:5], seed=0)
    np.testing.assert_allclose(np.delete(changed, 2, axis=0), np.delete(images[:5], 2, axis=0), atol=1e-5)
    assert np.abs(changed[2] - images[2]).max() > 1e-3
    # The same label in two places is two images.
    assert np.abs(images[1] - images[3]).max() > 1e-2


def test_the_seed_decides_the_noise_and_temperature_scales_it(images, monkeypatch):
    monkeypatch.setattr(generation, "BATCH_SIZE", 3)
    assert np.abs(generate(tiny_generator(), LABELS[:3], seed=1) - images[:3]).max() > 1e-2
    ones = np.ones(3, np.int32)
    still = generate(tiny_generator(), ones, seed=1, temperature=0.0)
    np.testing.assert_allclose(still, np.broadcast_to(still[0], still.shape), atol=1e-5)


def test_guidance_and_steps_reach_the_network(images, monkeypatch):
    monkeypatch.setattr(generation, "BATCH_SIZE", 3)
    for option in ({"guidance_scale": 2.0}, {"num_steps": 2}):
        assert np.abs(generate(tiny_generator(), LABELS[:3], seed=0, **option) - images[:3]).max() > 1e-4


def test_guidance_scales_are_those_of_the_configuration():
    assert default_guidance_scale(tiny_generator()) == 2.0
    assert largest_guidance_scale(tiny_generator()) == 3.0


@pytest.mark.parametrize(
    ("labels", "options", "match"),
    [
        ([10], {}, "labels must lie in 0 ... 9"),
        ([-1], {}, "labels must lie in 0 ... 9"),
        ([], {}, "labels must lie in 0 ... 9"),
        ([0], {"guidance_scale": 0.9}, "guidance scale must lie in 1 ... 3"),
        ([0], {"guidance_scale": 3.1}, "guidance scale must lie in 1 ... 3"),
        ([0], {"guidance_scale": float("nan")}, "guidance scale must lie in 1 ... 3"),
        ([0], {"num_steps": 0}, "steps must lie in 1"),
        ([0], {"temperature": -1.0}, "temperature must lie in 0 ... 2"),
        ([0], {"seed": -1}, "seed must lie in 0"),
    ],
)
def test_what_was_not_trained_is_refused(labels, options, match):
    with pytest.raises(InputError, match=match):
        generate(tiny_generator(), np.array(labels, np.int32), **{"seed": 0, **options})


def test_a_codec_does_not_sample_from_nothing():
    with pytest.raises(InputError, match="is a codec"):
        generate(tiny_codec()._pretrained, np.zeros(1, np.int32), seed=0)
