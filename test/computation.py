"""What an experiment computes: its data, the shapes of its weights, and its programs as XLA would be given them."""

import hashlib
from collections.abc import Callable
from functools import cached_property
from typing import Any

import jax
import jax.numpy as jnp
import pytest

from meanflow_audio_codec.codec.generation import _guided, sampling_guidance_scale
from meanflow_audio_codec.codec.pretrained import PretrainedModel
from meanflow_audio_codec.codec.windows import WindowedNetworks
from meanflow_audio_codec.configs.experiment import ExperimentConfig
from meanflow_audio_codec.models.build import build_model
from meanflow_audio_codec.models.codec_model import CodecModel
from meanflow_audio_codec.models.conditioning import Conditioning
from meanflow_audio_codec.models.methods.sampling import sample
from meanflow_audio_codec.preprocessing.block_gain_shape import BlockGainShapeNormalizer
from meanflow_audio_codec.preprocessing.specs import TokenSpec
from meanflow_audio_codec.trainers import experiment as experiment_module
from meanflow_audio_codec.trainers.experiment import Experiment, build_experiment
from meanflow_audio_codec.trainers.loop import _labels
from meanflow_audio_codec.trainers.optimizer import make_optimizer
from meanflow_audio_codec.trainers.state import initial_state
from meanflow_audio_codec.trainers.step import LossFunction, make_loss, make_train_step


def loss_of(experiment: Experiment) -> LossFunction:
    return make_loss(
        experiment.tokenizer,
        experiment.segment_tokenizer,
        experiment.normalizer,
        experiment.method,
        experiment.config.training,
    )


def networks_of(experiment: Experiment) -> WindowedNetworks:
    """The networks as a codec runs them."""
    pretrained = PretrainedModel(
        name=experiment.config.name,
        config=experiment.config,
        signal=experiment.segment_signal,
        tokenizer=experiment.segment_tokenizer,
        normalizer=experiment.normalizer,
        method=experiment.method,
        model=experiment.model,
        entropy={},
        weights_hash=b"",
    )
    return WindowedNetworks(pretrained)


def program(function: Callable[..., Any], *arguments: Any) -> str:
    """What XLA is given, without what no output depends on; nothing is compiled."""
    return digest(jax.jit(function).lower(*arguments).as_text())


def digest(*contents: bytes | str) -> str:
    content = b"\0".join(each.encode() if isinstance(each, str) else each for each in contents)
    return hashlib.sha256(content).hexdigest()


