"""Encoder, prior and decoder: what each input reaches, how far networks see, and what they are at the start."""

import sys
from collections.abc import Callable, Iterable
from dataclasses import replace
from typing import Any, Literal

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from meanflow_audio_codec.configs.data import AudioFolderConfig, GaussianConfig
from meanflow_audio_codec.configs.experiment import ExperimentConfig
from meanflow_audio_codec.configs.methods import GuidanceConfig, ImprovedMeanFlowConfig
from meanflow_audio_codec.configs.networks import (
    ConvNeXtConfig,
    EncoderConfig,
    FSQConfig,
    PriorConfig,
    VelocityNetConfig,
)
from meanflow_audio_codec.configs.recipes import recipe, recipe_names
from meanflow_audio_codec.configs.tokens import BlockGainShapeConfig, ChannelStatisticsConfig, ReshapeConfig
from meanflow_audio_codec.models.backbones.convnext import ConvNeXtBackbone
from meanflow_audio_codec.models.build import build_model, count_parameters, uses_guidance
from meanflow_audio_codec.models.codec_model import CodecModel
from meanflow_audio_codec.models.conditioning import Conditioning
from meanflow_audio_codec.models.embeddings import fourier_features
from meanflow_audio_codec.models.encoder import Encoder
from meanflow_audio_codec.models.methods.improved_mean_flow import ImprovedMeanFlow
from meanflow_audio_codec.models.methods.mean_velocity import mean_velocity_and_derivative
from meanflow_audio_codec.models.prior import GaussianPrior
from meanflow_audio_codec.models.velocity import SMALLEST_TIME, VelocityHead, VelocityNet
from meanflow_audio_codec.preprocessing.specs import SignalSpec, TokenSpec
from meanflow_audio_codec.preprocessing.tokenizers import build_tokenizer

TINY = ConvNeXtConfig(width=8, num_blocks=2, kernel_size=3)
LINE, SQUARE = TokenSpec((15,), 4), TokenSpec((3, 2), 4)
LOCAL = 5


def rngs() -> nnx.Rngs:
    return nnx.Rngs(params=jax.random.key(0))


def filled(build: Callable[[], Any], scale: float = 0.3) -> Any:
    """A module with every parameter random: zero-initialised layers would hide whatever lies behind them."""
    random = np.random.default_rng(1)
    skeleton = nnx.eval_shape(build)
    return jax.tree.map(lambda leaf: jnp.asarray(scale * random.standard_normal(leaf.shape), jnp.float32), skeleton)


def decoder(spec: TokenSpec = LINE, **settings: Any) -> VelocityNet:
    settings = {"architecture": TINY, "num_time_frequencies": 4, "condition_width": 8, "num_classes": 3} | settings
    return VelocityNet(VelocityNetConfig(**settings), spec, LOCAL, use_guidance=True, rngs=rngs())


def arguments(spec: TokenSpec = LINE) -> tuple[jax.Array, jax.Array, jax.Array, Conditioning]:
    z = jax.random.normal(jax.random.key(2), (2, spec.num_tokens, spec.channels))
    local = jax.random.normal(jax.random.key(3), (2, spec.num_tokens, LOCAL))
    conditioning = Conditioning(label=jnp.array([0, 2]), local=local, guidance=jnp.array([1.5, 2.0]))
    return z, jnp.array([0.1, 0.02]), jnp.array([0.7, 0.03]), conditioning


call = jax.jit(lambda module, *inputs: module(*inputs))


@pytest.fixture(scope="module")
def random_decoder() -> VelocityNet:
    return filled(lambda: decoder(velocity_head=True))


# The start of training.


def test_a_fresh_decoder_says_zero() -> None:
    velocity = call(decoder(velocity_head=True), *arguments())
    assert not velocity.mean.any()
    assert not velocity.instantaneous.any()


