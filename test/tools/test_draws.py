"""The benchmarks of what is drawn: how much draws differ, and that losses are compared by nothing else."""

import dataclasses

import jax
import numpy as np
import pytest
from fixtures.golden_files import speech_signal
from fixtures.tiny_models import scalable_codec

from meanflow_audio_codec.codec.codec import Codec
from meanflow_audio_codec.configs.recipes import recipe
from meanflow_audio_codec.datasets.synthetic import SyntheticAudio
from meanflow_audio_codec.errors import InputError
from meanflow_audio_codec.evaluators.clip_scores import DEFAULT_METRICS
from meanflow_audio_codec.models.codec_model import CodecModel
from meanflow_audio_codec.tools.benchmarks.ablations import decoder_losses
from meanflow_audio_codec.tools.benchmarks.ablations.draws import (
    WithoutFlow,
    _decoding,
    chosen_clips,
    coded,
    draw,
    draw_row,
    format_row,
)


def test_draws_differ_with_the_temperature_and_not_without() -> None:
    pytest.importorskip("pesq")
    pytest.importorskip("pystoi")
    codec = scalable_codec()
    recordings = coded(codec, [speech_signal()], 16_000, 1.2)
    still, half, full = (
        draw_row(codec, recordings, 1, temperature, DEFAULT_METRICS) for temperature in (0.0, 0.5, 1.0)
    )
    assert still.difference_db < -60.0 < half.difference_db < full.difference_db
    assert format_row(still).count("|") == format_row(full).count("|") == 9
    assert "| 0 | not |" in format_row(still)


def test_without_flow_the_network_says_nothing() -> None:
    """Whatever the decoder's weights are, the noise goes to the prior as it is; at temperature 0 its mean is left."""
    codec = scalable_codec()
    pretrained = codec.pretrained
    plain = Codec(dataclasses.replace(pretrained, method=WithoutFlow(pretrained.method)))
    (recording,) = coded(plain, [speech_signal()], 16_000, 1.2)
    decoder = jax.tree.map(lambda leaf: leaf + 1.0, pretrained.model.decoder)
    model = pretrained.model
    other = CodecModel(model.encoder, model.bottleneck, model.prior, decoder)
    changed = Codec(dataclasses.replace(plain.pretrained, model=other))
    for temperature in (0.0, 1.0):
        assert np.array_equal(draw(plain, recording, 1, temperature, 0), draw(changed, recording, 1, temperature, 0))
    assert not np.allclose(draw(plain, recording, 1, 1.0, 0), draw(codec, recording, 1, 1.0, 0), atol=1e-4)


@pytest.mark.parametrize("text", ["1", "-1:1", "1:3", "x:1", "1:y"])
def test_a_decoding_is_evaluations_and_temperature(text: str) -> None:
    assert _decoding("4:0.5") == (4, 0.5)
    with pytest.raises(InputError, match=text):
        _decoding(text)


def test_models_of_no_recordings_have_none_to_decode() -> None:
    with pytest.raises(InputError, match="not trained on recordings"):
        chosen_clips(SyntheticAudio(sample_rate=16_000, crop_samples=64, batch_size=1), 2)


def test_decoders_are_compared_by_their_losses_alone() -> None:
    base = recipe("speech-16k")
    configs = [decoder_losses.experiment_config(base, losses, 10, 2) for losses in decoder_losses.LOSSES.values()]
    terms = {"method_loss_weight", "spectral_loss"}
    others = [config.training.model_dump(exclude=terms) for config in configs]
    assert all(other == others[0] for other in others)
    assert all(config.training.frozen_networks == ("encoder", "prior") for config in configs)
    kinds = [
        (each.method_loss_weight > 0.0, None if each.spectral_loss is None else each.spectral_loss.repulsion)
        for each in (config.training for config in configs)
    ]
    assert len(set(kinds)) == len(kinds) == 5