class Computation:
    """The views of an experiment, each made when first asked for; equal views mean equal results."""

    def __init__(self, config: ExperimentConfig):
        self.config = config

    @cached_property
    def _assembled(self) -> tuple[Experiment, Any, jax.Array]:
        """The experiment with networks of shapes without values, the function that gives them values, and its key."""
        calls: list[tuple[Any, jax.Array]] = []

        def abstract_model(config: ExperimentConfig, spec: TokenSpec, side_channels: int, key: jax.Array) -> CodecModel:
            build = jax.jit(lambda key: build_model(config, spec, side_channels, key))
            calls.append((build, key))
            return build.eval_shape(key)

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(experiment_module, "build_model", abstract_model)
            experiment = build_experiment(self.config, None)
        return experiment, *calls[0]

    @property
    def experiment(self) -> Experiment:
        """All but the values of the weights.

        Raises:
            InputError: the configuration does not fit the data.
        """
        return self._assembled[0]

    @cached_property
    def _example(self) -> tuple[jax.Array, jax.Array | None]:
        """A training batch: signals, and labels if the networks use them."""
        batch = self.experiment.training_data.batch(0)
        return jnp.asarray(batch.signal), _labels(self.config, batch)

    @cached_property
    def data(self) -> str:
        """A training and a validation batch, and the fitted normaliser."""
        batches = [source.batch(0) for source in (self.experiment.training_data, self.experiment.validation_data)]
        arrays = [array for batch in batches for array in batch if array is not None]
        contents = [part for array in arrays for part in (str(array.shape), array.tobytes())]
        return digest(repr(self.experiment.normalizer.state()), *contents)

    @cached_property
    def weights(self) -> str:
        """Names and shapes of the weights."""
        leaves = jax.tree_util.tree_leaves_with_path(self.experiment.model)
        return str([(jax.tree_util.keystr(path), leaf.shape, leaf.dtype) for path, leaf in leaves])

    @cached_property
    def initialization(self) -> str:
        """Initial values of the weights, and the key they are drawn with."""
        _, build, key = self._assembled
        return program(build, key) + str(jax.random.key_data(key))

    @cached_property
    def decoding(self) -> str:
        """Codes or labels to signals, with the method's own number of steps, temperature and guidance."""
        experiment, config = self.experiment, self.config
        if isinstance(experiment.normalizer, BlockGainShapeNormalizer):
            return self._decoding_of_a_stream
        method, normalizer = experiment.method, experiment.normalizer
        signal, label = self._example
        spec = experiment.segment_tokenizer.spec
        shape = len(signal), spec.num_tokens
        bottleneck = experiment.model.bottleneck
        codes = None if bottleneck is None else jnp.zeros((*shape, len(bottleneck.levels)), jnp.int32)

        def decode(model: CodecModel, side: jax.Array, codes: jax.Array | None, noise: jax.Array) -> jax.Array:
            local = prediction = None
            if codes is not None:
                local, prediction = model.condition_of_codes(codes, normalizer.features(side))
            conditioning = Conditioning(label=label, local=local)
            tokens = sample(
                method,
                model.decoder,
                noise,
                _guided(config.method, conditioning, len(noise), sampling_guidance_scale(config.method)),
                num_steps=method.default_num_steps,
                temperature=method.default_temperature,
            )
            tokens = tokens if prediction is None else prediction.restore(tokens)
            return experiment.segment_tokenizer.detokenize(normalizer.denormalize(tokens, side))

        side = jnp.zeros((*shape, len(normalizer.side_levels)), jnp.int32)
        return program(decode, experiment.model, side, codes, jnp.zeros((*shape, spec.channels)))

    @property
    def _decoding_of_a_stream(self) -> str:
        networks, num_frames = networks_of(self.experiment), 32
        side = jnp.zeros((num_frames, len(networks.side_levels)), jnp.int32)
        codes = jnp.zeros((num_frames, len(networks.code_levels)), jnp.int32)

        def decode(model: CodecModel, *arguments: Any) -> jax.Array:
            return networks._core_coefficients(model, *arguments, num_steps=self.experiment.method.default_num_steps)

        temperature = jnp.float32(self.experiment.method.default_temperature)
        place = jax.random.key(0), jnp.array(0), temperature
        return program(decode, self.experiment.model, side, codes, *place) + str(temperature)

    @cached_property
    def loss(self) -> str:
        """The value of the training loss; the figures for the log do not count."""
        function = loss_of(self.experiment)

        def value(*arguments: Any) -> jax.Array:
            return function(*arguments)[0]

        return program(value, self.experiment.model, *self._example, jax.random.key(0), jnp.array(0))

    @cached_property
    def step(self) -> str:
        """The state after a training step; the figures for the log do not count."""
        config = self.config
        optimizer = make_optimizer(config.optimizer, config.training.num_steps, config.method)
        train_step = make_train_step(loss_of(self.experiment), optimizer, config.training)

        def state(model: CodecModel, *arguments: Any) -> Any:
            return train_step(initial_state(model, optimizer), *arguments)[0]

        return program(state, self.experiment.model, *self._example, jax.random.key(0))


# The cheapest that tell most first.
VIEWS = ("data", "weights", "decoding", "loss", "step", "initialization")


def changed_view(first: Computation, second: Computation) -> str | None:
    """The first view in which two experiments differ; None if they compute the same."""
    return next((view for view in VIEWS if getattr(first, view) != getattr(second, view)), None)
