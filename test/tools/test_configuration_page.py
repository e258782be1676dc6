"""The reference of configuration fields is what its program writes, and says what the classes say."""

from pathlib import Path
from typing import Annotated, Literal

import pytest
from pydantic import Field

from meanflow_audio_codec.configs.base import Config
from meanflow_audio_codec.configs.experiment import ExperimentConfig
from meanflow_audio_codec.tools import configuration_page

GUIDE = Path(__file__).resolve().parents[2] / "documentation" / "user_guide"


def test_the_pages_are_what_the_program_writes(tmp_path: Path) -> None:
    configuration_page.main(["--output-dir", str(tmp_path)])
    written = {str(path.relative_to(tmp_path)) for path in tmp_path.rglob("*.md")}
    present = {str(path.relative_to(GUIDE)) for path in (GUIDE / "configuration").glob("*.md")} | {"configuration.md"}
    assert written == present
    for name in written:
        assert (tmp_path / name).read_text() == (GUIDE / name).read_text(), (
            f"{name} is not up to date: run {configuration_page.COMMAND}"
        )


def test_every_field_of_every_part_has_a_row() -> None:
    text = "".join(configuration_page.pages().values())
    for model in configuration_page.reachable(ExperimentConfig):
        section = text.partition(f"\n## {model.__name__}\n")[2].partition("\n## ")[0]
        for name in model.model_fields:
            assert name == "kind" or f"| `{name}` |" in section, f"{model.__name__}.{name}"


class Example(Config):
    """A made-up part."""

    # Two lines
    # of meaning.
    width: Annotated[int, Field(ge=2, lt=8, multiple_of=2)] = 4  # in tokens

    mode: Literal["first", "second"] = "first"
    # Not this one's.

    share: float | None = Field(default=None, description="Said by the field itself.")
    pair: tuple[float, float] = (0.0, 1.0)


def test_meanings_stand_above_behind_or_in_the_field() -> None:
    assert configuration_page.meanings(Example) == {
        "width": "Two lines of meaning. in tokens",
        "mode": "",
        "share": "Said by the field itself.",
        "pair": "",
    }


@pytest.mark.parametrize(
    ("schema", "words"),
    [
        (
            {"type": "integer", "minimum": 2, "exclusiveMaximum": 8, "multipleOf": 2},
            "integer, from 2 below 8, multiple of 2",
        ),
        ({"enum": ["first", "second"], "type": "string"}, "`first` or `second`"),
        ({"anyOf": [{"type": "number"}, {"type": "null"}]}, "number or null"),
        ({"type": "array", "prefixItems": [{"type": "number"}, {"type": "number"}]}, "2 x number"),
        ({"type": "array", "prefixItems": [{"type": "number"}, {"type": "string"}]}, "(number, text)"),
    ],
)
def test_types_in_words(schema: dict, words: str) -> None:
    assert configuration_page._words(schema) == words
