"""The command line: `meanflow-codec COMMAND ...`."""

import argparse
import sys
from importlib import import_module

from meanflow_audio_codec import __version__
from meanflow_audio_codec.commands.standard_streams import prepare_standard_streams, settle_standard_streams, tell_error
from meanflow_audio_codec.errors import InputError
from meanflow_audio_codec.processes.stop_signals import StoppedError, end_quietly, stop_by_exception

COMMANDS = {
    "demo": "encode and decode an example or your files; write sounds, bytes, picture and table",
    "compare": "recordings in several versions on one page to listen to",
    "encode": "audio files to .mfc files",
    "decode": ".mfc files to audio files",
    "verify": "check that .mfc files are whole and decode",
    "info": "what a .mfc file holds, or which models there are",
    "train": "train or resume an experiment",
    "evaluate": "score a codec on recordings, beside Opus if wanted",
    "listen": "blind listening tests: build their pages, score their answers",
    "sample": "draw from a generative model",
    "study": "run, list or report the cells of the study",
    "data": "list, download or pack data sets",
}
PROGRAM = "meanflow-codec"


def main(argv: list[str] | None = None) -> int:
    """Run one command; bad input, a full disk or a full stream give one line on standard error and exit code 2.

    A signal that stops it gives 128 and its number.
    """
    prepare_standard_streams()
    name = PROGRAM
    try:
        with stop_by_exception():
            arguments, modules = _parse(argv)
            name = f"{PROGRAM} {arguments.command}"
            code = modules[arguments.command].run(arguments)
            _flush()  # here, where a reader that went away is noticed in good order
            return code
    except InputError as error:
        tell_error(name, str(error))
        return 2
    except BrokenPipeError:
        return 1
    except OSError as error:
        place = f"{error.filename}: " if error.filename else ""
        tell_error(name, f"{place}cannot be read or written ({error.strerror or error}): check files, streams and disk")
        return 2
    except StoppedError as error:
        return error.exit_code
    except KeyboardInterrupt:
        return 130
    finally:
        settle_standard_streams()
        end_quietly()


def _parse(argv: list[str] | None) -> tuple[argparse.Namespace, dict]:
    parser = argparse.ArgumentParser(prog=PROGRAM, description="A neural audio codec decoded by a mean flow.")
    parser.add_argument("--version", action="version", version=f"{PROGRAM} {__version__}")
    subparsers = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    modules = {}
    for name, summary in COMMANDS.items():
        modules[name] = import_module(f"meanflow_audio_codec.commands.{name}")
        modules[name].add_arguments(subparsers.add_parser(name, help=summary, description=summary))
    try:
        return parser.parse_args(argv), modules
    except SystemExit:
        _flush()  # of --help
        raise


def _flush() -> None:
    try:
        sys.stdout.flush()
    except BrokenPipeError:
        raise
    except OSError as error:
        raise InputError(f"standard output: cannot be written ({error.strerror or error})") from error


if __name__ == "__main__":
    sys.exit(main())