@pytest.mark.parametrize("output", ["velocity", "skip-velocity", "data"])
def test_a_fresh_head_says_zero_velocity_or_zero_data(output: Literal["velocity", "skip-velocity", "data"]) -> None:
    """With x = 0, u = (z - x) / max(t, SMALLEST_TIME)."""
    z, r, t, _ = arguments()
    head = VelocityHead(VelocityNetConfig(architecture=TINY, condition_width=8, output=output), 4, rngs=rngs())
    hidden, condition = jax.random.normal(jax.random.key(4), (2, 15, 8)), jnp.ones((2, 8))
    velocity = call(head, hidden, z, r, t, condition)
    assert float(t.min()) < SMALLEST_TIME < float(t.max())
    expected = z / np.maximum(t, SMALLEST_TIME)[:, None, None] if output == "data" else jnp.zeros_like(z)
    np.testing.assert_allclose(velocity, expected, rtol=1e-6)


def test_a_fresh_prior_says_unit_scale() -> None:
    prior = GaussianPrior(PriorConfig(architecture=TINY), LINE, LOCAL, rngs=rngs())
    assert not call(prior, arguments()[3].local).log_scale.any()


def test_fresh_conditional_blocks_are_the_identity() -> None:
    backbone = ConvNeXtBackbone(TINY, LINE.grid, 8, rngs=rngs())
    h, condition = jax.random.normal(jax.random.key(4), (2, 15, 8)), jnp.ones((2, 8))
    np.testing.assert_array_equal(call(backbone, h, condition), h)


def test_the_readings_of_the_last_layer() -> None:
    """The same raw output as u, as u less a gain on z or less that of Gaussian data, and as data x: u = (z - x) / t."""
    z, r, t, _ = arguments()
    hidden, condition = jax.random.normal(jax.random.key(4), (2, 15, 8)), jax.random.normal(jax.random.key(5), (2, 8))
    heads = {}
    for output in ("velocity", "skip-velocity", "data", "beyond-gaussian"):
        config = VelocityNetConfig(architecture=TINY, condition_width=8, output=output)
        heads[output] = filled(lambda config=config: VelocityHead(config, 4, rngs=rngs()))
        heads[output].norm, heads[output].project = heads["velocity"].norm, heads["velocity"].project
    raw = call(heads["velocity"], hidden, z, r, t, condition)
    assert np.abs(raw).min(axis=(0, 1)).max() > 0.0
    gain = heads["skip-velocity"].gain(condition)[:, None, :]
    assert np.abs(gain).min() > 0.0
    np.testing.assert_allclose(call(heads["skip-velocity"], hidden, z, r, t, condition), raw + gain * z, atol=1e-6)
    expected = (z - raw) / np.maximum(t, SMALLEST_TIME)[:, None, None]
    np.testing.assert_allclose(call(heads["data"], hidden, z, r, t, condition), expected, rtol=1e-5, atol=1e-5)
    sigma_r, sigma_t = (np.sqrt((1.0 - time) ** 2 + time**2)[:, None, None] for time in (r, t))
    expected = raw / sigma_t + (1.0 - sigma_r / sigma_t) / (t - r)[:, None, None] * z
    np.testing.assert_allclose(
        call(heads["beyond-gaussian"], hidden, z, r, t, condition), expected, rtol=1e-4, atol=1e-5
    )


# Conditions.


def test_every_input_of_the_decoder_changes_both_outputs(random_decoder: VelocityNet) -> None:
    z, r, t, conditioning = arguments()
    reference = call(random_decoder, z, r, t, conditioning)
    changed = {
        "z": (z + 0.1, r, t, conditioning),
        "r": (z, r + 0.01, t, conditioning),
        "t": (z, r, t + 0.01, conditioning),
        "label": (z, r, t, replace(conditioning, label=jnp.array([1, 1]))),
        "local": (z, r, t, replace(conditioning, local=jnp.cos(5.0 * z @ jnp.ones((4, LOCAL))))),
        "guidance": (z, r, t, conditioning.with_guidance(jnp.array([1.7, 2.2]))),
        "drop": (z, r, t, conditioning.with_drop(jnp.array([True, True]))),
    }
    for name, inputs in changed.items():
        for before, after in zip(reference, call(random_decoder, *inputs), strict=True):
            difference = np.abs(before - after).max(axis=(1, 2))
            assert (difference > 1e-5).all(), name


