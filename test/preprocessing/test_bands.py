"""Bands of a frame: equally wide in Bark, at least a bin, and weighted by a power of their gain."""

import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from meanflow_audio_codec.preprocessing.bands import band_edges, band_weight, bark


@settings(max_examples=200, deadline=None)
@given(num_bins=st.integers(1, 2048), sample_rate=st.integers(1_000, 192_000), share=st.floats(0.0, 1.0))
def test_bands_partition_the_bins(num_bins: int, sample_rate: int, share: float) -> None:
    num_bands = 1 + round(share * (num_bins - 1))
    edges = band_edges(num_bins, sample_rate, num_bands)
    assert len(edges) == num_bands + 1
    assert (edges[0], edges[-1]) == (0, num_bins)
    assert (np.diff(edges) >= 1).all()


def test_wide_bands_are_equally_wide_in_bark() -> None:
    """Where a bin is much narrower than a band, each band is one part in num_bands of the critical-band scale."""
    edges = np.array(band_edges(4096, 16_000, 16))
    widths = np.diff(bark(edges * 8_000 / 4096))
    np.testing.assert_allclose(widths, np.full(16, bark(np.array([8_000.0]))[0] / 16), rtol=0.03)


def test_the_bark_scale() -> None:
    """Zwicker's table: 1 Bark at 100 Hz, 8.5 at 1 kHz, about 21 at 8 kHz; increasing."""
    np.testing.assert_allclose(bark(np.array([0.0, 100.0, 1000.0, 8000.0])), [0.0, 1.0, 8.5, 21.3], atol=0.25)
    assert (np.diff(bark(np.linspace(0.0, 96_000.0, 5000))) > 0).all()


@pytest.mark.parametrize("num_bands", [0, 65])
def test_more_bands_than_bins_is_an_error(num_bands: int) -> None:
    with pytest.raises(ValueError, match=f"num_bands must lie in 1 ... 64 .* not {num_bands}"):
        band_edges(64, 16_000, num_bands)


@pytest.mark.parametrize("exponent", [0.0, 0.5, 2.0])
def test_the_weight_of_a_band(exponent: float) -> None:
    """Mean 1 over a frame's bins; the weights of a band sum to a share that goes as its gain to this power."""
    edges = band_edges(64, 16_000, 9)
    log2_gains = np.random.default_rng(0).uniform(-14.0, 3.0, (2, 40, 9)).astype(np.float32)
    weight = np.asarray(band_weight(jnp.asarray(log2_gains), edges, exponent), np.float64)
    widths = np.diff(edges)
    np.testing.assert_allclose((weight * widths).sum(axis=-1) / 64, 1.0, rtol=1e-5)
    shares, gains = weight * widths, np.exp2(log2_gains.astype(np.float64))
    np.testing.assert_allclose(shares / shares[..., :1], (gains / gains[..., :1]) ** exponent, rtol=1e-4)
