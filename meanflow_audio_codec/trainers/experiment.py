"""An experiment put together: data, tokens, method and networks of one configuration."""

from dataclasses import dataclass
from pathlib import Path

import jax
import jax.numpy as jnp

from meanflow_audio_codec.configs.experiment import ExperimentConfig
from meanflow_audio_codec.datasets.base import Dataset
from meanflow_audio_codec.datasets.build import build_dataset
from meanflow_audio_codec.errors import InputError
from meanflow_audio_codec.models.build import build_method, build_model
from meanflow_audio_codec.models.codec_model import CodecModel
from meanflow_audio_codec.models.methods.base import Method
from meanflow_audio_codec.preprocessing.normalization import build_normalizer, fit_normalizer
from meanflow_audio_codec.preprocessing.normalizer import TokenNormalizer
from meanflow_audio_codec.preprocessing.specs import SignalSpec
from meanflow_audio_codec.preprocessing.tokenizers import Tokenizer, build_tokenizer, segment_signal


@dataclass(frozen=True)
class Experiment:
    """What the training loop works on.

    `tokenizer` is that of the data's examples; `segment_tokenizer` that of the tokens the networks see at a time, which
    is the same unless the configuration cuts segments.
    """

    config: ExperimentConfig
    training_data: Dataset
    validation_data: Dataset
    tokenizer: Tokenizer
    segment_signal: SignalSpec
    segment_tokenizer: Tokenizer
    normalizer: TokenNormalizer
    method: Method
    model: CodecModel


def build_experiment(
    config: ExperimentConfig, data_directory: Path | None, normalizer_state: dict[str, list[float]] | None = None
) -> Experiment:
    """Read the data's shape, fit the normaliser (unless its state is given, on resuming), initialise the networks.

    Raises:
        InputError: the data cannot be found, or its labels or lengths do not fit the configuration.
    """
    training = config.training
    training_data, validation_data = (
        build_dataset(
            config.dataset,
            split,
            data_directory=data_directory,
            batch_size=training.batch_size,
            seed=training.seed,
        )
        for split in ("train", "valid")
    )
    if config.decoder.num_classes not in (0, training_data.num_classes):
        raise InputError(
            f"decoder.num_classes is {config.decoder.num_classes}, but the data has {training_data.num_classes} classes"
        )
    tokenizer = build_tokenizer(config.tokenizer, training_data.spec)
    segment, segment_tokenizer = training_data.spec, tokenizer
    if config.segment_tokens is not None:
        segment = segment_signal(config.tokenizer, training_data.spec, config.segment_tokens)
        segment_tokenizer = build_tokenizer(config.tokenizer, segment)
        if segment_tokenizer.spec.num_tokens > tokenizer.spec.num_tokens:
            raise InputError(
                f"segment_tokens is {config.segment_tokens}, but a crop has {tokenizer.spec.num_tokens} tokens: "
                "raise dataset.crop_samples"
            )
    if normalizer_state is None:
        # The same for all seeds: a constant of the data, not of the run.
        data = build_dataset(
            config.dataset, "train", data_directory=data_directory, batch_size=training.batch_size, seed=0
        )
        batches = (jnp.asarray(data.batch(step).signal) for step in range(config.normalization.fit_batches))
        tokens = (tokenizer.tokenize(batch) for batch in batches)
        normalizer_state = fit_normalizer(config.normalization, tokenizer.spec, data.spec, tokens)
    normalizer = build_normalizer(
        config.normalization, config.decoding, tokenizer.spec, training_data.spec, normalizer_state
    )
    num_tokens, block_frames = segment_tokenizer.spec.num_tokens, normalizer.block_frames
    if num_tokens % block_frames:
        raise InputError(
            f"{num_tokens} frames are trained on at once, no whole number of blocks of {block_frames}: "
            "choose dataset.crop_samples such that crop_samples / hop_length + 1 is one"
        )
    spec = segment_tokenizer.spec
    return Experiment(
        config,
        training_data,
        validation_data,
        tokenizer,
        segment,
        segment_tokenizer,
        normalizer,
        build_method(config.method),
        build_model(config, spec, len(normalizer.side_levels), jax.random.key(training.seed)),
    )