def test_a_dropped_label_is_the_null_label(random_decoder: VelocityNet) -> None:
    """And so is no label at all; dropping one example leaves the others alone."""
    z, r, t, conditioning = arguments()
    dropped = call(random_decoder, z, r, t, conditioning.with_drop(jnp.array([True, False])))
    nothing = call(random_decoder, z, r, t, replace(conditioning, label=None))
    null = call(random_decoder, z, r, t, replace(conditioning, label=jnp.array([3, 3])))
    kept = call(random_decoder, z, r, t, conditioning)
    np.testing.assert_allclose(nothing.mean, null.mean, atol=1e-6)
    np.testing.assert_allclose(dropped.mean[0], null.mean[0], atol=1e-6)
    np.testing.assert_allclose(dropped.mean[1], kept.mean[1], atol=1e-6)


def test_no_guidance_is_scale_one(random_decoder: VelocityNet) -> None:
    z, r, t, conditioning = arguments()
    one = call(random_decoder, z, r, t, conditioning.with_guidance(jnp.ones(2)))
    none = call(random_decoder, z, r, t, conditioning.with_guidance(None))
    np.testing.assert_allclose(one.mean, none.mean, atol=1e-6)


def test_a_decoder_of_a_codec_needs_its_local_features(random_decoder: VelocityNet) -> None:
    z, r, t, conditioning = arguments()
    with pytest.raises(ValueError, match="needs local features"):
        random_decoder(z, r, t, replace(conditioning, local=None))


def test_a_backbone_refuses_a_condition_it_was_not_built_for() -> None:
    backbone = ConvNeXtBackbone(TINY, LINE.grid, None, rngs=rngs())
    with pytest.raises(ValueError, match="without a condition"):
        backbone(jnp.zeros((1, 15, 8)), jnp.zeros((1, 8)))


def test_the_time_features_change_no_faster_than_their_highest_frequency() -> None:
    """|d/dt sin(w t)| <= w_max: this bounds du/dt."""
    t = jnp.linspace(0.0, 1.0, 200)
    slope = jax.jvp(lambda value: fourier_features(value, 6, 12.0), (t,), (jnp.ones_like(t),))[1]
    assert 11.9 < float(jnp.abs(slope).max()) <= 12.0 + 1e-4
    features = np.asarray(fourier_features(t, 6, 12.0))
    np.testing.assert_allclose(features[:, :6] ** 2 + features[:, 6:] ** 2, 1.0, atol=1e-5)


# How far networks see.


def test_the_receptive_field_is_what_windows_assume() -> None:
    """Exactly num_blocks * (kernel_size // 2) positions to each side, in encoder, prior and decoder.

    codec/windowed_networks.py gives each window this much context, so that it does not matter
    how a recording is cut.
    """
    config = ConvNeXtConfig(width=6, num_blocks=3, kernel_size=5)
    length, middle, reach = 19, 9, 6
    spec = TokenSpec((length,), 4)
    encoder = filled(lambda: Encoder(EncoderConfig(architecture=config), spec, 2, 3, rngs=rngs()))
    prior = filled(lambda: GaussianPrior(PriorConfig(architecture=config), spec, LOCAL, rngs=rngs()))
    decoder_config = VelocityNetConfig(architecture=config, num_time_frequencies=4, condition_width=8)
    net = filled(lambda: VelocityNet(decoder_config, spec, LOCAL, use_guidance=False, rngs=rngs()))
    times, side = jnp.array([0.5]), jnp.ones((1, length, 2))

    def of_middle(x: jax.Array, local: jax.Array) -> jax.Array:
        decoded = net(x, times, times, Conditioning(local=local)).mean
        outputs = (encoder(x, side), prior(local).mean, decoded)
        return jnp.sin(jnp.concatenate([out[0, middle] for out in outputs])).sum()

    x, local = (jax.random.normal(jax.random.key(k), (1, length, c)) for k, c in ((6, 4), (7, LOCAL)))
    for gradient in jax.jit(jax.grad(of_middle, argnums=(0, 1)))(x, local):
        seen = np.flatnonzero(np.abs(gradient[0]).max(axis=-1))
        np.testing.assert_array_equal(seen, np.arange(middle - reach, middle + reach + 1))


