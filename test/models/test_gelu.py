"""GELU: the exact form is x Phi(x), the tanh form is its published approximation, and the networks use both."""

from typing import Literal

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx
from scipy.special import ndtr

from meanflow_audio_codec.configs.networks import ConvNeXtConfig
from meanflow_audio_codec.models.backbones.activations import gelu
from meanflow_audio_codec.models.backbones.convnext import ConvNeXtBackbone

GRID = np.linspace(-8.0, 8.0, 4001).astype(np.float32)

# x, then torch.nn.functional.gelu(x) with approximate="none" and with approximate="tanh".
TORCH_VALUES = np.array(
    [
        [-4.0, -0.0001267, -0.0000702],
        [-2.5, -0.0155242, -0.0150843],
        [-1.0, -0.1586553, -0.1588080],
        [-0.5, -0.1542688, -0.1542860],
        [-0.1, -0.0460172, -0.0460172],
        [0.25, 0.1496766, 0.1496754],
        [0.75, 0.5800295, 0.5799606],
        [1.0, 0.8413447, 0.8411920],
        [2.0, 1.9544997, 1.9545977],
        [3.5, 3.4991858, 3.4993838],
    ]
)


def tanh_form(x: np.ndarray) -> np.ndarray:
    """Equation 2 of arXiv 1606.08415."""
    return 0.5 * x * (1.0 + np.tanh(np.sqrt(2.0 / np.pi) * (x + 0.044715 * x**3)))


def test_the_exact_form_is_x_times_the_normal_distribution_function() -> None:
    x = GRID.astype(np.float64)
    np.testing.assert_allclose(gelu(jnp.asarray(GRID), "exact"), x * ndtr(x), rtol=1e-5, atol=3e-7)


def test_the_tanh_form_is_its_formula() -> None:
    np.testing.assert_allclose(
        gelu(jnp.asarray(GRID), "tanh"), tanh_form(GRID.astype(np.float64)), rtol=1e-5, atol=1e-6
    )


def test_both_forms_give_the_values_of_pytorch() -> None:
    # In float64, for the tests' compilation rounds the tanh of float32 less well, and rounding is not what is compared.
    with jax.enable_x64(True):
        x = jnp.asarray(TORCH_VALUES[:, 0])
        assert x.dtype == jnp.float64
        np.testing.assert_allclose(gelu(x, "exact"), TORCH_VALUES[:, 1], rtol=0, atol=1e-7)
        np.testing.assert_allclose(gelu(x, "tanh"), TORCH_VALUES[:, 2], rtol=0, atol=1e-7)


def test_the_forms_differ_by_less_than_documented_but_differ() -> None:
    difference = np.abs(gelu(jnp.asarray(GRID), "exact") - gelu(jnp.asarray(GRID), "tanh"))
    assert 4e-4 < difference.max() < 5e-4


@pytest.mark.parametrize("form", ["exact", "tanh"])
def test_the_derivative(form: Literal["exact", "tanh"]) -> None:
    """d/dx x Phi(x) = Phi(x) + x phi(x); of the tanh form by central differences in float64."""
    x = np.linspace(-5.0, 5.0, 201)
    slope = jax.vmap(jax.grad(lambda value: gelu(value, form)))(jnp.asarray(x, jnp.float32))
    if form == "exact":
        expected = ndtr(x) + x * np.exp(-0.5 * x**2) / np.sqrt(2.0 * np.pi)
    else:
        expected = (tanh_form(x + 1e-5) - tanh_form(x - 1e-5)) / 2e-5
    np.testing.assert_allclose(slope, expected, rtol=0, atol=5e-6)


def test_the_limits() -> None:
    x = jnp.array([-30.0, 0.0, 30.0])
    for form in ("exact", "tanh"):
        np.testing.assert_array_equal(gelu(x, form), [0.0, 0.0, 30.0])


def test_the_backbone_follows_its_configuration() -> None:
    """Same weights, other form: close, by the bound above, but not equal."""
    h = jax.random.normal(jax.random.key(1), (1, 5, 8))
    outputs = []
    for form in ("exact", "tanh"):
        config = ConvNeXtConfig(width=8, num_blocks=1, kernel_size=3, gelu=form)
        backbone = ConvNeXtBackbone(config, (5,), None, rngs=nnx.Rngs(params=jax.random.key(0)))
        outputs.append(np.asarray(jax.jit(lambda model, value: model(value, None))(backbone, h)))
    difference = np.abs(outputs[0] - outputs[1]).max()
    assert 1e-6 < difference < 1e-3
