"""ConvNeXt, MLP and MLP-Mixer: the common promise of a backbone, and what sets each of them apart."""

import json
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from fixtures.tiny_models import codec_config
from flax import nnx

from meanflow_audio_codec.codec.context import Context, context_of
from meanflow_audio_codec.configs.experiment import ExperimentConfig
from meanflow_audio_codec.configs.networks import ArchitectureConfig, ConvNeXtConfig, MixerConfig, MLPConfig
from meanflow_audio_codec.configs.serialization import apply_overrides, from_dict, to_json
from meanflow_audio_codec.errors import InputError
from meanflow_audio_codec.models.backbones.architectures import build_backbone
from meanflow_audio_codec.models.backbones.backbone import Backbone
from meanflow_audio_codec.models.backbones.convnext import ConvNeXtBackbone, GlobalResponseNorm
from meanflow_audio_codec.models.backbones.mixer import MixerBackbone
from meanflow_audio_codec.models.backbones.mlp import MLPBackbone
from meanflow_audio_codec.models.build import build_model, count_parameters
from meanflow_audio_codec.models.conditioning import Conditioning
from meanflow_audio_codec.preprocessing.specs import TokenSpec

WIDTH, CONDITION, BATCH = 6, 5, 3
KEY = jax.random.key(0)
LINE, SQUARE = (7,), (3, 2)
CONVNEXT = ConvNeXtConfig(width=WIDTH, num_blocks=1, kernel_size=3)
ARCHITECTURES: dict[str, ArchitectureConfig] = {
    "convnext": CONVNEXT,
    "convnext-grn": CONVNEXT.model_copy(update={"response_normalization": True}),
    "mlp": MLPConfig(width=WIDTH, hidden_width=8, num_blocks=1),
    "mixer": MixerConfig(width=WIDTH, token_width=4, num_blocks=1),
}
SEGMENT_NETWORKS = ["convnext-grn", "mlp", "mixer"]
every_architecture = pytest.mark.parametrize("name", ARCHITECTURES)
every_condition = pytest.mark.parametrize("condition_width", [None, CONDITION])
every_grid = pytest.mark.parametrize("grid", [LINE, SQUARE])


def build(name: str, grid: tuple[int, ...] = LINE, condition_width: int | None = None, **changes: Any) -> Any:
    config = ARCHITECTURES[name].model_copy(update=changes)
    # Compiled: one program for all initial values instead of one per parameter.
    return jax.jit(lambda key: build_backbone(config, grid, condition_width, rngs=nnx.Rngs(params=key)))(KEY)


def filled(name: str, grid: tuple[int, ...] = LINE, condition_width: int | None = None, **changes: Any) -> Any:
    """A backbone with every parameter random: zero-initialised layers would hide whatever lies behind them."""
    random = np.random.default_rng(1)
    skeleton = nnx.eval_shape(lambda: build(name, grid, condition_width, **changes))
    return jax.tree.map(lambda leaf: (0.4 * random.standard_normal(leaf.shape)).astype(np.float32), skeleton)


def inputs(grid: tuple[int, ...], condition_width: int | None) -> tuple[jax.Array, jax.Array | None]:
    random = np.random.default_rng(2)
    h = random.standard_normal((BATCH, int(np.prod(grid)), WIDTH))
    condition = None if condition_width is None else random.standard_normal((BATCH, condition_width))
    return jax.tree.map(lambda value: jnp.asarray(value, jnp.float32), (h, condition))


def dead_leaves(gradient: Any) -> list[str]:
    """Paths of parameters whose gradient is zero or not finite somewhere."""
    leaves = jax.tree_util.tree_flatten_with_path(gradient)[0]
    return [jax.tree_util.keystr(path) for path, leaf in leaves if not (jnp.isfinite(leaf).all() and leaf.any())]


call = jax.jit(lambda backbone, *arguments: backbone(*arguments))


# The common promise.


