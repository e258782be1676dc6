"""Writes the reference of all configuration fields from the configuration classes.

python -m meanflow_audio_codec.tools.configuration_page --output-dir documentation/user_guide

A field's meaning is the comment above it in the source (or its `description`), its type and range are what pydantic
states of it. There is a page for every module below `configs/`.
"""

import argparse
import ast
import inspect
import json
from pathlib import Path
from textwrap import dedent
from typing import Any

from pydantic import TypeAdapter

from meanflow_audio_codec.configs.base import Config
from meanflow_audio_codec.configs.experiment import ExperimentConfig

ROOT_PAGE = "configuration.md"
COMMAND = "python -m meanflow_audio_codec.tools.configuration_page"
INTRODUCTION = f"""Every field of `ExperimentConfig`, the configuration of one training, with its type, its default
and its meaning. How to change fields: [training.md](training.md#changing-a-configuration). What a recipe sets:
`meanflow-codec train --config NAME --show-config`. A dotted path such as `training.batch_size` leads through the parts;
of a part that can be of several kinds, `kind` says which. Parts must fit together; what does not fit is refused with
the reason.

This page and those it links to are generated from the code, which is where to correct them:
`{COMMAND}` writes them anew.
"""


def pages() -> dict[str, str]:
    """The text of every page under its path below the user guide."""
    by_module: dict[str, list[type[Config]]] = {}
    for model in reachable(ExperimentConfig):
        by_module.setdefault(model.__module__.rpartition(".")[2], []).append(model)
    main = ExperimentConfig.__module__.rpartition(".")[2]
    location = {model: _page_of(module, main) for module, models in by_module.items() for model in models}
    paths = _paths(ExperimentConfig)
    result = {}
    for module, models in by_module.items():
        page = _page_of(module, main)
        if module == main:
            others = "".join(f"- [{name}]({_page_of(name, main)})\n" for name in by_module if name != main)
            head = f"# Configuration\n\n{INTRODUCTION}\n{others}"
        else:
            head = f"# Configuration: {module.replace('_', ' ')}\n\nGenerated: see [configuration](../{ROOT_PAGE}).\n"
        result[page] = head + "".join(_section(model, page, location, paths) for model in models)
    return result


def reachable(model: type[Config]) -> list[type[Config]]:
    """The class and all that its fields may hold, in order of appearance."""
    found: list[type[Config]] = []

    def visit(each: type[Config]) -> None:
        if each not in found:
            found.append(each)
            for field in each.model_fields.values():
                for part in _classes_in(field.annotation):
                    visit(part)

    visit(model)
    return found


def meanings(model: type[Config]) -> dict[str, str]:
    """What the source says of each field: its `description`, or the comment above it and behind it."""
    lines = dedent(inspect.getsource(model)).splitlines()
    (definition,) = ast.parse("\n".join(lines)).body
    assert isinstance(definition, ast.ClassDef)
    result = {}
    for node in definition.body:
        if not isinstance(node, ast.AnnAssign) or not isinstance(node.target, ast.Name):
            continue
        first = node.lineno - 1
        above = []
        while lines[first - 1].strip().startswith("#"):
            first -= 1
            above.insert(0, lines[first].strip().lstrip("# "))
        last = lines[(node.end_lineno or node.lineno) - 1][node.end_col_offset or 0 :].partition("#")[2].strip()
        result[node.target.id] = " ".join([*above, last]).strip()
    described = {name: field.description for name, field in model.model_fields.items() if field.description}
    return result | described


def _classes_in(annotation: Any) -> list[type[Config]]:
    if isinstance(annotation, type) and issubclass(annotation, Config):
        return [annotation]
    return [each for argument in getattr(annotation, "__args__", ()) for each in _classes_in(argument)]


def _page_of(module: str, main: str) -> str:
    return ROOT_PAGE if module == main else f"configuration/{module}.md"


def _paths(model: type[Config], prefix: str = "") -> dict[type[Config], list[str]]:
    """The dotted paths at which each class may stand."""
    result: dict[type[Config], list[str]] = {}
    for name, field in model.model_fields.items():
        for part in _classes_in(field.annotation):
            result.setdefault(part, []).append(f"{prefix}{name}")
            for each, paths in _paths(part, f"{prefix}{name}.").items():
                result.setdefault(each, []).extend(path for path in paths if path not in result.get(each, []))
    return result


