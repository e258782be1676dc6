"""Sampling from a generative model: the noise of an item belongs to the seed and its place, and to nothing else."""

import math
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from fixtures.tiny_models import AUDIO, IMAGE, networks, tiny_codec, tiny_generator

from meanflow_audio_codec.configs.methods import (
    AdversarialConfig,
    AutoencoderConfig,
    FixedGuidanceConfig,
    FlowMatchingConfig,
    GuidanceConfig,
    ImprovedMeanFlowConfig,
    MeanFlowConfig,
    MethodConfig,
)
from meanflow_audio_codec.configs.tokens import MDCTConfig
from meanflow_audio_codec.errors import InputError
from meanflow_audio_codec.inference import generation
from meanflow_audio_codec.inference.generation import (
    default_guidance_scale,
    generate,
    largest_guidance_scale,
    sampling_guidance_scale,
    smallest_guidance_scale,
)
from meanflow_audio_codec.inference.pretrained import PretrainedModel
from meanflow_audio_codec.models.build import build_method
from meanflow_audio_codec.preprocessing.channel_statistics import ChannelNormalizer
from meanflow_audio_codec.preprocessing.tokenizers import build_tokenizer

LABELS = np.array([3, 1, 4, 1, 5, 9, 2], np.int32)


@pytest.fixture(scope="module")
def images() -> np.ndarray:
    return generate(tiny_generator(), LABELS, seed=0, guidance_scale=1.0)


def test_one_image_per_label(images):
    assert images.shape == (7, 28, 28)
    assert images.dtype == np.float32
    assert np.isfinite(images).all()


def test_the_batch_an_item_is_in_does_not_matter(images, monkeypatch):
    # Three at a time, the last batch incomplete: the same noise, hence the same images up to float rounding.
    monkeypatch.setattr(generation, "BATCH_SIZE", 3)
    np.testing.assert_allclose(generate(tiny_generator(), LABELS, seed=0, guidance_scale=1.0), images, atol=1e-5)


def test_an_item_depends_on_its_own_label_and_place_only(images, monkeypatch):
    monkeypatch.setattr(generation, "BATCH_SIZE", 3)
    other = LABELS.copy()
    other[2] = 7
    changed = generate(tiny_generator(), other[:5], seed=0, guidance_scale=1.0)
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
    for scale, num_steps in ((2.0, 1), (1.0, 2)):
        changed = generate(tiny_generator(), LABELS[:3], seed=0, guidance_scale=scale, num_steps=num_steps)
        assert np.abs(changed - images[:3]).max() > 1e-4


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
        generate(tiny_codec().pretrained, np.zeros(1, np.int32), seed=0)


# Other methods, and audio.

FIXED = FixedGuidanceConfig(scale=2.5)


def generator(method: MethodConfig) -> PretrainedModel:
    """The same with another method, and the same random weights as far as its network has them."""
    config = tiny_generator().config.model_copy(update={"method": method})
    return replace(
        tiny_generator(), config=config, method=build_method(method), model=networks(config, IMAGE, 0, seed=3)
    )


def draw(method: MethodConfig, **options: Any) -> np.ndarray:
    return generate(generator(method), LABELS[:3], seed=0, **options)


@pytest.mark.parametrize(
    ("method", "smallest", "default", "largest"),
    [
        (AutoencoderConfig(), 1.0, 1.0, 1.0),
        (FlowMatchingConfig(sampling_scale=2.0), 1.0, 2.0, math.inf),
        (MeanFlowConfig(guidance=FIXED), 2.5, 2.5, 2.5),
        (ImprovedMeanFlowConfig(guidance=FIXED), 2.5, 2.5, 2.5),
        (ImprovedMeanFlowConfig(guidance=GuidanceConfig(max_scale=4.0, sampling_scale=3.0)), 1.0, 3.0, 4.0),
        (ImprovedMeanFlowConfig(), 1.0, 1.0, 1.0),
    ],
)
def test_the_guidance_scales_of_each_method(method, smallest, default, largest):
    model = generator(method)
    assert sampling_guidance_scale(method) == default_guidance_scale(model) == default
    assert (smallest_guidance_scale(model), largest_guidance_scale(model)) == (smallest, largest)


