"""The cells of the study, what they cost, and the runner that works through them."""

import csv
import json
import os
import signal
import subprocess
import sys
import time
from collections import Counter
from itertools import product
from pathlib import Path

import numpy as np
import pytest

from meanflow_audio_codec.__main__ import main
from meanflow_audio_codec.configs.networks import MLPConfig
from meanflow_audio_codec.errors import InputError
from meanflow_audio_codec.study.cells import (
    ARCHITECTURES,
    LEVELS,
    METHODS,
    TOKENIZATIONS,
    StudyCell,
    all_cells,
    codec_cells,
)
from meanflow_audio_codec.study.compute import flops_per_step, num_parameters
from meanflow_audio_codec.study.config_hash import config_hash
from meanflow_audio_codec.study.results import IDENTITY, Shard, append_rows, identity, read_rows
from meanflow_audio_codec.study.running.runner import runs_of


def cell(method: str = "autoencoder", architecture: str = "mlp", dataset: str = "mnist") -> StudyCell:
    return next(
        c
        for c in codec_cells("smoke")
        if (c.method, c.architecture, c.tokenization, c.dataset) == (method, architecture, "reshape", dataset)
    )


@pytest.mark.parametrize("preset", ["smoke", "small", "full"])
def test_the_48_cells_are_the_product_of_the_axes(preset: str) -> None:
    cells = codec_cells(preset)  # pyright: ignore[reportArgumentType]
    axes = [(c.method, c.architecture, c.tokenization, c.dataset) for c in cells]
    assert sorted(axes) == sorted(product(METHODS, ARCHITECTURES, TOKENIZATIONS, ("mnist", "audio")))
    every = all_cells(preset)  # pyright: ignore[reportArgumentType]
    assert len({c.name for c in every}) == len(every)
    assert [c for c in every if c.task == "codec" and c.method in METHODS] == cells


def test_each_cell_trains_its_own_method() -> None:
    """The earlier attempt's mean flow cells trained flow matching."""
    for c in all_cells("small"):
        assert c.method.startswith(c.config(0).method.kind)
        assert c.config(0).tokenizer.kind == c.tokenization
        assert c.config(0).decoder.architecture.kind == c.architecture.replace("convnet", "convnext")
    assert len({config_hash(c.config(seed)) for c in all_cells("small") for seed in (0, 1)}) == 2 * len(
        all_cells("small")
    )


@pytest.mark.parametrize("preset", ["small", "full"])
def test_parameters_match_within_a_dataset(preset: str) -> None:
    """Networks of a task and dataset have the same size within 5 %, whatever architecture and tokenization.

    The sizes are printed: `pytest -s -k parameters_match`.
    """
    sizes: dict[tuple[str, str], dict[str, int]] = {}
    for c in all_cells(preset):  # pyright: ignore[reportArgumentType]
        if c.task in ("codec", "generation") and c.method == "improved-mean-flow":
            sizes.setdefault((c.task, c.dataset), {})[f"{c.architecture} {c.tokenization}"] = num_parameters(
                c.config(0)
            )
    for group, counts in sizes.items():
        sys.stdout.write(f"{preset} {' '.join(group)} {counts}\n")
        assert len(counts) == 6
        assert max(counts.values()) < 1.05 * min(counts.values())


def test_methods_of_a_column_share_everything_but_the_method() -> None:
    columns: dict[tuple[str, ...], list[dict]] = {}
    for c in codec_cells("small"):
        config = c.config(0).model_dump(exclude={"name", "method"})
        columns.setdefault((c.architecture, c.tokenization, c.dataset), []).append(config)
    assert all(config == configs[0] for configs in columns.values() for config in configs)
    parameters = {num_parameters(cell(method).config(0)) for method in METHODS}
    assert len(parameters) == 1


def test_tokenizations_cost_equal_bits() -> None:
    """Of images all bits are codes: 25 blocks or 16 patches."""
    for rate in (0, 1):
        blocks = 25 * np.log2(LEVELS["mnist", "mdct"][rate]).sum()
        patches = 16 * np.log2(LEVELS["mnist", "reshape"][rate]).sum()
        assert blocks == pytest.approx(patches, rel=0.015)


