"""Training: it learns, resumes to the bit, stops and fails cleanly, logs, and exports what it trained."""

import json
import math
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from flax import nnx

from meanflow_audio_codec.codec.pretrained import load_pretrained
from meanflow_audio_codec.configs.data import GaussianConfig, SyntheticAudioConfig
from meanflow_audio_codec.configs.experiment import ExperimentConfig, OptimizerConfig, TrainingConfig
from meanflow_audio_codec.configs.methods import AutoencoderConfig
from meanflow_audio_codec.configs.networks import (
    ConvNeXtConfig,
    EncoderConfig,
    FSQConfig,
    PriorConfig,
    VelocityNetConfig,
)
from meanflow_audio_codec.configs.serialization import to_json
from meanflow_audio_codec.configs.tokens import (
    ChannelStatisticsConfig,
    GainShapeConfig,
    MDCTConfig,
    ReshapeConfig,
)
from meanflow_audio_codec.datasets.synthetic import SyntheticAudio
from meanflow_audio_codec.errors import InputError
from meanflow_audio_codec.models.build import build_method, build_model
from meanflow_audio_codec.models.codec_model import CodecModel
from meanflow_audio_codec.preprocessing.normalization import build_normalizer
from meanflow_audio_codec.preprocessing.tokenizers import build_tokenizer
from meanflow_audio_codec.trainers.checkpoint import Checkpoints
from meanflow_audio_codec.trainers.experiment import build_experiment
from meanflow_audio_codec.trainers.loop import TrainingDivergedError, train
from meanflow_audio_codec.trainers.optimizer import learning_rate_schedule, make_optimizer
from meanflow_audio_codec.trainers.state import TrainState, initial_state
from meanflow_audio_codec.trainers.step import make_loss, make_train_step

NETWORK = ConvNeXtConfig(width=16, num_blocks=1, kernel_size=3, expansion=2)


def tiny(optimizer: OptimizerConfig | None = None, **training: Any) -> ExperimentConfig:
    """Gaussian data of 2 tokens with 4 channels; 200 steps of a few milliseconds."""
    settings = {
        "num_steps": 200,
        "batch_size": 32,
        "ema_decay": 0.9,
        "log_every": 1,
        "validate_every": 40,
        "validation_batches": 8,
        "checkpoint_every": 50,
        "keep_checkpoints": 4,
    }
    return ExperimentConfig(
        name="tiny",
        dataset=GaussianConfig(shape=(8,), scale=0.5),
        tokenizer=ReshapeConfig(patch=4),
        normalization=ChannelStatisticsConfig(fit_batches=4),
        encoder=None,
        decoder=VelocityNetConfig(architecture=NETWORK, condition_width=8, num_time_frequencies=4),
        optimizer=optimizer or OptimizerConfig(learning_rate=1e-2, warmup_steps=10),
        training=TrainingConfig(**(settings | training)),
    )


@dataclass(frozen=True)
class Run:
    directory: Path
    state: TrainState


@pytest.fixture(scope="module")
def reference(tmp_path_factory: pytest.TempPathFactory) -> Run:
    """All 200 steps without interruption."""
    directory = tmp_path_factory.mktemp("reference") / "run"
    return Run(directory, train(tiny(), directory, None))


def entries(directory: Path) -> list[dict[str, Any]]:
    """The log, strictly: NaN and Infinity are not JSON."""

    def refuse(constant: str) -> None:
        raise AssertionError(f"{constant} in {directory}/metrics.jsonl")

    text = (directory / "metrics.jsonl").read_text(encoding="utf-8")
    return [json.loads(line, parse_constant=refuse) for line in text.splitlines()]


def reproducible(directory: Path) -> list[dict[str, Any]]:
    """The log without what depends on the clock and on the machine."""
    measured = {"steps_per_second", "peak_memory_mib"}
    return [{name: value for name, value in entry.items() if name not in measured} for entry in entries(directory)]


def assert_same_state(first: TrainState, second: TrainState) -> None:
    """Weights, averages, moments and counters, bit for bit."""
    pairs = zip(*(jax.tree_util.tree_leaves_with_path(state) for state in (first, second)), strict=True)
    for (path, left), (other_path, right) in pairs:
        assert path == other_path
        np.testing.assert_array_equal(left, right, err_msg=jax.tree_util.keystr(path))
        assert left.dtype == right.dtype


