"""`meanflow-codec study`: run the cells of the study, list them, or write the report."""

import argparse
import json
import sys
from pathlib import Path

from meanflow_audio_codec.commands.shared_arguments import add_json
from meanflow_audio_codec.errors import InputError

FILTERS = ("task", "method", "architecture", "tokenization", "dataset")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments of this command."""
    actions = parser.add_subparsers(dest="action", required=True, metavar="ACTION")
    run_parser = actions.add_parser("run", help="train and score cells; finished ones are skipped")
    _add_selection(run_parser)
    run_parser.add_argument("--output-dir", type=Path, help="folder of the results (default runs/study/PRESET)")
    run_parser.add_argument("--data-dir", type=Path, help="folder of the data sets (or set MEANFLOW_DATA_DIR)")
    run_parser.add_argument("--seeds", type=int, help="seeds of every cell (default: the preset's, 1 or 3)")
    run_parser.add_argument("--jobs", type=int, default=1, help="processes; they share the cores")
    run_parser.add_argument("--shard", default="1/1", metavar="I/N", help="part I of N of the runs, from 1")
    run_parser.add_argument(
        "--task",
        action="append",
        default=[],
        help="codec (default: the 48 cells), codec-high-rate, codec-learning-rate, codec-low-learning-rate, "
        "codec-ablation, generation, generation-ablation, or all",
    )
    list_parser = actions.add_parser("list", help="every cell with its configuration, parameters and cost")
    _add_selection(list_parser)
    list_parser.add_argument("--task", action="append", default=[], help="as for run (default: all)")
    add_json(list_parser)
    report_parser = actions.add_parser("report", help="tables, figures and a page from the results")
    report_parser.add_argument("--results-dir", type=Path, required=True, help="--output-dir of `study run`")
    report_parser.add_argument("--output-dir", type=Path, required=True, help="folder of the report")


def _add_selection(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--preset", default="small", choices=("smoke", "small", "full"), help="(default small)")
    for axis in ("method", "architecture", "tokenization", "dataset"):
        parser.add_argument(f"--{axis}", action="append", default=[], help=f"only this {axis}; may be repeated")


def run(arguments: argparse.Namespace) -> int:
    """Run the command."""
    match arguments.action:
        case "run":
            return _run(arguments)
        case "list":
            return _list(arguments)
        case _:
            from meanflow_audio_codec.study.report.build import write_report

            write_report(arguments.results_dir, arguments.output_dir)
            print(f"{arguments.output_dir / 'report.html'}\n{arguments.output_dir / 'report.md'}")
            return 0


def _run(arguments: argparse.Namespace) -> int:
    from meanflow_audio_codec.study.cells import METHODS
    from meanflow_audio_codec.study.results import Shard
    from meanflow_audio_codec.study.running.runner import run_study, runs_of

    for name in ("jobs", "seeds"):
        value = getattr(arguments, name)
        if value is not None and value < 1:
            raise InputError(f"--{name} must be at least 1, not {value}")
    index, separator, count = arguments.shard.partition("/")
    if not (separator and index.isdecimal() and count.isdecimal() and 1 <= int(index) <= int(count)):
        raise InputError(f"--shard {arguments.shard}: write it as I/N with 1 <= I <= N, e.g. 2/8")
    if not arguments.task:
        arguments.task = ["codec"]
        arguments.method = arguments.method or list(METHODS)
    cells = _selected(arguments)
    shard = Shard(int(index), int(count))
    directory = arguments.output_dir or Path("runs") / "study" / arguments.preset
    success = run_study(
        runs_of(cells, arguments.seeds, shard),
        directory,
        arguments.data_dir,
        jobs=arguments.jobs,
        shard=shard,
        report=lambda line: print(line, file=sys.stderr, flush=True),
    )
    print(directory / f"results{shard.suffix}.csv")
    return 0 if success else 1


def _list(arguments: argparse.Namespace) -> int:
    from rich.console import Console
    from rich.progress import track

    from meanflow_audio_codec.study.listing import describe

    cells = _selected(arguments)
    console = Console(stderr=True)
    hidden = not console.is_terminal
    shown = track(cells, "counting operations", console=console, transient=True, disable=hidden)
    rows = [describe(cell) for cell in shown]
    if arguments.json:
        print(json.dumps(rows))
        return 0
    for row in rows:
        print(
            f"{row['name']}\n  {row['num_parameters']:,} parameters, {row['flops_per_step'] / 1e9:.2f} GFLOP per step, "
            f"{row['num_steps']} steps, about {row['estimated_seconds']:.0f} s on one core, "
            f"{row['num_seeds']} seed(s)\n"
            f"  {row['summary']}"
        )
    codec = sum(row["task"] == "codec" and row["method"] != "adversarial" for row in rows)
    print(f"{len(rows)} cells, {codec} of them the codec cells of the four methods")
    return 0


def _selected(arguments: argparse.Namespace) -> list:
    """The cells that all filters keep.

    Raises:
        InputError: a filter names nothing there is, or nothing is left.
    """
    from meanflow_audio_codec.study.cells import all_cells

    cells = every = all_cells(arguments.preset)
    for axis in FILTERS:
        wanted = getattr(arguments, axis)
        if not wanted or "all" in wanted:
            continue
        known = sorted({getattr(cell, axis) for cell in every})
        unknown = [value for value in wanted if value not in known]
        if unknown:
            raise InputError(f"--{axis} {unknown[0]}: choose from {', '.join(known)}")
        cells = [cell for cell in cells if getattr(cell, axis) in wanted]
    if not cells:
        raise InputError("no cell has all these properties; `meanflow-codec study list` shows all")
    return cells
