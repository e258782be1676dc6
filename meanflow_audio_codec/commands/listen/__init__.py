"""`meanflow-codec listen`: pages of blind listening tests, and the scores of their answers."""

import argparse
import json
from pathlib import Path
from typing import Any

from meanflow_audio_codec.commands.compare.page_output import PAGE_SUFFIXES, add_open, write_page
from meanflow_audio_codec.commands.shared_arguments import add_force, add_json, check_output
from meanflow_audio_codec.errors import InputError

MOST_SYSTEMS = 9  # with the hidden reference and two anchors twelve stimuli, as many as BS.1534 allows
MOST_REPEATS = 100


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments of this command."""
    actions = parser.add_subparsers(dest="action", required=True, metavar="ACTION")
    mushra = actions.add_parser("mushra", help="a page that asks for ratings from 0 to 100 (ITU-R BS.1534)")
    _add_test(mushra, "mushra")
    abx = actions.add_parser("abx", help="a page that asks whether X is A or B")
    _add_test(abx, "abx")
    abx.add_argument("--repeats", type=int, default=4, help="questions per recording and system (default 4)")
    score = actions.add_parser("score", help="means with intervals from the files that listeners saved")
    score.add_argument("answers", type=Path, nargs="+", metavar="FILE", help="files of answers to one test")
    score.add_argument("--figure", type=Path, help="write a figure, .png")
    score.add_argument(
        "--no-screening", action="store_true", help="keep listeners whom the rule of BS.1534 would exclude (mushra)"
    )
    add_force(score)
    add_json(score)


def _add_test(parser: argparse.ArgumentParser, name: str) -> None:
    parser.add_argument("--reference", type=Path, required=True, metavar="FOLDER", help="the original recordings")
    parser.add_argument(
        "--systems",
        nargs="+",
        required=True,
        metavar="[NAME=]FOLDER",
        help="decoded recordings, named as the originals; one folder for each system",
    )
    parser.add_argument("--output", type=Path, default=Path(f"{name}.html"), help=f"default: {name}.html")
    parser.add_argument("--title", default="Listening test", help="what listeners read (default: Listening test)")
    parser.add_argument("--seed", type=int, default=0, help="of all orders (default 0)")
    add_open(parser)
    add_force(parser)
    add_json(parser)


def run(arguments: argparse.Namespace) -> int:
    """Run the command."""
    match arguments.action:
        case "mushra" | "abx":
            return _build(arguments)
        case _:
            return _score(arguments)


def _build(arguments: argparse.Namespace) -> int:
    from meanflow_audio_codec.inference.decoding_options import check_decoding_options
    from meanflow_audio_codec.listening.blind_tests.blind_page import abx_page, mushra_page
    from meanflow_audio_codec.listening.blind_tests.stimuli import parse_systems, read_stimuli

    check_output(arguments.output, PAGE_SUFFIXES, arguments.force)
    check_decoding_options(seed=arguments.seed)
    mushra = arguments.action == "mushra"
    systems = parse_systems(arguments.systems)
    if mushra and len(systems) > MOST_SYSTEMS:
        raise InputError(f"--systems: {len(systems)} are too many to rate at once; give at most {MOST_SYSTEMS}")
    if not mushra and not 1 <= arguments.repeats <= MOST_REPEATS:
        raise InputError(f"--repeats must lie in 1 ... {MOST_REPEATS}, not {arguments.repeats}")
    recordings = read_stimuli(arguments.reference, systems, anchors=mushra)
    if mushra:
        page = mushra_page(arguments.title, recordings, seed=arguments.seed)
    else:
        page = abx_page(arguments.title, recordings, repeats=arguments.repeats, seed=arguments.seed)
    write_page(
        arguments.output, page.encode("utf-8", "backslashreplace"), json_wanted=arguments.json, show=arguments.open
    )
    return 0


def _score(arguments: argparse.Namespace) -> int:
    from meanflow_audio_codec.listening.scoring.abx import score_abx
    from meanflow_audio_codec.listening.scoring.answers import AbxAnswers, read_answers
    from meanflow_audio_codec.listening.scoring.mushra import score_mushra
    from meanflow_audio_codec.listening.scoring.score_figure import abx_figure, mushra_figure
    from meanflow_audio_codec.listening.scoring.tables import abx_json, abx_table, mushra_json, mushra_table

    if arguments.figure is not None:
        check_output(arguments.figure, (".png",), arguments.force)
    answers = read_answers(arguments.answers)
    of_abx = [each for each in answers if isinstance(each, AbxAnswers)]
    of_mushra = [each for each in answers if not isinstance(each, AbxAnswers)]
    if of_abx:
        pairs = score_abx(of_abx)
        if arguments.figure is not None:
            abx_figure(pairs, arguments.figure)
        _print(arguments.json, abx_json(pairs), abx_table(pairs))
    else:
        scores = score_mushra(of_mushra, screened=not arguments.no_screening)
        if arguments.figure is not None:
            mushra_figure(scores, arguments.figure)
        _print(arguments.json, mushra_json(scores), mushra_table(scores))
    return 0


def _print(as_json: bool, figures: dict[str, Any], table: str) -> None:
    print(json.dumps(figures) if as_json else table)