def assert_same_run(resumed: Run, reference: Run) -> None:
    assert_same_state(resumed.state, reference.state)
    assert reproducible(resumed.directory) == reproducible(reference.directory)
    weights = [(run.directory / "model" / "model.safetensors").read_bytes() for run in (resumed, reference)]
    assert weights[0] == weights[1]


# Learning.


def test_the_loss_falls_towards_the_known_minimum(reference: Run) -> None:
    """From E (e - x)^2 = 2 for a network that says zero, towards 1.79 = E Var(e - x | z_t) for white unit tokens."""
    objective = [entry["objective"] for entry in entries(reference.directory) if entry["kind"] == "validation"]
    assert len(objective) == 5
    assert objective[-1] == pytest.approx(1.79, abs=0.15)
    first = entries(reference.directory)[0]
    assert first["step"] == 1
    assert first["objective"] == pytest.approx(2.0, abs=0.3)
    assert first["objective"] == first["velocity_loss"]


def test_every_step_moves_every_weight_and_the_average(reference: Run) -> None:
    before = build_experiment(tiny(), None).model
    for state in (reference.state.model, reference.state.ema_model):
        moved = jax.tree.map(lambda old, new: bool((old != new).any()), before, state)
        assert all(jax.tree.leaves(moved))
    assert int(reference.state.step) == 200


# The log and the exported model.


def test_the_log_has_one_entry_per_step_and_validation(reference: Run) -> None:
    log = entries(reference.directory)
    assert [entry["step"] for entry in log if entry["kind"] == "train"] == list(range(1, 201))
    assert [entry["step"] for entry in log if entry["kind"] == "validation"] == [40, 80, 120, 160, 200]
    assert {"loss", "objective", "velocity_loss", "gradient_norm", "steps_per_second", "peak_memory_mib"} <= set(log[0])
    boards = list((reference.directory / "tensorboard").glob("events.out.tfevents.*"))
    assert len(boards) == 1
    assert boards[0].stat().st_size > 10_000


def test_the_run_directory_describes_itself(reference: Run) -> None:
    directory = reference.directory
    assert (directory / "config.json").read_text(encoding="utf-8") == to_json(tiny())
    state = json.loads((directory / "normalizer.json").read_text(encoding="utf-8"))
    np.testing.assert_allclose(state["scale"], 0.5, rtol=0.15)
    assert sorted(int(path.name) for path in (directory / "checkpoints").iterdir() if path.name.isdigit()) == [
        50,
        100,
        150,
        200,
    ]
    assert not list(directory.glob("**/*.tmp"))


def test_the_exported_model_is_the_best_average(reference: Run) -> None:
    """Weights to float16, normaliser and configuration exactly."""
    pretrained = load_pretrained(reference.directory / "model")
    assert pretrained.config == tiny()
    best = Checkpoints(reference.directory / "best", keep=1).restore(reference.state)[0]
    validations = [entry for entry in entries(reference.directory) if entry["kind"] == "validation"]
    assert int(best.step) == min(validations, key=lambda entry: entry["objective"])["step"]
    pairs = zip(jax.tree.leaves(pretrained.model), jax.tree.leaves(best.ema_model), strict=True)
    for stored, averaged in pairs:
        np.testing.assert_array_equal(stored, np.asarray(averaged).astype(np.float16).astype(np.float32))
    experiment = build_experiment(tiny(), None)
    assert pretrained.normalizer == experiment.normalizer
    assert pretrained.entropy == {}


# Interruption.


def test_a_run_cut_off_after_a_checkpoint_resumes_to_the_bit(reference: Run, tmp_path: Path) -> None:
    """As a power failure leaves it: later checkpoints lost, half a line in the log, half a checkpoint on the disk."""
    directory = tmp_path / "run"
    shutil.copytree(reference.directory, directory)
    shutil.rmtree(directory / "model")
    for step in (150, 200):
        shutil.rmtree(directory / "checkpoints" / str(step))
    unfinished = directory / "checkpoints" / "150.orbax-checkpoint-tmp" / "state"
    unfinished.mkdir(parents=True)
    (unfinished / "half").write_bytes(b"\0" * 100)
    log = directory / "metrics.jsonl"
    lines = log.read_text(encoding="utf-8").splitlines(keepends=True)
    log.write_text("".join(lines[:130]) + lines[130][:25], encoding="utf-8")
    assert_same_run(Run(directory, train(tiny(), directory, None)), reference)


