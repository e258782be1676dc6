"""What messages tell the user to do can be done: the commands and the options that they name exist."""

import argparse
import ast
import re
import shlex
from importlib import import_module
from pathlib import Path

import pytest

import meanflow_audio_codec
from meanflow_audio_codec.__main__ import COMMANDS
from meanflow_audio_codec.configs.recipes import recipe_names
from meanflow_audio_codec.configs.serialization import apply_overrides, read_config, to_json

PACKAGE = Path(meanflow_audio_codec.__file__).parent
ROOMS = ("references", "tools")  # programs of their own, with options of their own
# Of other programs, which messages tell the user to run.
FOREIGN = {"--extra"}


def parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="meanflow-codec", exit_on_error=False)
    commands = parser.add_subparsers(dest="command", required=True)
    for name in COMMANDS:
        module = import_module(f"meanflow_audio_codec.commands.{name}")
        module.add_arguments(commands.add_parser(name))
    return parser


def options(parser: argparse.ArgumentParser) -> set[str]:
    found = set()
    for action in parser._actions:
        found |= set(action.option_strings)
        if isinstance(action, argparse._SubParsersAction):
            for each in action.choices.values():
                found |= options(each)
    return found


def messages() -> dict[str, str]:
    """The texts of all errors that the package raises, by place; what is computed in them is {}."""
    found = {}
    for path in sorted(PACKAGE.rglob("*.py")):
        if path.relative_to(PACKAGE).parts[0] in ROOMS:
            continue
        raised = [node for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))) if isinstance(node, ast.Raise)]
        for node in (inner for each in raised if each.exc is not None for inner in ast.walk(each.exc)):
            parts = node.values if isinstance(node, ast.JoinedStr) else [node]
            texts = [str(part.value) if isinstance(part, ast.Constant) else "{}" for part in parts]
            if isinstance(node, ast.JoinedStr) or (isinstance(node, ast.Constant) and isinstance(node.value, str)):
                found[f"{path.relative_to(PACKAGE)}:{node.lineno}:{node.col_offset}"] = "".join(texts)
    return found


def test_commands_in_messages_are_accepted() -> None:
    commands = {
        command: place
        for place, text in messages().items()
        for command in re.findall(r"`meanflow-codec ([^`]+)`", text)
    }
    assert len(commands) >= 3
    for command, place in commands.items():
        arguments = shlex.split(command.replace("{}", "x"))
        try:
            parser().parse_args(arguments)
        except (SystemExit, argparse.ArgumentError) as error:
            pytest.fail(f"{place}: `meanflow-codec {command}`: {error}")


def test_options_in_messages_exist() -> None:
    known = options(parser()) | FOREIGN
    unknown = {
        (place, option)
        for place, text in messages().items()
        for option in re.findall(r"(?<![\w-])--[a-z][a-z-]+", text)
        if option not in known
    }
    assert unknown == set()


@pytest.mark.parametrize("name", recipe_names())
def test_a_configuration_with_a_byte_order_mark_is_read(name: str, tmp_path: Path) -> None:
    from meanflow_audio_codec.configs.recipes import recipe

    path = tmp_path / "config.json"
    path.write_bytes(b"\xef\xbb\xbf" + to_json(recipe(name)).encode())
    assert read_config(path) == recipe(name)


def test_what_lists_the_known_fields_does(capsys: pytest.CaptureFixture[str]) -> None:
    from meanflow_audio_codec.__main__ import main
    from meanflow_audio_codec.configs.recipes import recipe
    from meanflow_audio_codec.errors import InputError

    with pytest.raises(InputError) as raised:
        apply_overrides(recipe("speech-16k"), ["training.steps=3"])
    (command,) = re.findall(r"`meanflow-codec ([^`]+)`", str(raised.value))
    assert main(shlex.split(command)) == 0
    assert '"num_steps"' in capsys.readouterr().out
