"""Checkpoints: what is written comes back, damage is noticed and the one before taken, and full disks lose nothing."""

import errno
import json
from collections.abc import Callable
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import orbax.checkpoint as ocp
import pytest
from fixtures.tiny_training import tiny

from meanflow_audio_codec.configs.experiment import ExperimentConfig
from meanflow_audio_codec.errors import InputError
from meanflow_audio_codec.trainers.checkpoint import Checkpoints
from meanflow_audio_codec.trainers.experiment import build_experiment
from meanflow_audio_codec.trainers.optimizer import make_optimizer
from meanflow_audio_codec.trainers.run_files.run_directory import (
    check_run_directory,
    complete_folder,
    disk_problems_told,
    only_one_process,
)
from meanflow_audio_codec.trainers.state import TrainState, initial_state


@pytest.fixture(scope="module")
def state() -> TrainState:
    return state_of(tiny())


def state_of(config: ExperimentConfig) -> TrainState:
    model = build_experiment(config, None).model
    return initial_state(model, make_optimizer(config.optimizer, 200, config.method, config.training.frozen_networks))


def at_step(state: TrainState, step: int) -> TrainState:
    """A state that tells its step in every number."""
    return jax.tree.map(lambda leaf: jnp.full_like(leaf, step), state)


def assert_same(restored: TrainState, expected: TrainState) -> None:
    leaves = (jax.tree_util.tree_leaves_with_path(each) for each in (restored, expected))
    for (path, leaf), (other, value) in zip(*leaves, strict=True):
        assert (path, leaf.dtype, leaf.shape) == (other, value.dtype, value.shape)
        np.testing.assert_array_equal(leaf, value)


def three(directory: Path, state: TrainState, keep: int = 3) -> Checkpoints:
    checkpoints = Checkpoints(directory, keep)
    for step in (10, 20, 30):
        checkpoints.save(at_step(state, step), {"best_objective": step / 10})
    return checkpoints


def test_a_state_comes_back_as_it_was(state: TrainState, tmp_path: Path) -> None:
    three(tmp_path / "some" / "where", state)
    restored, figures = Checkpoints(tmp_path / "some" / "where", 3).restore(state)
    assert figures == {"best_objective": 3.0}
    assert_same(restored, at_step(state, 30))


def test_only_the_newest_are_kept(state: TrainState, tmp_path: Path) -> None:
    checkpoints = three(tmp_path, state, keep=2)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["20", "30"]
    checkpoints.save(at_step(state, 30), {"best_objective": -1.0})  # once more
    assert sorted(path.name for path in tmp_path.iterdir()) == ["20", "30"]
    assert checkpoints.restore(state)[1] == {"best_objective": -1.0}


def flip_a_bit(folder: Path) -> None:
    path = folder / "state.safetensors"
    content = bytearray(path.read_bytes())
    content[-5] ^= 4
    path.write_bytes(content)


def cut(folder: Path) -> None:
    path = folder / "state.safetensors"
    path.write_bytes(path.read_bytes()[:-1000])


@pytest.mark.parametrize(
    ("damage", "reason"),
    [
        (flip_a_bit, "state.safetensors has another checksum"),
        (cut, "state.safetensors has another checksum"),
        (lambda folder: (folder / "figures.json").write_text("{}"), "figures.json has another checksum"),
        (lambda folder: (folder / "figures.json").unlink(), "figures.json is missing"),
        (lambda folder: (folder / "checksums.json").write_bytes(b""), "checksums.json cannot be read"),
        (lambda folder: (folder / "checksums.json").write_bytes(b"[]"), "state.safetensors has another checksum"),
        (lambda folder: [path.unlink() for path in folder.iterdir()], "checksums.json is missing"),
    ],
)
def test_a_damaged_checkpoint_is_told_and_the_one_before_taken(
    state: TrainState,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    damage: Callable[[Path], object],
    reason: str,
) -> None:
    checkpoints = three(tmp_path, state)
    damage(tmp_path / "30")
    restored, figures = checkpoints.restore(state)
    assert (int(restored.step), figures) == (20, {"best_objective": 2.0})
    warning = capsys.readouterr().err
    assert f"{tmp_path / '30'}: the checkpoint is damaged ({reason}" in warning
    assert warning.count("\n") == 1
    assert checkpoints.latest_step() == 20  # so that it is neither found again nor kept in place of a good one
    checkpoints.save(at_step(state, 25))
    assert checkpoints.latest_step() == 25