def test_a_finished_run_stays_as_it_is(reference: Run, tmp_path: Path) -> None:
    """The same command again trains nothing and exports the same model."""
    directory = tmp_path / "run"
    shutil.copytree(reference.directory, directory)
    shutil.rmtree(directory / "model")
    assert_same_run(Run(directory, train(tiny(), directory, None)), reference)


def wait_for_step(directory: Path, step: int, still_running: Callable[[], bool]) -> None:
    """Until the log has an entry of this step."""
    log = directory / "metrics.jsonl"
    deadline = time.monotonic() + 300.0
    while not (log.exists() and log.read_bytes().count(b'"kind": "train"') >= step):
        assert still_running()
        assert time.monotonic() < deadline
        time.sleep(0.002)


def test_a_killed_process_resumes_to_the_bit(reference: Run, tmp_path: Path) -> None:
    """SIGKILL between two checkpoints, from the command line; resumed in another process."""
    directory, config = tmp_path / "run", tmp_path / "tiny.json"
    config.write_text(to_json(tiny()), encoding="utf-8")
    command = [sys.executable, "-m", "meanflow_audio_codec", "train", "--config", config, "--run-dir", directory]
    # At low priority, so that the watcher below is served first.
    process = subprocess.Popen(["nice", "-n", "10", *map(str, command)], stderr=subprocess.PIPE)
    try:
        wait_for_step(directory, 60, lambda: process.poll() is None)
    finally:
        process.kill()
        _, errors = process.communicate()
    assert process.returncode == -signal.SIGKILL, errors.decode()
    assert not (directory / "model").exists()
    assert_same_run(Run(directory, train(tiny(), directory, None)), reference)


@pytest.fixture
def safe_sigterm() -> Iterator[list[int]]:
    """Signals that reach the test itself, which would otherwise end it."""
    received: list[int] = []

    def handler(number: int, frame: object) -> None:
        received.append(number)

    previous = signal.signal(signal.SIGTERM, handler)
    yield received
    signal.signal(signal.SIGTERM, previous)


def test_a_termination_signal_stops_after_the_step_with_a_checkpoint(
    reference: Run, tmp_path: Path, safe_sigterm: list[int], capsys: pytest.CaptureFixture[str]
) -> None:
    directory = tmp_path / "run"

    def terminate() -> None:
        wait_for_step(directory, 20, lambda: True)
        os.kill(os.getpid(), signal.SIGTERM)

    thread = threading.Thread(target=terminate, daemon=True)
    thread.start()
    state = train(tiny(), directory, None)
    thread.join()
    stopped = int(state.step)
    assert safe_sigterm == []
    assert 20 <= stopped < 200
    assert f"stopped after step {stopped}" in capsys.readouterr().err
    assert_same_state(Checkpoints(directory / "checkpoints", keep=1).restore(state)[0], state)
    assert entries(directory)[-1]["step"] == stopped
    assert not (directory / "model").exists()
    os.kill(os.getpid(), signal.SIGTERM)  # the handler from before is back
    assert safe_sigterm == [signal.SIGTERM]
    assert_same_run(Run(directory, train(tiny(), directory, None)), reference)


# Failure.


def test_divergence_is_an_error_that_leaves_only_finite_checkpoints(tmp_path: Path) -> None:
    optimizer = OptimizerConfig(learning_rate=1e30, warmup_steps=0, schedule="constant")
    directory = tmp_path / "run"
    with pytest.raises(TrainingDivergedError) as raised:
        train(tiny(optimizer, checkpoint_every=2).model_copy(update={"method": AutoencoderConfig()}), directory, None)
    message = str(raised.value)
    assert "not finite after step 2" in message
    assert "there is no checkpoint yet" in message
    assert "lower optimizer.learning_rate" in message
    assert "\n" not in message
    assert not any(path.name.isdigit() for path in (directory / "checkpoints").iterdir())
    last = entries(directory)[-1]  # null, since JSON has no NaN
    assert last["step"] == 2
    assert None in last.values()


