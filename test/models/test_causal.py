"""Causal padding: no network sees a later frame, and what has no past is refused."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from fixtures.tiny_models import RATE, live_config, networks
from flax import nnx

from meanflow_audio_codec.codec.context import Context, context_of
from meanflow_audio_codec.configs.networks import ConvNeXtConfig
from meanflow_audio_codec.configs.recipes import recipe
from meanflow_audio_codec.configs.serialization import apply_overrides
from meanflow_audio_codec.errors import InputError
from meanflow_audio_codec.models.backbones.architectures import build_backbone
from meanflow_audio_codec.models.codec_model import CodecModel
from meanflow_audio_codec.models.conditioning import Conditioning
from meanflow_audio_codec.preprocessing.specs import SignalSpec

HOP = 160
NETWORK = ConvNeXtConfig(width=8, num_blocks=3, kernel_size=5, expansion=2, padding="causal")


def build(config: ConvNeXtConfig, num_frames: int) -> Any:
    # Compiled: one program for all initial values instead of one per parameter.
    return jax.jit(lambda key: build_backbone(config, (num_frames,), None, rngs=nnx.Rngs(params=key)))(
        jax.random.key(0)
    )


# Networks.


def frames_reached(function: Any, num_frames: int, frame: int) -> np.ndarray:
    """Input frames on which the output at `frame` depends, by the gradient of a random mixture of it."""
    random = np.random.default_rng(3)
    x = jnp.asarray(random.standard_normal((1, num_frames, NETWORK.width)), jnp.float32)
    mixture = jnp.asarray(random.standard_normal(NETWORK.width), jnp.float32)
    gradient = jax.jit(jax.grad(lambda x: function(x)[0, frame] @ mixture))(x)
    return np.flatnonzero(np.abs(np.asarray(gradient)).max(axis=(0, 2)))


@pytest.mark.parametrize(
    ("padding", "context"), [("causal", Context(past=12, future=0)), ("centred", Context(past=6, future=6))]
)
def test_the_gradient_reaches_exactly_the_context(padding: str, context: Context) -> None:
    config = NETWORK.model_copy(update={"padding": padding})
    assert context_of(config) == context
    backbone = build(config, 40)
    reached = frames_reached(lambda h: backbone(h, None), 40, 20)
    np.testing.assert_array_equal(reached, np.arange(20 - context.past, 20 + context.future + 1))


def test_padding_changes_no_parameter() -> None:
    """The same names, shapes and initial values: weights of one fit the other."""

    def values(padding: str) -> list[np.ndarray]:
        backbone = build(NETWORK.model_copy(update={"padding": padding}), 9)
        return [np.asarray(leaf) for leaf in jax.tree.leaves(nnx.state(backbone, nnx.Param))]

    for causal, centred in zip(values("causal"), values("centred"), strict=True):
        np.testing.assert_array_equal(causal, centred)


def test_encoder_prior_and_decoder_together_are_causal() -> None:
    """What comes later changes no bit of what came before, though it changes what comes then."""
    side_channels, num_frames, frame = 5, 12, 7
    model = networks(live_config(), SignalSpec(((num_frames - 1) * HOP,), RATE), side_channels)
    random = np.random.default_rng(0)
    x, side = (random.standard_normal((1, num_frames, size)).astype(np.float32) for size in (HOP, side_channels))

    @jax.jit
    def run(model: CodecModel, x: jax.Array, side: jax.Array) -> tuple[jax.Array, jax.Array]:
        assert model.encoder is not None
        condition = model.condition_of_codes(model.encode(x, side).codes, side)
        time = jnp.ones(1)
        return model.encoder(x, side), model.decoder(x, 0.0 * time, time, Conditioning(local=condition.features)).mean

    def changed(values: np.ndarray) -> np.ndarray:
        return np.concatenate([values[:, :frame], -2.0 * values[:, frame:]], axis=1)

    for one, other in zip(run(model, x, side), run(model, changed(x), changed(side)), strict=True):
        np.testing.assert_array_equal(one[:, :frame], other[:, :frame])
        assert (np.abs(one - other)[:, frame:].max(axis=(0, 2)) > 0.0).all()


# Configurations that cannot be causal.


@pytest.mark.parametrize(
    ("name", "settings", "message"),
    [
        ("mnist", ["decoder.architecture.padding=causal"], "decoder.architecture.padding causal needs frames in time"),
        (
            "mnist",
            [
                'dataset={"kind": "gaussian", "shape": [28, 28]}',
                "decoder.num_classes=0",
                'method={"kind": "flow-matching"}',
                "decoder.architecture.padding=causal",
            ],
            "decoder.architecture.padding causal needs frames in time",
        ),
        (
            "speech-16k-live",
            ["prior.architecture.response_normalization=true"],
            "response_normalization makes every frame depend on every other",
        ),
        ("speech-16k-live", ["prior.architecture.padding=left"], "'centred' or 'causal'"),
    ],
)
def test_what_cannot_be_causal_is_refused_in_one_line(name: str, settings: list[str], message: str) -> None:
    with pytest.raises(InputError) as raised:
        apply_overrides(recipe(name), settings)
    assert message in str(raised.value)
    assert "\n" not in str(raised.value)
