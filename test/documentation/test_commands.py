"""Every command line of the pages is one that the program accepts; nothing is run."""

import re
import shlex
from collections.abc import Iterator
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path

import pytest
from pages import PAGES, ROOT

from meanflow_audio_codec.__main__ import COMMANDS, main
from meanflow_audio_codec.configs.recipes import recipe
from meanflow_audio_codec.configs.serialization import apply_overrides

FENCED = re.compile(r"^```(?:sh|shell|bash|console|)\n(.*?)^```", re.MULTILINE | re.DOTALL)
INDENTED = re.compile(r"^ {4}\S.*$", re.MULTILINE)
SEPARATORS = {"|", "||", "&&", ";", "&", ">", ">>", "<"}


def shell_lines(text: str) -> Iterator[str]:
    """Lines of shell blocks, those that a backslash continues joined."""
    for block in FENCED.findall(text):
        yield from re.sub(r"\\\n", " ", block).splitlines()
    without_fences = re.sub(r"^```.*?^```", "", text, flags=re.MULTILINE | re.DOTALL)
    yield from (line.strip() for line in INDENTED.findall(re.sub(r"\\\n", " ", without_fences)))


def calls(line: str, program: list[str]) -> Iterator[list[str]]:
    """The arguments of every call of `program` in a shell line."""
    lexer = shlex.shlex(line, posix=True, punctuation_chars=True)
    lexer.commenters, lexer.whitespace_split = "#", True
    words: list[str] = []
    for word in [*lexer, ";"]:
        if word not in SEPARATORS:
            words.append(word)
            continue
        for start in range(len(words)):
            if words[start : start + len(program)] == program:
                yield words[start + len(program) :]
                break
        words = []


def command_lines(page: Path) -> list[list[str]]:
    text = page.read_text(encoding="utf-8")
    found = [call for line in shell_lines(text) if "meanflow-codec" in line for call in calls(line, ["meanflow-codec"])]
    return [_with_values(call) for call in found if "..." not in call]


def _with_values(call: list[str]) -> list[str]:
    """Shell variables and single capitals, which stand for values, as a number."""
    return ["1" if re.fullmatch(r"[A-Z]", word) else re.sub(r"\$\{?\w+\}?", "1", word) for word in call]


WITH_COMMANDS = [page for page in PAGES if page.name != "CHANGELOG.md" and command_lines(page)]


@pytest.mark.parametrize("page", WITH_COMMANDS, ids=lambda page: str(page.relative_to(ROOT)))
def test_command_lines_are_accepted(page: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture) -> None:
    for name in COMMANDS:
        monkeypatch.setattr(import_module(f"meanflow_audio_codec.commands.{name}"), "run", lambda _: 0)
    for call in command_lines(page):
        try:
            code = main(call)
        except SystemExit as stop:
            code = stop.code
        assert code == 0, f"meanflow-codec {shlex.join(call)}\n{capsys.readouterr().err}"


def test_settings_of_recipes_are_accepted() -> None:
    """`--set` names fields that there are, with values in their range; a log keeps the settings of its day."""
    pages = [page for page in WITH_COMMANDS if page.name != "experiments.md"]
    for call in [call for page in pages for call in command_lines(page)]:
        if call[:1] == ["train"] and not call[call.index("--config") + 1].endswith(".json"):
            settings = [call[index + 1] for index, word in enumerate(call) if word == "--set"]
            apply_overrides(recipe(call[call.index("--config") + 1]), settings)


def test_programs_of_the_package_exist() -> None:
    for page in PAGES:
        for line in shell_lines(page.read_text(encoding="utf-8")):
            for name in re.findall(r"python -m (meanflow_audio_codec[\w.]*)", line):
                assert find_spec(name), f"{page.relative_to(ROOT)}: {name}"


def test_wrong_commands_are_noticed(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text(
        "```sh\ncat a | meanflow-codec encode - b.mfc --bitrate 3  # a comment\n```\n\n"
        "    uv run meanflow-codec decode b.mfc \\\n        c.wav --no-such-option\n"
    )
    encode, decode = command_lines(page)
    assert encode == ["encode", "-", "b.mfc", "--bitrate", "3"]
    assert decode == ["decode", "b.mfc", "c.wav", "--no-such-option"]
    with pytest.raises(SystemExit):
        main(decode)