@pytest.mark.parametrize(("grid", "condition_width"), [(LINE, CONDITION), (SQUARE, None)])
@every_architecture
def test_the_shape_is_kept_and_the_examples_stay_apart(
    name: str, grid: tuple[int, ...], condition_width: int | None
) -> None:
    backbone = filled(name, grid, condition_width)
    assert isinstance(backbone, Backbone)
    h, condition = inputs(grid, condition_width)
    out = call(backbone, h, condition)
    assert out.shape == h.shape
    assert np.abs(out - h).max() > 0.01
    others = call(backbone, h.at[1].add(1.0), condition)
    np.testing.assert_array_equal(others[::2], out[::2])


@every_condition
@every_architecture
def test_every_parameter_learns_through_the_derivative(name: str, condition_width: int | None) -> None:
    """jit of grad of jvp: what a mean flow asks of its network, and more, as no gradient is stopped."""
    backbone = filled(name, LINE, condition_width)
    h, condition = inputs(LINE, condition_width)
    tangents = jax.tree.map(lambda leaf: jnp.cos(3.0 * leaf), (h, condition))

    def loss(backbone: Any) -> jax.Array:
        u, du = jax.jvp(lambda h, condition: backbone(h, condition), (h, condition), tangents)
        return jnp.mean((u + du) ** 2)

    assert dead_leaves(jax.jit(jax.grad(loss))(backbone)) == []


@every_condition
@every_architecture
def test_the_zeros_of_the_start_do_not_stay(name: str, condition_width: int | None) -> None:
    """A few steps of gradient descent from the initial weights reach every parameter, and the loss falls."""
    backbone = build(name, LINE, condition_width)
    h, condition = inputs(LINE, condition_width)
    target = jnp.roll(h, 1, axis=1)

    @jax.jit
    def step(backbone: Any) -> tuple[Any, Any, jax.Array]:
        loss, gradient = jax.value_and_grad(lambda net: jnp.mean((net(h, condition) - target) ** 2))(backbone)
        return jax.tree.map(lambda leaf, slope: leaf - 0.1 * slope, backbone, gradient), gradient, loss

    losses = []
    for _ in range(4):
        backbone, gradient, loss = step(backbone)
        losses.append(float(loss))
    assert dead_leaves(gradient) == []
    assert losses[-1] < 0.99 * losses[0]


@every_architecture
def test_the_derivative_equals_finite_differences(name: str) -> None:
    """Central differences in float64, in features and condition at once."""
    with jax.enable_x64(True):
        backbone = jax.tree.map(lambda leaf: leaf.astype(np.float64), filled(name, LINE, CONDITION))
        point = jax.tree.map(lambda leaf: leaf.astype(np.float64), inputs(LINE, CONDITION))
        tangent = jax.tree.map(lambda leaf: jnp.cos(3.0 * leaf), point)
        function = jax.jit(lambda *arguments: backbone(*arguments))

        def moved(step: float) -> jax.Array:
            return function(*jax.tree.map(lambda value, slope: value + step * slope, point, tangent))

        derivative = jax.jit(lambda: jax.jvp(function, point, tangent)[1])()
        assert derivative.dtype == jnp.float64
        assert np.abs(derivative).max() > 0.1
        np.testing.assert_allclose(derivative, (moved(1e-5) - moved(-1e-5)) / 2e-5, rtol=1e-7, atol=1e-8)


@every_architecture
def test_a_fresh_conditional_network_is_the_identity(name: str) -> None:
    h, condition = inputs(LINE, CONDITION)
    np.testing.assert_array_equal(call(build(name, LINE, CONDITION), h, condition), h)


@every_architecture
def test_a_condition_it_was_not_built_for_is_refused(name: str) -> None:
    h, condition = inputs(LINE, CONDITION)
    with pytest.raises(ValueError, match="without a condition"):
        call(filled(name), h, condition)
    with pytest.raises(ValueError, match="without a condition"):
        call(filled(name, LINE, CONDITION), h, None)