def test_operations_are_counted_in_closed_form() -> None:
    """An MLP autoencoder: every matrix product forwards, and twice backwards unless its input is data.

    At the sizes of `small` what is done value by value does not count beside them.
    """
    c = next(c for c in codec_cells("small") if c.name == "codec-autoencoder-mlp-reshape-mnist")
    config = c.config(0)
    assert config.encoder is not None
    encoder_size, decoder_size = config.encoder.architecture, config.decoder.architecture
    assert isinstance(encoder_size, MLPConfig)
    assert isinstance(decoder_size, MLPConfig)
    batch, tokens, channels, codes, width = config.training.batch_size, 16, 49, 3, encoder_size.width

    def shared(size: MLPConfig) -> int:
        """Project in and out, and the blocks."""
        return 2 * tokens * width * size.hidden_width + size.num_blocks * 2 * size.expansion * size.hidden_width**2

    first = tokens * channels * width
    encoder = shared(encoder_size) + tokens * width * codes
    condition = config.decoder.condition_width
    embedding = condition * (2 * 2 * config.decoder.num_time_frequencies + condition)
    modulation = decoder_size.num_blocks * decoder_size.hidden_width * 3 * condition
    # Local features in, tokens out; the decoder's own input is zero but multiplied all the same.
    decoder = shared(decoder_size) + tokens * codes * width + tokens * width * channels + modulation
    forward = first + encoder + first + decoder + embedding
    counted = flops_per_step(config) / 2 / batch
    assert 2.5 * forward < counted <= 3.0 * forward


def test_runs_are_split_over_shards_without_gap_or_overlap() -> None:
    cells = codec_cells("small")
    every = runs_of(cells, None, Shard())
    assert Counter(run.seed for run in every) == {0: 48, 1: 16, 2: 16}
    assert [run.seed for run in every] == sorted(run.seed for run in every)
    parts = [runs_of(cells, None, Shard(index, 3)) for index in (1, 2, 3)]
    assert Counter(run for part in parts for run in part) == Counter(every)


def test_tables_survive_a_line_cut_short(tmp_path: Path) -> None:
    columns = (*IDENTITY, "seed", "reason")
    rows = [identity(cell(method)) | {"seed": 0, "reason": 'with "quotes",\nand a line'} for method in METHODS]
    append_rows(tmp_path / "results.csv", columns, rows[:2])
    append_rows(tmp_path / "results-1-of-2.csv", columns, rows[2:])
    with (tmp_path / "results.csv").open("ab") as file:
        file.write(b"smoke,codec,mean-fl")
    read = read_rows(tmp_path, "results")
    assert sorted(row["method"] for row in read) == sorted(METHODS)
    assert {row["reason"] for row in read} == {'with "quotes", and a line'}
    (tmp_path / "results-2-of-2.csv").write_text("a,b\n1,2\n")
    with pytest.raises(InputError, match="not a table of the study"):
        read_rows(tmp_path, "results")


def run(*arguments: str) -> int:
    """The command in this process, which has imported JAX already; the cells have processes of their own anyway."""
    return main(["study", *arguments])


ONE_CELL = ("--preset", "smoke", "--architecture", "mlp", "--dataset", "mnist", "--tokenization", "reshape")