@pytest.mark.parametrize(
    ("method", "scales", "match"),
    [
        (FlowMatchingConfig(), (0.9, math.nan, math.inf), "guidance scale must be a number from 1, not "),
        (
            MeanFlowConfig(guidance=FIXED),
            (1.0, 2.4, 3.0, math.nan),
            "scale must be 2.5, the one that was trained, not ",
        ),
        (ImprovedMeanFlowConfig(guidance=FIXED), (1.0, 3.0), "scale must be 2.5, the one that was trained, not "),
        (ImprovedMeanFlowConfig(), (1.1,), "scale must be 1, the one that was trained, not 1.1"),
    ],
)
def test_only_trained_scales_are_sampled(method, scales, match):
    model = generator(method)
    for scale in scales:
        with pytest.raises(InputError, match=match):
            generate(model, LABELS, seed=0, guidance_scale=scale)


@pytest.mark.parametrize("method", [AutoencoderConfig(), AdversarialConfig()])
def test_an_autoencoder_cannot_sample(method):
    model = replace(tiny_generator(), method=build_method(method))
    with pytest.raises(InputError, match=r"is an autoencoder .*: it decodes without noise, and cannot sample"):
        generate(model, LABELS, seed=0)


def test_what_is_not_told_is_as_configured(monkeypatch):
    monkeypatch.setattr(generation, "BATCH_SIZE", 3)
    method = FlowMatchingConfig(sampling_scale=3.0, default_num_steps=2, default_temperature=0.5)
    told = draw(method, num_steps=2, temperature=0.5, guidance_scale=3.0)
    np.testing.assert_array_equal(draw(method), told)
    for option in ({"num_steps": 3}, {"temperature": 1.0}, {"guidance_scale": 1.0}):
        assert np.abs(draw(method, **option) - told).max() > 1e-3


def test_flow_matching_is_guided_by_any_scale(monkeypatch):
    """One step of Euler's rule is affine in the scale: x(w) = z - w v_c - (1 - w) v_u."""
    monkeypatch.setattr(generation, "BATCH_SIZE", 3)
    one, two, hundred = (draw(FlowMatchingConfig(), num_steps=1, guidance_scale=scale) for scale in (1.0, 2.0, 100.0))
    assert np.abs(two - one).max() > 1e-2
    np.testing.assert_allclose(hundred - one, 99.0 * (two - one), atol=2e-3)


@pytest.mark.parametrize("method", [MeanFlowConfig(guidance=FIXED), ImprovedMeanFlowConfig(guidance=FIXED)])
def test_a_trained_in_scale_is_the_default(monkeypatch, method):
    monkeypatch.setattr(generation, "BATCH_SIZE", 3)
    np.testing.assert_array_equal(draw(method, guidance_scale=2.5), draw(method))
    assert np.isfinite(draw(method)).all()


def test_the_guidance_interval_of_the_configuration_reaches_the_network(monkeypatch):
    monkeypatch.setattr(generation, "BATCH_SIZE", 3)
    always, late = (
        draw(
            ImprovedMeanFlowConfig(
                guidance=GuidanceConfig(max_scale=3.0, condition_on_interval=True, sampling_interval=interval)
            ),
            guidance_scale=2.0,
        )
        for interval in ((0.0, 1.0), (0.4, 0.65))
    )
    assert np.abs(always - late).max() > 1e-3


def test_a_generator_of_audio_gives_waveforms(monkeypatch):
    monkeypatch.setattr(generation, "BATCH_SIZE", 3)
    spec = build_tokenizer(MDCTConfig(hop_length=100), AUDIO).spec
    config = tiny_generator().config
    model = replace(
        tiny_generator(),
        config=config,
        signal=AUDIO,
        tokenizer=build_tokenizer(MDCTConfig(hop_length=100), AUDIO),
        normalizer=ChannelNormalizer((0.0,) * spec.channels, (0.1,) * spec.channels),
        model=networks(config.model_copy(update={"tokenizer": MDCTConfig(hop_length=100)}), AUDIO, 0),
    )
    sounds = generate(model, LABELS[:4], seed=0)
    assert sounds.shape == (4, *AUDIO.shape)
    assert np.isfinite(sounds).all()
    assert sounds.std(axis=1).min() > 1e-3