@pytest.mark.parametrize("name", ["mlp", "mixer"])
@pytest.mark.parametrize("grid", [LINE, SQUARE])
def test_another_number_of_tokens_is_refused_in_one_line(name: str, grid: tuple[int, ...]) -> None:
    h = jnp.zeros((1, 5, WIDTH))
    with pytest.raises(ValueError, match=r"built for (7|3 x 2) tokens per example and cannot take 5$") as raised:
        filled(name, grid)(h, None)
    assert str(raised.value).startswith(f"this {name} network")


def test_convnext_fixes_the_number_of_tokens_on_a_square_only() -> None:
    h = jnp.ones((1, 5, WIDTH))
    assert call(filled("convnext", LINE), h, None).shape == h.shape
    with pytest.raises(ValueError, match=r"built for 3 x 2 tokens per example and cannot take 5$"):
        filled("convnext", SQUARE)(h, None)


@every_architecture
def test_the_form_of_gelu_is_followed(name: str) -> None:
    """Same weights, other form: close, but not equal."""
    h, _ = inputs(LINE, None)
    exact, approximate = (call(filled(name, gelu=form), h, None) for form in ("exact", "tanh"))
    difference = np.abs(exact - approximate).max()
    assert 1e-6 < difference < 1e-2


# Size: the formulas in the docstrings.


@every_condition
@pytest.mark.parametrize(("grid", "n", "a"), [(LINE, 7, 1), (SQUARE, 6, 2)])
def test_the_number_of_parameters(grid: tuple[int, ...], n: int, a: int, condition_width: int | None) -> None:
    d, B, m = WIDTH, 3, 2
    S = 3 * d if condition_width is None else 3 * d * (condition_width + 1)

    def count(config: ArchitectureConfig) -> int:
        return count_parameters(
            nnx.eval_shape(lambda: build_backbone(config, grid, condition_width, rngs=nnx.Rngs(params=0)))
        )

    for k in (3, 5):
        for grn in (False, True):
            config = ConvNeXtConfig(width=d, num_blocks=B, kernel_size=k, expansion=m, response_normalization=grn)
            R = 2 * m * d if grn else 0
            assert count(config) == B * ((k**a + 1) * d + S + (2 * m * d + m + 1) * d + R)
    for T in (4, 9):
        config = MixerConfig(width=d, num_blocks=B, token_width=T, expansion=m)
        assert count(config) == B * ((2 * T + 1) * n + T + (2 * m * d + m + 1) * d + 2 * S)
    for h in (8, 11):
        config = MLPConfig(width=d, num_blocks=B, hidden_width=h, expansion=m)
        of_norm = S * h // d
        assert count(config) == (2 * h + 1) * n * d + h + B * (of_norm + (2 * m * h + m + 1) * h)


# What each sees.


@every_grid
@pytest.mark.parametrize("name", SEGMENT_NETWORKS)
def test_every_output_depends_on_every_token(name: str, grid: tuple[int, ...]) -> None:
    """In one block: in ConvNeXt through response normalization, as its convolution sees the neighbours only."""
    backbone = filled(name, grid)
    h, _ = inputs(grid, None)
    for token in range(h.shape[1]):
        change = call(backbone, h.at[:, token].add(jnp.cos(jnp.arange(WIDTH))), None) - call(backbone, h, None)
        assert np.abs(change).max(axis=-1).min() > 1e-4


@pytest.mark.parametrize("name", ["mlp", "mixer"])
def test_tokens_have_places_of_their_own(name: str) -> None:
    """Shifted input gives another output than the shifted one; the convolution's agree away from the edges."""
    h, _ = inputs(LINE, None)
    h = h.at[:, -2:].set(0.0).at[:, :2].set(0.0)  # so that a circular shift by one is a plain one

    def departure(name: str) -> np.ndarray:
        backbone = filled(name)
        shifted = call(backbone, jnp.roll(h, 1, axis=1), None)
        return np.abs(shifted - jnp.roll(call(backbone, h, None), 1, axis=1))

    assert departure(name)[:, 2:-2].max() > 0.05
    assert departure("convnext")[:, 3:-2].max() < 1e-5


