"""Tokenizers are exact inverse pairs whose declared shapes are the real ones, for audio and for images."""

import jax.numpy as jnp
import numpy as np
import pytest

from meanflow_audio_codec.configs.tokens import MDCTConfig, ReshapeConfig, TokenizerConfig
from meanflow_audio_codec.preprocessing.mdct import mdct
from meanflow_audio_codec.preprocessing.specs import SignalSpec, TokenSpec
from meanflow_audio_codec.preprocessing.tokenizers import Tokenizer, build_tokenizer

AUDIO, ODD_AUDIO, IMAGE, WIDE_IMAGE = (
    SignalSpec((96,), 16_000),
    SignalSpec((101,), 16_000),
    SignalSpec((28, 28)),
    SignalSpec((8, 20)),
)
CASES = [
    (MDCTConfig(hop_length=16), AUDIO, TokenSpec((7,), 16)),
    (MDCTConfig(hop_length=16), ODD_AUDIO, TokenSpec((8,), 16)),
    (MDCTConfig(hop_length=4), IMAGE, TokenSpec((8, 8), 16)),
    (MDCTConfig(hop_length=4), WIDE_IMAGE, TokenSpec((3, 6), 16)),
    (ReshapeConfig(patch=16), AUDIO, TokenSpec((6,), 16)),
    (ReshapeConfig(patch=16), ODD_AUDIO, TokenSpec((7,), 16)),
    (ReshapeConfig(patch=4), IMAGE, TokenSpec((7, 7), 16)),
    (ReshapeConfig(patch=4), WIDE_IMAGE, TokenSpec((2, 5), 16)),
]


def signals(spec: SignalSpec) -> jnp.ndarray:
    return jnp.asarray(np.random.default_rng(0).standard_normal((3, *spec.shape)), jnp.float32)


@pytest.mark.parametrize(("config", "signal", "expected"), CASES)
def test_detokenize_inverts_tokenize(config: TokenizerConfig, signal: SignalSpec, expected: TokenSpec) -> None:
    tokenizer = build_tokenizer(config, signal)
    assert isinstance(tokenizer, Tokenizer)
    x = signals(signal)
    tokens = tokenizer.tokenize(x)
    assert tokenizer.spec == expected
    assert tokens.shape == (3, expected.num_tokens, expected.channels)
    restored = tokenizer.detokenize(tokens)
    assert restored.shape == x.shape
    # The MDCT is a rotation in float32; the reshape moves values without touching them.
    np.testing.assert_allclose(restored, x, rtol=0, atol=3e-6 if isinstance(config, MDCTConfig) else 0.0)


@pytest.mark.parametrize(("config", "signal", "expected"), CASES)
def test_tokens_have_the_energy_of_the_signal(config: TokenizerConfig, signal: SignalSpec, expected: TokenSpec) -> None:
    """Parseval: every tokenizer is orthonormal, so that losses on tokens are losses on signals."""
    x = signals(signal)
    tokens = build_tokenizer(config, signal).tokenize(x)
    energy = np.sum(np.asarray(x, np.float64) ** 2, axis=tuple(range(1, x.ndim)))
    np.testing.assert_allclose(np.sum(np.asarray(tokens, np.float64) ** 2, axis=(1, 2)), energy, rtol=2e-6)


@pytest.mark.parametrize("length", [1, 7, 8, 9, 60])
def test_any_length_of_audio_is_framed_and_restored(length: int) -> None:
    signal = SignalSpec((length,), 8_000)
    tokenizer = build_tokenizer(ReshapeConfig(patch=8), signal)
    x = signals(signal)
    tokens = tokenizer.tokenize(x)
    assert tokens.shape[1] == tokenizer.spec.num_tokens == -(-length // 8)
    np.testing.assert_array_equal(tokenizer.detokenize(tokens), x)
    np.testing.assert_array_equal(np.ravel(tokens[0])[:length], x[0])


def test_a_patch_is_a_square_of_the_image() -> None:
    """Token 9 of a 7 x 7 grid is row 1, column 2; its values are in raster order."""
    image = np.arange(28 * 28, dtype=np.float32).reshape(1, 28, 28)
    tokens = build_tokenizer(ReshapeConfig(patch=4), IMAGE).tokenize(jnp.asarray(image))
    np.testing.assert_array_equal(tokens[0, 9], image[0, 4:8, 8:12].ravel())


def test_a_token_of_audio_is_an_mdct_frame() -> None:
    x = signals(AUDIO)
    tokens = build_tokenizer(MDCTConfig(hop_length=16), AUDIO).tokenize(x)
    np.testing.assert_array_equal(tokens, mdct(x, 16, window="sine"))


def test_a_token_of_an_image_is_a_block_of_the_separable_transform() -> None:
    """Rows, then columns: token (i, j) holds frame i of the columns of frame j of the rows."""
    x = signals(WIDE_IMAGE)
    tokenizer = build_tokenizer(MDCTConfig(hop_length=4), WIDE_IMAGE)
    tokens = np.asarray(tokenizer.tokenize(x)).reshape(3, 3, 6, 4, 4)
    of_rows = mdct(x, 4)  # b rows column_frames column_bins
    of_columns = mdct(jnp.moveaxis(of_rows, 1, -1), 4)  # b column_frames column_bins row_frames row_bins
    np.testing.assert_allclose(tokens[:, 2, 5, 1, 3], of_columns[:, 5, 3, 2, 1], atol=1e-6)


def test_a_patch_that_does_not_divide_the_image_is_an_error() -> None:
    with pytest.raises(ValueError, match=r"patch 5 must divide the image size \(28, 28\)"):
        build_tokenizer(ReshapeConfig(patch=5), IMAGE)