def test_the_backbone_shifts_with_its_input() -> None:
    """Away from the edges, by the reach; and any length is accepted on a line."""
    backbone = filled(lambda: ConvNeXtBackbone(TINY, LINE.grid, None, rngs=rngs()))
    h = jax.random.normal(jax.random.key(7), (1, 23, 8))
    out, of_shifted = call(backbone, h, None), call(backbone, jnp.roll(h, 4, axis=1), None)
    np.testing.assert_allclose(of_shifted[:, 6:-2], out[:, 2:-6], atol=1e-5)
    assert np.abs(of_shifted[:, 6:-2] - out[:, 6:-2]).max() > 0.1


# A whole model.


def codec_config() -> ExperimentConfig:
    return ExperimentConfig(
        dataset=GaussianConfig(shape=(24,)),
        tokenizer=ReshapeConfig(patch=4),
        normalization=ChannelStatisticsConfig(),
        encoder=EncoderConfig(architecture=TINY),
        bottleneck=FSQConfig(levels=(5, 4, 5)),
        prior=PriorConfig(architecture=TINY),
        decoder=VelocityNetConfig(architecture=TINY, num_time_frequencies=4, condition_width=8, velocity_head=True),
    )


def test_a_model_holds_parameters_only() -> None:
    """Every leaf of the pytree is a trainable float32 array, so that optax and jit treat the module as a whole."""
    model = build_model(codec_config(), LINE, 2, jax.random.key(0))
    assert isinstance(model, CodecModel)
    _, parameters, rest = nnx.split(model, nnx.Param, ...)
    assert not jax.tree.leaves(rest)
    leaves = jax.tree.leaves(model)
    assert len(leaves) == len(jax.tree.leaves(parameters))
    assert {leaf.dtype for leaf in leaves} == {jnp.dtype("float32")}
    assert count_parameters(model) == sum(leaf.size for leaf in leaves)


def test_the_initial_weights_follow_the_key() -> None:
    first, same, other = (jax.tree.leaves(build_model(codec_config(), LINE, 2, jax.random.key(k))) for k in (0, 0, 1))
    assert all(np.array_equal(a, b) for a, b in zip(first, same, strict=True))
    assert not all(np.array_equal(a, b) for a, b in zip(first, other, strict=True))


def test_the_number_of_parameters_of_a_block() -> None:
    """Per block: k taps, bias, norm (3 values, or a projection of the condition to 3), and a two-layer network."""
    width, kernel, expansion, condition = 8, 3, 3, 6
    for condition_width, norm in ((None, 3 * width), (condition, 3 * width * (condition + 1))):
        backbone = ConvNeXtBackbone(TINY, LINE.grid, condition_width, rngs=rngs())
        dense = expansion * width * (width + 1) + width * (expansion * width + 1)
        count = sum(leaf.size for leaf in jax.tree.leaves(backbone))
        assert count == 2 * (kernel * width + width + norm + dense)


def test_the_codes_alone_give_the_condition_that_training_saw() -> None:
    """Encoder side and decoder side of the same latent agree."""
    model = filled(lambda: build_model(codec_config(), LINE, 2, jax.random.key(0)), 0.5)
    x, side = jax.random.normal(jax.random.key(8), (2, 15, 4)), jnp.ones((2, 15, 2))
    encoded = jax.jit(lambda model, x: model.encode(x, side))(model, x)
    of_latent = jax.jit(lambda model, latent: model.condition(latent, side))(model, encoded.latent)
    of_codes = jax.jit(lambda model, codes: model.condition_of_codes(codes, side))(model, encoded.codes)
    np.testing.assert_array_equal(of_latent.features, of_codes.features)
    assert of_latent.prediction is not None
    standard = of_latent.prediction.standardize(x)
    np.testing.assert_allclose(of_latent.prediction.restore(standard), x, atol=1e-5)


def test_a_generative_model_refuses_to_encode() -> None:
    config = codec_config().model_copy(update={"encoder": None, "bottleneck": None, "prior": None})
    model = filled(lambda: build_model(config, LINE, 0, jax.random.key(0)))
    with pytest.raises(ValueError, match="cannot encode"):
        model.encode(jnp.zeros((1, 15, 4)), jnp.zeros((1, 15, 0)))
    with pytest.raises(ValueError, match="cannot decode codes"):
        model.condition_of_codes(jnp.zeros((1, 15, 3), jnp.int32), jnp.zeros((1, 15, 0)))