def test_token_mixing_treats_channels_alike_and_channel_mixing_tokens() -> None:
    """Each half of a Mixer block, the other silenced, commutes with permutations of what it does not mix.

    At its start, where the norms have no favourites among the channels.
    """
    backbone = build("mixer")
    h, _ = inputs(LINE, None)
    channels, tokens = jnp.array([3, 0, 5, 1, 4, 2]), jnp.array([6, 2, 0, 5, 1, 3, 4])

    def silenced(*names: str) -> Any:
        def zero_if_named(path: Any, leaf: jax.Array) -> jax.Array:
            return leaf * 0.0 if any(f".{name}." in jax.tree_util.keystr(path) + "." for name in names) else leaf

        return jax.tree_util.tree_map_with_path(zero_if_named, backbone)

    token_mixing, channel_mixing = silenced("contract"), silenced("contract_tokens")
    np.testing.assert_allclose(
        call(token_mixing, h[:, :, channels], None), call(token_mixing, h, None)[:, :, channels], atol=1e-5
    )
    np.testing.assert_allclose(
        call(channel_mixing, h[:, tokens], None), call(channel_mixing, h, None)[:, tokens], atol=1e-5
    )
    # And neither commutes with permutations of what it does mix.
    for half, shuffle in ((token_mixing, lambda h: h[:, tokens]), (channel_mixing, lambda h: h[:, :, channels])):
        assert np.abs(call(half, shuffle(h), None) - shuffle(call(half, h, None))).max() > 0.01
    np.testing.assert_array_equal(call(silenced("contract", "contract_tokens"), h, None), h)


# Global response normalisation.


def response_norm(gamma: Any, beta: Any) -> GlobalResponseNorm:
    norm = GlobalResponseNorm(len(gamma))
    norm.gamma[...], norm.beta[...] = jnp.asarray(gamma, jnp.float32), jnp.asarray(beta, jnp.float32)
    return norm


def test_response_normalization_in_closed_form() -> None:
    """Norms 5 and 15 over two positions: shares 1/2 and 3/2 of their mean."""
    h = jnp.array([[[3.0, 9.0], [4.0, 12.0]]])
    expected = [[[3.0 + 2.0 * 3.0 / 2 + 10.0, 9.0 - 9.0 * 3 / 2 + 20.0], [4.0 + 4.0 + 10.0, 12.0 - 18.0 + 20.0]]]
    np.testing.assert_allclose(call(response_norm([2.0, -1.0], [10.0, 20.0]), h), expected, rtol=1e-6)


def test_response_normalization_starts_as_the_identity() -> None:
    h, _ = inputs(LINE, None)
    np.testing.assert_array_equal(call(GlobalResponseNorm(WIDTH), h), h)
    plain, normed = build("convnext"), build("convnext-grn")
    np.testing.assert_array_equal(call(plain, h, None), call(normed, h, None))


def test_response_normalization_ignores_place_length_and_loudness() -> None:
    norm = response_norm(np.cos(np.arange(WIDTH)), np.zeros(WIDTH))
    h, _ = inputs(LINE, None)
    order, out = np.array([6, 2, 0, 5, 1, 3, 4]), call(norm, h)
    np.testing.assert_allclose(call(norm, h[:, order]), out[:, order], atol=1e-6)
    np.testing.assert_allclose(call(norm, 30.0 * h), 30.0 * out, rtol=1e-4)
    np.testing.assert_allclose(call(norm, jnp.tile(h, (1, 2, 1)))[:, :7], out, rtol=1e-5)
    assert np.abs(out - h).max() > 0.1


def test_silence_has_derivatives() -> None:
    """A norm has none at zero; the second is needed where a gradient is taken of a derivative along the flow."""
    norm = response_norm(np.ones(WIDTH), np.zeros(WIDTH))
    silence, tangent = jnp.zeros((1, 7, WIDTH)), jnp.ones((1, 7, WIDTH))

    def slope(h: jax.Array) -> jax.Array:
        return jax.jvp(norm, (h,), (tangent,))[1]

    # All channels are equally silent, so that every share is 1, and x + gamma x has slope 2.
    np.testing.assert_allclose(jax.jit(slope)(silence), 2.0, rtol=1e-5)
    assert np.isfinite(jax.jit(jax.grad(lambda h: jnp.sum(slope(h) ** 2)))(silence)).all()