def test_no_good_checkpoint_is_an_error(state: TrainState, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no checkpoint here"):
        Checkpoints(tmp_path, 3).restore(state)
    three(tmp_path, state)
    for step in (10, 20, 30):
        flip_a_bit(tmp_path / str(step))
    with pytest.raises(InputError, match="all checkpoints are damaged"):
        Checkpoints(tmp_path, 3).restore(state)


def test_a_checkpoint_of_other_networks_is_refused(state: TrainState, tmp_path: Path) -> None:
    three(tmp_path, state)
    decoder = tiny().decoder.model_copy(update={"condition_width": 16})
    wider = state_of(tiny().model_copy(update={"decoder": decoder}))
    with pytest.raises(InputError, match="does not fit this configuration"):
        Checkpoints(tmp_path, 3).restore(wider)
    assert Checkpoints(tmp_path, 3).latest_step() == 30


@pytest.mark.parametrize("nth", [0, 1, 2, 3, 4])
def test_a_disk_that_is_full_costs_the_new_checkpoint_alone(
    state: TrainState, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, nth: int
) -> None:
    checkpoints = three(tmp_path, state)
    left, write = [nth], Path.write_bytes

    def full(path: Path, content: bytes) -> int:
        if not left[0]:
            write(path, content[: len(content) // 2])
            raise OSError(errno.ENOSPC, "No space left on device", str(path))
        left[0] -= 1
        return write(path, content)

    monkeypatch.setattr(Path, "write_bytes", full)
    if nth < 3:
        told = pytest.raises(InputError, match=r"40.*No space left on device.*same command goes on")
        with told, disk_problems_told(tmp_path):
            checkpoints.save(at_step(state, 40))
        assert sorted(path.name for path in tmp_path.iterdir()) == ["10", "20", "30"]
        assert int(checkpoints.restore(state)[0].step) == 30
    else:
        checkpoints.save(at_step(state, 40))
        assert int(checkpoints.restore(state)[0].step) == 40


def test_what_a_killed_program_left_is_removed(state: TrainState, tmp_path: Path) -> None:
    three(tmp_path, state)
    unfinished = tmp_path / ".40.123.tmp"
    unfinished.mkdir()
    (unfinished / "state.safetensors").write_bytes(b"half")
    assert Checkpoints(tmp_path, 3).latest_step() == 30
    assert not unfinished.exists()


def test_a_folder_is_there_whole_or_not_at_all(tmp_path: Path) -> None:
    def fails() -> None:
        with complete_folder(tmp_path / "model") as folder:
            (folder / "a").write_text("new")
            raise KeyError

    with pytest.raises(KeyError):
        fails()
    assert list(tmp_path.iterdir()) == []
    (tmp_path / "model").mkdir()
    (tmp_path / "model" / "README.md").write_text("mine")
    with complete_folder(tmp_path / "model") as folder:
        (folder / "a").write_text("new")
    assert {path.name: path.read_text() for path in (tmp_path / "model").iterdir()} == {"README.md": "mine", "a": "new"}


def test_checkpoints_of_earlier_versions_are_read(state: TrainState, tmp_path: Path) -> None:
    """As this program wrote them with orbax; the next one is one of ours, beside them."""
    leaves, _ = jax.tree_util.tree_flatten_with_path(at_step(state, 30))
    arrays = {jax.tree_util.keystr(path): np.asarray(leaf) for path, leaf in leaves}
    with ocp.CheckpointManager(tmp_path.resolve()) as manager:
        arguments = ocp.args.Composite(
            state=ocp.args.StandardSave(arrays), metrics=ocp.args.JsonSave({"best_objective": 0.5})
        )
        manager.save(30, args=arguments)
    checkpoints = Checkpoints(tmp_path, 2)
    restored, figures = checkpoints.restore(state)
    assert figures == {"best_objective": 0.5}
    assert_same(restored, at_step(state, 30))
    checkpoints.save(at_step(state, 40))
    assert int(checkpoints.restore(state)[0].step) == 40
    assert sorted(path.name for path in tmp_path.iterdir() if path.name.isdecimal()) == ["30", "40"]


def test_a_run_folder_below_a_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    for folder in (tmp_path / "file", tmp_path / "file" / "run", tmp_path / "file" / "a" / "b"):
        with pytest.raises(InputError, match=r"is a file, so .* cannot be a folder; choose another --run-dir"):
            check_run_directory(tiny(), folder)


def test_two_processes_do_not_train_in_one_folder(tmp_path: Path) -> None:
    def enter() -> None:
        with only_one_process(tmp_path):
            pass

    with only_one_process(tmp_path), pytest.raises(InputError, match="another process trains in it"):
        enter()
    enter()


def test_a_run_folder_with_a_name_that_is_too_long_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"too long.*; choose another --run-dir"):
        check_run_directory(tiny(), tmp_path / ("x" * 300))


def test_a_run_folder_that_was_left_at_its_first_file_is_new(tmp_path: Path) -> None:
    (tmp_path / f".config.json.{2**20}.tmp").write_text(json.dumps({})[:1])
    assert check_run_directory(tiny(), tmp_path) is None
