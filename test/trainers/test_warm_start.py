"""Starting from another model's weights: what fits is taken, what has grown keeps its old block."""

import json
from pathlib import Path

import jax
import numpy as np
import pytest
from fixtures.tiny_models import AUDIO, codec_config, codec_folder, networks, scalable_folder, tiny_codec
from fixtures.tiny_training import tiny

from meanflow_audio_codec.configs.experiment import ExperimentConfig
from meanflow_audio_codec.configs.networks import FSQConfig
from meanflow_audio_codec.configs.recipes import recipe
from meanflow_audio_codec.configs.serialization import apply_overrides
from meanflow_audio_codec.configs.tokens import BlockGainShapeConfig
from meanflow_audio_codec.errors import InputError
from meanflow_audio_codec.inference.pretrained import load_pretrained, named_parameters, read_weights
from meanflow_audio_codec.models.codec_model import CodecModel
from meanflow_audio_codec.trainers.loop import train
from meanflow_audio_codec.trainers.warm_start import normalizer_to_keep, warm_start


def arrays(model: CodecModel) -> dict[str, np.ndarray]:
    return {name: np.asarray(array) for name, array in named_parameters(model).items()}


def with_digits(count: int) -> ExperimentConfig:
    return codec_config().model_copy(update={"bottleneck": FSQConfig(levels=(5,) * count)})


def with_finer_envelope(config: ExperimentConfig) -> ExperimentConfig:
    assert isinstance(config.normalization, BlockGainShapeConfig)
    points = [point.model_dump() for point in config.normalization.operating_points]
    points[0]["envelope_step_db"] = 6.0
    return apply_overrides(config, [f"normalization.operating_points={json.dumps(points)}"])


def test_weights_of_the_same_shapes_are_taken_whole():
    fresh = networks(codec_config(), AUDIO, 10, seed=5)
    start = warm_start(fresh, codec_folder())
    original = arrays(tiny_codec().pretrained.model)
    assert (start.whole, start.part, start.new) == (len(original), 0, 0)
    for name, array in arrays(start.model).items():
        np.testing.assert_array_equal(array, original[name])
        assert array.dtype == np.float32


@pytest.mark.parametrize("digits", [7, 2], ids=["grown", "shrunk"])
def test_arrays_of_another_size_take_the_block_that_both_have(digits):
    fresh = networks(with_digits(digits), AUDIO, 8, seed=5)
    before, original = arrays(fresh), arrays(tiny_codec().pretrained.model)
    start = warm_start(fresh, codec_folder())
    differing = {name for name in before if before[name].shape != original[name].shape}
    assert differing
    assert (start.whole, start.part, start.new) == (len(before) - len(differing), len(differing), 0)
    for name, array in arrays(start.model).items():
        block = tuple(slice(0, min(sizes)) for sizes in zip(array.shape, original[name].shape, strict=True))
        np.testing.assert_array_equal(array[block], original[name][block])
        outside = np.ones(array.shape, bool)
        outside[block] = False
        np.testing.assert_array_equal(array[outside], before[name][outside])
    # And the model that was given is as it was.
    for name, array in arrays(fresh).items():
        np.testing.assert_array_equal(array, before[name])


def test_arrays_that_the_other_model_lacks_stay_as_they_are():
    config = apply_overrides(codec_config(), ["decoder.velocity_head=true"])
    fresh = networks(config, AUDIO, 8, seed=5)
    before, original = arrays(fresh), read_weights(codec_folder())
    start = warm_start(fresh, codec_folder())
    added = before.keys() - original.keys()
    assert added
    assert start.new == len(added)
    for name in added:
        np.testing.assert_array_equal(arrays(start.model)[name], before[name])


def test_a_model_of_one_rate_starts_one_of_several():
    pretrained = load_pretrained(scalable_folder())
    start = warm_start(pretrained.model, codec_folder())
    assert start.new == 0
    assert start.whole > start.part > 0
    assert all(np.isfinite(array).all() for array in arrays(start.model).values())


def test_weights_keep_the_normaliser_that_they_were_trained_under() -> None:
    """The basis over bands is that of the gains, so it serves other operating points, not other bands."""
    pretrained = load_pretrained(scalable_folder())
    config, state = pretrained.config, pretrained.normalizer.state()
    assert normalizer_to_keep(config, scalable_folder()) == state
    finer = with_finer_envelope(config)
    assert normalizer_to_keep(finer, scalable_folder()) == state
    for other in ("num_bands=3", "fit_batches=7", "floor_db=-60"):
        assert normalizer_to_keep(apply_overrides(config, [f"normalization.{other}"]), scalable_folder()) is None
    assert normalizer_to_keep(apply_overrides(config, ["dataset.sample_rate=11025"]), scalable_folder()) is None


@pytest.mark.parametrize("name", ["speech-16k", "speech-16k-live", "audio-44k"])
def test_shipped_weights_keep_theirs_under_their_recipe(name) -> None:
    assert normalizer_to_keep(recipe(name), name) == load_pretrained(name).normalizer.state()


def test_a_frozen_encoder_accepts_no_other_normalisation() -> None:
    """Its codes would be others."""
    pretrained = load_pretrained(scalable_folder())
    frozen = apply_overrides(pretrained.config, ['training.frozen_networks=["encoder"]'])
    assert normalizer_to_keep(frozen, scalable_folder()) == pretrained.normalizer.state()
    for other in (with_finer_envelope(frozen), apply_overrides(frozen, ["normalization.fit_batches=7"])):
        with pytest.raises(InputError, match="another normalization"):
            normalizer_to_keep(other, scalable_folder())


def test_random_weights_are_not_frozen(tmp_path: Path) -> None:
    frozen = apply_overrides(codec_config(), ['training.frozen_networks=["encoder"]'])
    with pytest.raises(InputError, match="give a model by --init-from"):
        train(frozen, tmp_path / "run", None)
    assert not (tmp_path / "run").exists()


def test_no_model_and_damaged_weights_are_refused(tmp_path: Path):
    fresh = tiny_codec().pretrained.model
    with pytest.raises(InputError, match="neither a built-in model"):
        warm_start(fresh, tmp_path)
    for name in ("config.json", "model.safetensors"):
        (tmp_path / name).write_bytes((codec_folder() / name).read_bytes()[:1_000])
    with pytest.raises(InputError, match="cannot be read") as caught:
        warm_start(fresh, tmp_path)
    assert "\n" not in str(caught.value)


def test_training_starts_there_and_a_resumed_run_does_not_start_again(tmp_path: Path, capsys):
    """A learning rate of almost nothing shows where a run began."""
    source, run = tmp_path / "source", tmp_path / "run"
    short = {"num_steps": 4, "checkpoint_every": 2, "validate_every": 4, "validation_batches": 1, "ema_decay": 0.0}
    train(tiny(**short), source, None)
    capsys.readouterr()
    still = apply_overrides(tiny(**short), ["optimizer.learning_rate=1e-12", "training.seed=3"])
    state = train(still, run, None, initial_weights=source / "model")
    assert "start from" in capsys.readouterr().err
    stored = read_weights(source / "model")
    for name, array in arrays(state.model).items():
        np.testing.assert_allclose(array, stored[name].astype(np.float32), atol=1e-9)
    before = [np.asarray(leaf) for leaf in jax.tree.leaves(state)]
    # The same command again: the run's own checkpoint counts, and the weights need not even be there.
    resumed = train(still, run, None, initial_weights=tmp_path / "gone")
    assert "start from" not in capsys.readouterr().err
    for ours, expected in zip(jax.tree.leaves(resumed), before, strict=True):
        np.testing.assert_array_equal(ours, expected)
