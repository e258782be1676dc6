"""The sum of shifted copies is the depthwise convolution that XLA and SciPy compute."""

from typing import Literal

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx
from scipy.ndimage import correlate

from meanflow_audio_codec.models.backbones.depthwise_convolution import DepthwiseConvolution

CASES = [((9,), 3), ((5,), 7), ((4, 6), 3), ((3, 2), 5), ((4,), 1)]

call = jax.jit(lambda module, h: module(h))


def convolution_and_input(
    grid: tuple[int, ...], kernel_size: int, padding: Literal["centred", "causal"] = "centred"
) -> tuple[DepthwiseConvolution, jax.Array]:
    module = DepthwiseConvolution(3, kernel_size, len(grid), padding, rngs=nnx.Rngs(params=jax.random.key(0)))
    module.bias = nnx.Param(jnp.array([0.5, -1.0, 2.0]))
    return module, jax.random.normal(jax.random.key(1), (2, *grid, 3))


@pytest.mark.parametrize(("grid", "kernel_size"), CASES)
def test_it_equals_correlation_with_zeros_outside(grid: tuple[int, ...], kernel_size: int) -> None:
    """SciPy, in float64, channel by channel; also where the kernel is wider than the grid."""
    module, h = convolution_and_input(grid, kernel_size)
    kernel, bias = np.asarray(module.kernel[...], np.float64), np.asarray(module.bias[...])
    expected = np.empty(h.shape)
    for example in range(2):
        for channel in range(3):
            expected[example, ..., channel] = bias[channel] + correlate(
                np.asarray(h[example, ..., channel], np.float64), kernel[..., channel], mode="constant"
            )
    np.testing.assert_allclose(call(module, h), expected, rtol=0, atol=2e-6)


@pytest.mark.parametrize(("grid", "kernel_size"), [((9,), 3), ((4, 6), 3)])
def test_it_equals_the_grouped_convolution(grid: tuple[int, ...], kernel_size: int) -> None:
    module, h = convolution_and_input(grid, kernel_size)
    axes = "HW"[: len(grid)]
    grouped = jax.lax.conv_general_dilated(
        h,
        module.kernel[...][..., None, :],
        window_strides=(1,) * len(grid),
        padding="SAME",
        dimension_numbers=(f"N{axes}C", f"{axes}IO", f"N{axes}C"),
        feature_group_count=3,
    )
    np.testing.assert_allclose(call(module, h), grouped + module.bias[...], rtol=0, atol=2e-6)


@pytest.mark.parametrize("kernel_size", [1, 3, 7])
def test_causal_padding_is_the_convolution_of_an_impulse_response(kernel_size: int) -> None:
    """NumPy, in float64: a causal filter is the convolution with its mirrored taps, cut to the input's length."""
    module, h = convolution_and_input((5,), kernel_size, "causal")
    kernel, bias = np.asarray(module.kernel[...], np.float64), np.asarray(module.bias[...])
    expected = np.empty(h.shape)
    for example in range(2):
        for channel in range(3):
            response = np.convolve(np.asarray(h[example, :, channel], np.float64), kernel[::-1, channel])
            expected[example, :, channel] = bias[channel] + response[:5]
    np.testing.assert_allclose(call(module, h), expected, rtol=0, atol=2e-6)


def test_causal_padding_on_a_square_is_refused() -> None:
    with pytest.raises(ValueError, match="not for a grid of 2 axes"):
        convolution_and_input((4, 6), 3, "causal")


def test_a_unit_impulse_shows_the_mirrored_kernel() -> None:
    module, _ = convolution_and_input((9,), 3)
    impulse = jnp.zeros((1, 9, 3)).at[0, 4].set(1.0)
    response = np.asarray(call(module, impulse) - module.bias[...])[0]
    np.testing.assert_allclose(response[3:6], np.asarray(module.kernel[...])[::-1], atol=1e-6)
    assert np.abs(np.delete(response, [3, 4, 5], axis=0)).max() == 0.0


def test_the_initial_kernel_keeps_the_variance() -> None:
    """Taps of variance 1 / number of taps."""
    for axes in (1, 2):
        module = DepthwiseConvolution(4000, 5, axes, rngs=nnx.Rngs(params=jax.random.key(0)))
        assert float(jnp.var(module.kernel[...])) == pytest.approx(1.0 / 5**axes, rel=0.05)