def test_a_directory_that_is_not_this_run_is_refused(reference: Run, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="run of another configuration"):
        train(tiny(num_steps=300), reference.directory, None)
    (tmp_path / "thesis.tex").write_text("important", encoding="utf-8")
    with pytest.raises(InputError, match="not empty and holds no training run"):
        train(tiny(), tmp_path, None)
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.tex"]


def test_labels_that_the_data_does_not_have_are_an_error(tmp_path: Path) -> None:
    config = tiny()
    decoder = config.decoder.model_copy(update={"num_classes": 5})
    with pytest.raises(InputError, match="num_classes is 5, but the data has 0 classes"):
        train(config.model_copy(update={"decoder": decoder}), tmp_path / "run", None)


# One step.


@pytest.fixture(scope="module")
def drawing_step() -> tuple[TrainState, Callable[..., Any]]:
    """A step whose loss pulls all weights to zero and logs a random number drawn with its key."""
    config = tiny(OptimizerConfig(learning_rate=1e-2, warmup_steps=0, schedule="constant"), ema_decay=0.5)
    optimizer = make_optimizer(config.optimizer, config.training.num_steps)

    def loss(
        model: CodecModel, signal: jax.Array, label: Any, key: jax.Array, step: jax.Array
    ) -> tuple[jax.Array, dict[str, jax.Array]]:
        return jnp.square(optax.tree.norm(model)), {"draw": jax.random.uniform(key)}

    return initial_state(build_experiment(config, None).model, optimizer), make_train_step(
        loss, optimizer, config.training
    )


def copied(state: TrainState) -> TrainState:
    """A step consumes the state it is given."""
    return jax.tree.map(jnp.copy, state)


def test_no_two_steps_draw_the_same_noise(drawing_step: tuple[TrainState, Callable[..., Any]]) -> None:
    """The draw depends on run key and step number alone, so a resumed run repeats none and changes none."""
    initial, step = drawing_step
    signal_batch = jnp.zeros((2, 8))

    def draws(state: TrainState, count: int, seed: int) -> tuple[TrainState, list[float]]:
        values = []
        for _ in range(count):
            state, metrics = step(state, signal_batch, None, jax.random.key(seed))
            values.append(float(metrics["draw"]))
        return state, values

    _, uninterrupted = draws(copied(initial), 6, 0)
    assert len(set(uninterrupted)) == 6
    halfway, first = draws(copied(initial), 3, 0)
    _, second = draws(halfway, 3, 0)
    assert first + second == uninterrupted
    _, other = draws(copied(initial), 6, 1)
    assert not set(other) & set(uninterrupted)


def test_the_average_follows_its_recurrence(drawing_step: tuple[TrainState, Callable[..., Any]]) -> None:
    """average <- d average + (1 - d) weights with d = min(decay, (1 + step) / (10 + step)), here 0.1, 2/11, 0.25."""
    initial, step = drawing_step
    state = copied(initial)
    expected = [np.asarray(leaf, np.float64) for leaf in jax.tree.leaves(initial.ema_model)]
    for number in range(3):
        state, _ = step(state, jnp.zeros((2, 8)), None, jax.random.key(0))
        decay = (1.0 + number) / (10.0 + number)
        weights = jax.tree.leaves(state.model)
        expected = [
            decay * average + (1.0 - decay) * np.asarray(leaf) for average, leaf in zip(expected, weights, strict=True)
        ]
    for average, leaf in zip(expected, jax.tree.leaves(state.ema_model), strict=True):
        np.testing.assert_allclose(leaf, average, rtol=1e-5, atol=1e-7)


# The optimiser.


def test_the_learning_rate_warms_up_and_decays() -> None:
    config = OptimizerConfig(learning_rate=0.2, warmup_steps=10, final_learning_rate_share=0.1)

    def rates(config: OptimizerConfig, *steps: int) -> list[float]:
        return [float(jnp.asarray(learning_rate_schedule(config, 110)(step))) for step in steps]

    np.testing.assert_allclose(rates(config, 0, 5, 10), [0.0, 0.1, 0.2], rtol=1e-6)
    halfway = 0.2 * (0.1 + 0.9 * 0.5 * (1.0 + math.cos(math.pi * 0.5)))
    np.testing.assert_allclose(rates(config, 60, 110, 500), [halfway, 0.02, 0.02], rtol=1e-5)
    constant = config.model_copy(update={"schedule": "constant", "warmup_steps": 0})
    np.testing.assert_allclose(rates(constant, 0, 1000), 0.2, rtol=1e-6)