# Configuration, whole models, and streams.


def with_architecture(name: str) -> ExperimentConfig:
    config, part = codec_config(), {"architecture": ARCHITECTURES[name]}
    parts = {"encoder": config.encoder, "prior": config.prior, "decoder": config.decoder}
    return config.model_copy(update={key: network.model_copy(update=part) for key, network in parts.items()})


@every_architecture
def test_the_configuration_returns_from_json(name: str) -> None:
    config = with_architecture(name)
    returned = from_dict(json.loads(to_json(config)), "run.json")
    assert returned == config
    assert type(returned.decoder.architecture) is type(ARCHITECTURES[name])


def test_an_architecture_is_chosen_by_its_kind() -> None:
    chosen = apply_overrides(codec_config(), ['decoder.architecture={"kind": "mixer", "token_width": 24}'])
    assert chosen.decoder.architecture == MixerConfig(token_width=24)
    for setting, part in (
        ('{"kind": "transformer"}', "'convnext', 'mlp', 'mixer'"),
        ('{"kind": "mlp", "kernel_size": 3}', "decoder.architecture.mlp.kernel_size: unknown field"),
        ('{"width": 8}', "decoder.architecture: Unable to extract tag"),
    ):
        with pytest.raises(InputError) as raised:
            apply_overrides(codec_config(), [f"decoder.architecture={setting}"])
        assert part in str(raised.value)
        assert "\n" not in str(raised.value)


@every_architecture
def test_encoder_prior_and_decoder_follow_the_configuration(name: str) -> None:
    """Each its own: here the architecture in question, with another one in the decoder. Shapes only."""
    others = {"architecture": MixerConfig(width=9, num_blocks=1)}
    config = with_architecture(name).model_copy(update={"decoder": codec_config().decoder.model_copy(update=others)})

    def run(x: jax.Array, side: jax.Array, t: jax.Array) -> tuple[Any, ...]:
        model = build_model(config, TokenSpec(LINE, 4), 2, KEY)
        assert model.encoder is not None
        assert model.prior is not None
        kinds = [type(part.backbone) for part in (model.encoder, model.prior, model.decoder)]
        assert kinds == [type(filled(name)), type(filled(name)), MixerBackbone]
        codes = model.encode(x, side).codes
        condition = model.condition_of_codes(codes, side)
        return codes, condition.prediction, model.decoder(x, t, t, Conditioning(local=condition.features)).mean

    x, side, t = jnp.zeros((2, 7, 4)), jnp.zeros((2, 7, 2)), jnp.zeros(2)
    codes, prediction, velocity = jax.eval_shape(run, x, side, t)
    assert codes.shape == (2, 7, 4)
    assert prediction.features.shape == (2, 7, WIDTH)
    assert prediction.mean.shape == velocity.shape == x.shape


def test_each_configuration_builds_its_network() -> None:
    kinds = {name: type(filled(name)) for name in ARCHITECTURES}
    assert kinds == {
        "convnext": ConvNeXtBackbone,
        "convnext-grn": ConvNeXtBackbone,
        "mlp": MLPBackbone,
        "mixer": MixerBackbone,
    }


def test_only_networks_of_finite_reach_code_streams() -> None:
    assert context_of(CONVNEXT.model_copy(update={"num_blocks": 4, "kernel_size": 7})) == Context(12, 12)
    for name in SEGMENT_NETWORKS:
        with pytest.raises(InputError, match="segments of fixed length, not streams") as raised:
            context_of(ARCHITECTURES[name])
        assert "\n" not in str(raised.value)
        assert ARCHITECTURES[name].kind in str(raised.value)