def one_block_decoder(spec: TokenSpec, **settings: Any) -> VelocityNet:
    config = VelocityNetConfig(
        architecture=TINY.model_copy(update={"num_blocks": 1}), num_time_frequencies=4, condition_width=8, **settings
    )
    return VelocityNet(config, spec, LOCAL, use_guidance=config.num_classes > 0, rngs=rngs())


def test_every_parameter_learns_from_the_derivative_on_a_line() -> None:
    """Derivative in time inside gradient inside compilation, and through the derivative as well."""
    net, (z, r, t, conditioning) = filled(lambda: one_block_decoder(LINE)), arguments()
    conditioning = Conditioning(local=conditioning.local)

    def loss(net: VelocityNet) -> jax.Array:
        u, du_dt, _ = mean_velocity_and_derivative(net, z, r, t, jnp.ones_like(z), conditioning)
        return jnp.mean((u + du_dt) ** 2)

    assert dead_leaves(jax.jit(jax.grad(loss))(net)) == []


def test_every_parameter_learns_from_the_whole_loss_on_a_square() -> None:
    """With velocity head, labels, guidance and local features."""
    method = ImprovedMeanFlow(ImprovedMeanFlowConfig(guidance=GuidanceConfig(max_scale=2.0, label_drop_rate=0.5)))
    net = filled(lambda: one_block_decoder(SQUARE, velocity_head=True, num_classes=3))
    x = jax.random.normal(jax.random.key(9), (8, SQUARE.num_tokens, SQUARE.channels))
    local = jax.random.normal(jax.random.key(10), (8, SQUARE.num_tokens, LOCAL))
    conditioning = Conditioning(label=jnp.arange(8) % 3, local=local)

    def loss(net: VelocityNet) -> jax.Array:
        return method.loss(net, x, conditioning, jnp.ones_like(x), jax.random.key(0))[0]

    assert dead_leaves(jax.jit(jax.grad(loss))(net)) == []


def test_every_parameter_of_encoder_and_prior_learns() -> None:
    """Through the rounding of the codes, by the regression; training through the decoder: test_training_step.py."""
    model = filled(lambda: build_model(codec_config(), LINE, 2, jax.random.key(0)))
    x, side = jax.random.normal(jax.random.key(8), (4, 15, 4)), jax.random.normal(jax.random.key(9), (4, 15, 2))

    def regression(model: CodecModel) -> jax.Array:
        prediction = model.condition(model.encode(x, side).latent, side).prediction
        assert prediction is not None
        return prediction.squared_error(x, jnp.ones_like(x)) + prediction.scale_loss(x, jnp.ones_like(x))

    gradient = jax.jit(jax.grad(regression))(model)
    assert dead_leaves(gradient.encoder) == []
    assert dead_leaves(gradient.prior) == []


def dead_leaves(gradient: Any) -> list[str]:
    """Paths of parameters whose gradient is zero or not finite somewhere."""
    leaves: Iterable[tuple[Any, jax.Array]] = jax.tree_util.tree_flatten_with_path(gradient)[0]
    return [jax.tree_util.keystr(path) for path, leaf in leaves if not (jnp.isfinite(leaf).all() and leaf.any())]


@pytest.mark.parametrize("name", recipe_names())
def test_the_recipes_build_and_fit_a_wheel(name: str) -> None:
    """Shapes only. Two bytes per parameter: a model that comes with the package must stay small."""
    config = recipe(name)
    shape = (config.dataset.crop_samples,) if isinstance(config.dataset, AudioFolderConfig) else (28, 28)
    spec = build_tokenizer(config.tokenizer, SignalSpec(shape)).spec
    side = config.normalization.num_bands + 2 if isinstance(config.normalization, BlockGainShapeConfig) else 0
    model = nnx.eval_shape(lambda: build_model(config, spec, side, jax.random.key(0)))
    count = count_parameters(model)
    sys.stdout.write(f"{name}: {count:,} parameters\n")
    assert 100_000 < count < 20_000_000
    assert uses_guidance(config.method) == (config.decoder.num_classes > 0)