def test_only_matrices_are_decayed_and_gradients_are_clipped() -> None:
    config = OptimizerConfig(
        learning_rate=0.1, warmup_steps=0, schedule="constant", weight_decay=0.5, max_gradient_norm=1.0
    )
    optimizer = make_optimizer(config, 10)
    weights = {"matrix": jnp.full((2, 2), 3.0), "bias": jnp.full(2, 3.0)}

    @jax.jit
    def update(value: float) -> Any:
        return optimizer.update(
            jax.tree.map(lambda leaf: jnp.full_like(leaf, value), weights), optimizer.init(weights), weights
        )

    updates, _ = update(0.0)
    np.testing.assert_allclose(updates["matrix"], -0.1 * 0.5 * 3.0, rtol=1e-6)
    np.testing.assert_array_equal(updates["bias"], 0.0)
    # First moment after a gradient of norm 490: (1 - beta1) times a gradient of norm 1.
    _, state = update(200.0)
    moments = [leaf for leaf in jax.tree.leaves(state) if leaf.ndim]
    assert float(optax.tree.norm(moments[: len(weights)])) == pytest.approx(0.1, rel=1e-5)


# The loss of a codec.


@pytest.mark.parametrize("detach", [False, True])
def test_the_decoder_trains_the_encoder_unless_detached(detach: bool) -> None:
    """Without the prior's own loss only the decoder's is left, through its local condition."""
    network = ConvNeXtConfig(width=8, num_blocks=1, kernel_size=3)
    config = ExperimentConfig(
        dataset=SyntheticAudioConfig(crop_samples=128),
        tokenizer=MDCTConfig(hop_length=32),
        normalization=GainShapeConfig(num_bands=4),
        encoder=EncoderConfig(architecture=network),
        bottleneck=FSQConfig(levels=(5, 4)),
        prior=PriorConfig(architecture=network),
        decoder=VelocityNetConfig(architecture=network, condition_width=8, num_time_frequencies=4),
        method=AutoencoderConfig(),
        training=TrainingConfig(prior_loss_weight=0.0, detach_condition=detach),
    )
    data = SyntheticAudio(sample_rate=16_000, crop_samples=128, batch_size=4)
    tokenizer = build_tokenizer(config.tokenizer, data.spec)
    normalizer = build_normalizer(config.normalization, tokenizer.spec, data.spec, {})
    random = np.random.default_rng(0)
    model = jax.tree.map(
        lambda leaf: jnp.asarray(0.3 * random.standard_normal(leaf.shape), jnp.float32),
        nnx.eval_shape(lambda: build_model(config, tokenizer.spec, 4, jax.random.key(0))),
    )
    loss = make_loss(tokenizer, tokenizer, normalizer, build_method(config.method), config.training)
    batch = jnp.asarray(data.batch(0).signal)
    gradient, metrics = jax.jit(jax.grad(loss, has_aux=True))(model, batch, None, jax.random.key(0), jnp.array(0))
    # An autoencoder's decoder starts from silence, z = 0: what multiplies z alone has no gradient, all else has.
    silent = {
        jax.tree_util.keystr(path)
        for path, leaf in jax.tree_util.tree_leaves_with_path(gradient.decoder)
        if not leaf.any()
    }
    assert silent == {".mean_head.gain.bias.value", ".mean_head.gain.kernel.value", ".project_in.kernel.value"}
    trained = [bool(leaf.any()) for leaf in jax.tree.leaves((gradient.encoder, gradient.prior.backbone))]
    assert not any(trained) if detach else all(trained)
    # Features alone reach the decoder: mean and scale are the regression's.
    assert not any(leaf.any() for leaf in jax.tree.leaves((gradient.prior.mean, gradient.prior.log_scale)))
    # Checkpoints are compared by the regression: the better it is, the whiter and harder what is left for the flow.
    of_prior = metrics["prior_squared_error"] + metrics["prior_scale_loss"]
    assert float(metrics["objective"]) == pytest.approx(float(of_prior), rel=1e-6)
    assert 0.0 < float(metrics["code_entropy_bits"]) < math.log2(5 * 4) + 1e-3