def test_a_run_is_scored_skipped_and_recorded_when_it_fails(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """One cell from the command line: its row is complete; again, nothing is left to do; a failure does not hide."""
    command = ("run", *ONE_CELL, "--method", "autoencoder", "--output-dir", str(tmp_path / "out"))
    assert run(*command) == 0
    (row,) = read_rows(tmp_path / "out", "results")
    assert (row["status"], row["method"], row["dataset"]) == ("finished", "autoencoder", "mnist")
    assert float(row["bits_per_item"]) == 8 * np.ceil(float(row["code_bits_per_item"]) / 8)
    for column in ("mse", "ssim", "frechet_distance", "training_seconds", "peak_memory_mib", "num_parameters"):
        assert float(row[column]) > 0
    items = np.load(tmp_path / "out" / "items" / f"{row['name']}-seed0.npz")
    assert items["mse"].mean() == pytest.approx(float(row["mse"]), rel=1e-4)

    capsys.readouterr()
    assert run(*command) == 0
    assert "0 of 1 runs to do" in capsys.readouterr().err
    assert len(read_rows(tmp_path / "out", "results")) == 1

    # A file where the next cell's run should be: that cell fails, with its reason, and the others are run.
    other = cell("flow-matching")
    blocked = tmp_path / "out" / "cells" / f"{other.name}-seed0-{config_hash(other.config(0))[:8]}"
    (blocked / "checkpoints").mkdir(parents=True)
    (blocked / "config.json").write_text(json.dumps(other.config(0).model_dump(mode="json")))
    (blocked / "normalizer.json").write_text("[broken")
    assert run("run", *ONE_CELL, "--method", "flow-matching", "--method", "mean-flow", *command[-2:]) == 1
    statuses = {row["method"]: row["status"] for row in read_rows(tmp_path / "out", "results")}
    assert statuses == {"autoencoder": "finished", "flow-matching": "failed", "mean-flow": "finished"}


def test_an_interrupted_run_goes_on(tmp_path: Path) -> None:
    """Stopped while its only cell is at work, the runner leaves no row; the same command then finishes it."""
    command = ["run", *ONE_CELL, "--method", "autoencoder", "--output-dir", str(tmp_path)]
    process = subprocess.Popen(
        [sys.executable, "-m", "meanflow_audio_codec", "study", *command], stderr=subprocess.PIPE, text=True
    )
    deadline = time.monotonic() + 120
    while not list(tmp_path.glob("cells/*/config.json")) and time.monotonic() < deadline:
        time.sleep(0.05)
    # Not an interrupt: a process that a shell started in the background ignores it.
    process.send_signal(signal.SIGTERM)
    process.communicate(timeout=120)
    assert process.returncode != 0
    assert read_rows(tmp_path, "results") == []
    assert run(*command) == 0
    assert len(read_rows(tmp_path, "results")) == 1


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["run", "--shard", "3/2"], "--shard 3/2: write it as I/N"),
        (["run", "--shard", "0/2"], "--shard 0/2"),
        (["run", "--jobs", "0"], "--jobs must be at least 1, not 0"),
        (["run", "--seeds", "0"], "--seeds must be at least 1"),
        (["run", "--method", "gan"], "--method gan: choose from adversarial, autoencoder"),
        (["list", "--architecture", "mlp", "--method", "adversarial"], "no cell has all these properties"),
    ],
)
def test_bad_arguments_are_named(arguments: list[str], message: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["study", *arguments]) == 2
    captured = capsys.readouterr()
    assert message in captured.err
    assert captured.err.count("\n") == 1


def test_list_prints_cells_as_json(capsys: pytest.CaptureFixture[str]) -> None:
    options = ["--preset", "smoke", "--architecture", "mlp", "--task", "codec", "--json"]
    assert main(["study", "list", *options]) == 0
    rows = json.loads(capsys.readouterr().out)
    assert len(rows) == 16
    assert {row["method"] for row in rows} == set(METHODS)
    assert all(row["flops_per_step"] > 0 and row["config"]["method"]["kind"] == row["method"] for row in rows)


def test_results_can_be_read_as_csv(tmp_path: Path) -> None:
    append_rows(tmp_path / "results.csv", (*IDENTITY, "seed"), [identity(cell()) | {"seed": 3}])
    with (tmp_path / "results.csv").open(newline="") as file:
        (row,) = csv.DictReader(file)
    assert row["seed"] == "3"
    with pytest.raises(ValueError, match="no column mistake"):
        append_rows(tmp_path / "results.csv", IDENTITY, [{"mistake": 1}])
    with pytest.raises(InputError, match="other columns"):
        append_rows(tmp_path / "results.csv", IDENTITY, [identity(cell())])
    assert os.listdir(tmp_path) == ["results.csv"]
