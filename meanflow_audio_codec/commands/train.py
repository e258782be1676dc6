"""`meanflow-codec train`: train or resume an experiment."""

import argparse
import sys
from pathlib import Path


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments of this command."""
    parser.add_argument("--config", help="a recipe's name (see --list), or a .json file")
    parser.add_argument("--list", action="store_true", help="list the recipes and stop")
    parser.add_argument("--run-dir", type=Path, help="where checkpoints and logs go; an interrupted run goes on")
    parser.add_argument("--data-dir", type=Path, help="folder of the data sets (or set MEANFLOW_DATA_DIR)")
    parser.add_argument(
        "--init-from", metavar="MODEL", help="start from the weights of this model (built-in name or folder)"
    )
    parser.add_argument(
        "--set",
        dest="overrides",
        action="append",
        default=[],
        metavar="FIELD=VALUE",
        help="e.g. training.num_steps=100",
    )
    parser.add_argument("--show-config", action="store_true", help="print the resolved configuration and stop")


def run(arguments: argparse.Namespace) -> int:
    """Run the command."""
    from meanflow_audio_codec.configs.recipes import recipe, recipe_names
    from meanflow_audio_codec.configs.serialization import apply_overrides, read_config, to_json
    from meanflow_audio_codec.errors import InputError

    if arguments.list:
        print("\n".join(recipe_names()))
        return 0
    if arguments.config is None:
        raise InputError(f"--config: name a recipe ({', '.join(recipe_names())}) or a .json file")
    named_file = arguments.config.endswith(".json")
    config = read_config(Path(arguments.config)) if named_file else recipe(arguments.config)
    config = apply_overrides(config, arguments.overrides)
    if arguments.show_config:
        sys.stdout.write(to_json(config))
        return 0
    if arguments.run_dir is None:
        raise InputError("--run-dir: name a folder for checkpoints and logs, e.g. runs/" + config.name)

    from meanflow_audio_codec.processes.stop_signals import raise_stopped
    from meanflow_audio_codec.trainers.loop import TrainingDivergedError, train

    try:
        train(
            config,
            arguments.run_dir,
            arguments.data_dir,
            initial_weights=arguments.init_from,
            when_stopped=raise_stopped,
        )
    except TrainingDivergedError as error:
        sys.stderr.write(f"meanflow-codec train: {error}\n")
        return 1
    return 0
