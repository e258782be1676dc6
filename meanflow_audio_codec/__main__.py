"""The command line: `meanflow-codec COMMAND ...`."""

import argparse
import sys
from importlib import import_module

from meanflow_audio_codec import __version__
from meanflow_audio_codec.commands.standard_streams import silence_standard_output
from meanflow_audio_codec.errors import InputError
from meanflow_audio_codec.processes.stop_signals import StoppedError, end_quietly, stop_by_exception

COMMANDS = {
    "demo": "encode and decode an example or your files; write sounds, bytes, picture and table",
    "encode": "audio files to .mfc files",
    "decode": ".mfc files to audio files",
    "verify": "check that .mfc files are whole and decode",
    "info": "what a .mfc file holds, or which models there are",
    "train": "train or resume an experiment",
    "evaluate": "score a codec on recordings, beside Opus if wanted",
    "sample": "draw from a generative model",
    "study": "run, list or report the cells of the study",
    "data": "list, download or pack data sets",
}


def main(argv: list[str] | None = None) -> int:
    """Run one command; bad input gives one line on standard error and exit code 2, a signal 128 and its number."""
    try:
        with stop_by_exception():
            return _command(argv)
    except StoppedError as error:
        return error.exit_code
    except KeyboardInterrupt:
        return 130
    finally:
        end_quietly()


def _command(argv: list[str] | None) -> int:
    parser = argparse.ArgumentParser(prog="meanflow-codec", description="A neural audio codec decoded by a mean flow.")
    parser.add_argument("--version", action="version", version=f"meanflow-codec {__version__}")
    subparsers = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    modules = {}
    for name, summary in COMMANDS.items():
        modules[name] = import_module(f"meanflow_audio_codec.commands.{name}")
        modules[name].add_arguments(subparsers.add_parser(name, help=summary, description=summary))
    arguments = parser.parse_args(argv)
    try:
        code = modules[arguments.command].run(arguments)
        sys.stdout.flush()  # here, where a reader that went away is noticed in good order
        return code
    except InputError as error:
        print(f"meanflow-codec {arguments.command}: {error}", file=sys.stderr)
        return 2
    except BrokenPipeError:
        silence_standard_output()
        return 1


if __name__ == "__main__":
    sys.exit(main())