def _section(
    model: type[Config], page: str, location: dict[type[Config], str], paths: dict[type[Config], list[str]]
) -> str:
    where = ", ".join(f"`{path}`" for path in paths.get(model, []))
    kind = model.model_fields.get("kind")
    with_kind = f", `kind` = `{kind.default}`" if kind is not None else ""
    stands = f" Stands at {where}{with_kind}." if where else ""
    rows = "".join(
        f"| `{name}` | {_type(name, model, page, location)} | {_default(name, model)} | {_cell(meaning)} |\n"
        for name, meaning in ((name, meanings(model).get(name, "")) for name in model.model_fields)
        if name != "kind"
    )
    table = f"\n| field | type | default | meaning |\n| --- | --- | --- | --- |\n{rows}" if rows else ""
    return f"\n## {model.__name__}\n\n{_cell(inspect.getdoc(model) or '')}{stands}\n{table}"


def _type(name: str, model: type[Config], page: str, location: dict[type[Config], str]) -> str:
    """Type and range in words; other configuration classes as links."""
    classes = _classes_in(model.model_fields[name].annotation)
    schema = model.model_json_schema()
    if not classes:
        return _cell(_words(schema["properties"][name]))
    links = []
    for each in classes:
        file = location[each]
        depth = "../" if "/" in page and "/" not in file else ""
        target = "" if file == page else depth + (file.rpartition("/")[2] if "/" in page and "/" in file else file)
        links.append(f"[{each.__name__}]({target}#{each.__name__.lower()})")
    own = schema["properties"][name]
    many = "list of " if own.get("type") == "array" else ""
    optional = " or null" if any(each.get("type") == "null" for each in own.get("anyOf", [])) else ""
    return many + ", ".join(links) + optional


def _words(schema: dict[str, Any]) -> str:
    """A JSON schema of a plain value in words."""
    if "anyOf" in schema:
        return " or ".join(_words(each) for each in schema["anyOf"])
    if "enum" in schema:
        return " or ".join(f"`{each}`" for each in schema["enum"])
    if "const" in schema:
        return f"`{schema['const']}`"
    match schema.get("type"):
        case "array" if "prefixItems" in schema:
            parts = [_words(each) for each in schema["prefixItems"]]
            return f"{len(parts)} x {parts[0]}" if len(set(parts)) == 1 else f"({', '.join(parts)})"
        case "array":
            return f"list of {_words(schema['items'])}"
        case "null":
            return "null"
        case "string":
            return f"text like `{schema['pattern']}`" if "pattern" in schema else "text"
        case "boolean":
            return "true or false"
        case "integer" | "number" as name:
            return name + _range(schema)
    raise ValueError(f"no words for {schema}")


def _range(schema: dict[str, Any]) -> str:
    low, high = schema.get("minimum"), schema.get("maximum")
    above, below = schema.get("exclusiveMinimum"), schema.get("exclusiveMaximum")
    ends = [f"from {low:g}" if low is not None else f"above {above:g}" if above is not None else ""]
    ends += [f"to {high:g}" if high is not None else f"below {below:g}" if below is not None else ""]
    step = f"multiple of {schema['multipleOf']:g}" if "multipleOf" in schema else ""
    return "".join(f", {each}" for each in (" ".join(filter(None, ends)), step) if each)


def _default(name: str, model: type[Config]) -> str:
    field = model.model_fields[name]
    if field.is_required():
        return "required"
    default = field.get_default(call_default_factory=True)
    if isinstance(default, Config):
        changed = default.model_dump(mode="json", exclude_defaults=True)
        values = ", ".join(f"`{key}` = `{json.dumps(value)}`" for key, value in changed.items())
        return f"`{type(default).__name__}`" + (f" with {values}" if values else "")
    value = TypeAdapter(Any).dump_python(default, mode="json")
    if isinstance(value, list) and value and all(isinstance(each, dict) for each in value):
        return f"({', '.join(value[0])}) = " + ", ".join(f"({', '.join(map(str, each.values()))})" for each in value)
    return f"`{json.dumps(value)}`"


def _cell(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|")


def main(argv: list[str] | None = None) -> int:
    """Write the pages."""
    parser = argparse.ArgumentParser(description="Write the reference of all configuration fields.")
    parser.add_argument("--output-dir", type=Path, default=Path("documentation/user_guide"), metavar="DIR")
    arguments = parser.parse_args(argv)
    for name, text in pages().items():
        path = arguments.output_dir / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
