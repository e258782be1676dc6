"""Models of segments: whole signals, bytes and back, for any architecture."""

from dataclasses import replace
from functools import cache

import numpy as np
import pytest
from fixtures.tiny_models import networks

from meanflow_audio_codec.datasets.synthetic import SyntheticAudio
from meanflow_audio_codec.datasets.synthetic_images import SyntheticImages
from meanflow_audio_codec.inference.pretrained import PretrainedModel
from meanflow_audio_codec.models.build import build_method
from meanflow_audio_codec.models.codec_model import CodecModel
from meanflow_audio_codec.preprocessing.normalization import build_normalizer, unfitted_state
from meanflow_audio_codec.preprocessing.specs import SignalSpec
from meanflow_audio_codec.preprocessing.tokenizers import build_tokenizer, segment_signal
from meanflow_audio_codec.study.cells import Architecture, Data, StudyCell, Tokenization
from meanflow_audio_codec.study.scoring.segment_codec import SegmentCodec, fit_side_coder

HOP, TOKENS = 320, 16


def cell_of(method: str, architecture: Architecture, tokenization: Tokenization, dataset: Data) -> StudyCell:
    return StudyCell(
        preset="smoke",
        task="codec",
        method=method,
        architecture=architecture,
        tokenization=tokenization,
        dataset=dataset,
    )


@cache
def model_of(cell: StudyCell) -> PretrainedModel:
    """The cell with random weights."""
    config = cell.config(0)
    signal = SignalSpec((28, 28)) if cell.dataset == "mnist" else SignalSpec((0,), 16_000)
    if config.segment_tokens is not None:
        signal = segment_signal(config.tokenizer, signal, config.segment_tokens)
    tokenizer = build_tokenizer(config.tokenizer, signal)
    state = unfitted_state(config.normalization, tokenizer.spec)
    normalizer = build_normalizer(config.normalization, config.decoding, tokenizer.spec, signal, state)
    return PretrainedModel(
        name=cell.name,
        config=config,
        signal=signal,
        tokenizer=tokenizer,
        normalizer=normalizer,
        method=build_method(config.method),
        model=networks(config, signal, len(normalizer.side_levels)),
        entropy={},
        weights_hash=b"\0" * 8,
    )


def sounds(count: int, num_samples: int) -> np.ndarray:
    return SyntheticAudio(sample_rate=16_000, crop_samples=num_samples, batch_size=count).batch(0).signal


CELLS = [
    cell_of("improved-mean-flow", "convnet", "mdct", "audio"),
    cell_of("autoencoder", "mlp", "reshape", "audio"),
    cell_of("flow-matching", "mixer", "mdct", "mnist"),
]


@pytest.mark.parametrize("cell", CELLS, ids=lambda cell: cell.name)
def test_bytes_hold_everything(cell: StudyCell) -> None:
    """Codes and side information come back from the bytes; their length is that of the levels and the tables."""
    pretrained = model_of(cell)
    signals = SyntheticImages(batch_size=5).batch(0).signal if cell.dataset == "mnist" else sounds(3, 9_000)
    codec = SegmentCodec(pretrained, fit_side_coder(pretrained, signals))
    encoded = codec.encode(signals)
    payloads = codec.to_bytes(encoded)
    num_tokens = encoded.codes.shape[1]
    restored = codec.from_bytes(payloads, num_tokens)
    np.testing.assert_array_equal(restored.codes, encoded.codes)
    np.testing.assert_array_equal(restored.side, encoded.side)
    bits = codec.code_bits_per_token * num_tokens
    if cell.dataset == "mnist":
        assert {8 * len(payload) for payload in payloads} == {8 * int(np.ceil(bits / 8))}
    else:
        assert all(8 * len(payload) > bits for payload in payloads)
    decoded = codec.decode(restored, signals.shape[1:], seed=0, num_steps=1, temperature=1.0)
    assert decoded.shape == signals.shape
    again = codec.decode(encoded, signals.shape[1:], seed=0, num_steps=1, temperature=1.0)
    np.testing.assert_array_equal(decoded, again)
    other = codec.decode(encoded, signals.shape[1:], seed=1, num_steps=1, temperature=1.0)
    assert np.array_equal(decoded, other) == (cell.method == "autoencoder")


@pytest.mark.parametrize("num_samples", [HOP, 15 * HOP, 15 * HOP + 1, 40 * HOP + 7])
def test_segments_are_cut_from_the_tokens_of_the_whole_signal(num_samples: int) -> None:
    """What is coded in a segment depends on its own tokens alone; the last segment is filled up."""
    pretrained = model_of(CELLS[0])
    codec = SegmentCodec(pretrained, None)
    long = sounds(2, 40 * HOP + 7)
    whole = codec.encode(long)
    part = codec.encode(long[:, :num_samples])
    frames = -(-(-(-num_samples // HOP) + 1) // 4) * 4  # whole blocks
    assert part.codes.shape[1] == frames
    # Frames with all their samples, in segments that lie wholly inside the shorter signal.
    same = (num_samples // HOP) // TOKENS * TOKENS
    np.testing.assert_array_equal(part.codes[:, :same], whole.codes[:, :same])
    assert codec.decode(part, (num_samples,), seed=0, num_steps=1, temperature=1.0).shape == (2, num_samples)


def test_many_signals_are_the_same_as_few() -> None:
    """Batches are filled up; what a signal is coded to does not depend on the others."""
    pretrained = model_of(CELLS[2])
    codec = SegmentCodec(pretrained, None)
    images = SyntheticImages(batch_size=300).batch(0).signal
    np.testing.assert_array_equal(codec.encode(images).codes[:7], codec.encode(images[:7]).codes)


def test_a_generator_codes_nothing() -> None:
    pretrained = model_of(CELLS[2])
    model = CodecModel(None, None, None, pretrained.model.decoder)
    generator = replace(pretrained, model=model)
    with pytest.raises(ValueError, match="has no encoder"):
        SegmentCodec(generator, None)
