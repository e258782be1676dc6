"""The shape of the package: imports point one way, heavy libraries wait until needed, files stay readable."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

import meanflow_audio_codec

PACKAGE = Path(meanflow_audio_codec.__file__).parent
NAME = PACKAGE.name
FILES = sorted(path for path in PACKAGE.rglob("*.py") if "references" not in path.relative_to(PACKAGE).parts)

# What each part may import besides itself.
BELOW_MODELS = {"preprocessing", "configs", "errors"}
ALLOWED = {
    "errors": set(),
    "configs": {"errors"},
    "preprocessing": {"configs", "errors"},
    "datasets": BELOW_MODELS,
    "models": BELOW_MODELS,
    "codec": BELOW_MODELS | {"models"},
    "evaluators": BELOW_MODELS | {"models", "codec", "datasets"},
    "trainers": BELOW_MODELS | {"models", "codec", "evaluators", "datasets"},
    "study": BELOW_MODELS | {"models", "codec", "evaluators", "trainers", "datasets"},
    "commands": BELOW_MODELS | {"models", "codec", "evaluators", "trainers", "datasets", "study"},
    "tools": BELOW_MODELS | {"models", "codec", "evaluators", "trainers", "datasets", "study"},
    "__main__": {"commands", "errors"},
    "__init__": {"codec"},
}


def part_of(path: Path) -> str:
    """The first folder below the package, or the module's own name."""
    parts = path.relative_to(PACKAGE).parts
    return parts[0] if len(parts) > 1 else path.stem


def imported_modules(path: Path) -> set[str]:
    """Full names of all modules imported anywhere in a file, inside functions too."""
    names: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import"
            assert node.module is not None
            names |= {f"{node.module}.{alias.name}" for alias in node.names}
    return names


def own_parts(path: Path) -> set[str]:
    """Parts of this package that a file imports; names of the package itself, such as its version, are nobody's."""
    parts = {name.split(".")[1] for name in imported_modules(path) if name.startswith(f"{NAME}.")}
    return {part for part in parts if (PACKAGE / part).is_dir() or (PACKAGE / f"{part}.py").is_file()}


def test_every_part_has_its_place() -> None:
    assert {part_of(path) for path in FILES} <= set(ALLOWED)


@pytest.mark.parametrize("part", sorted(ALLOWED))
def test_imports_point_towards_the_foundations(part: str) -> None:
    violations = [
        f"{path.relative_to(PACKAGE)} imports {other}"
        for path in FILES
        if part_of(path) == part
        for other in sorted(own_parts(path) - ALLOWED[part] - {part})
    ]
    assert violations == []


def test_the_rule_has_no_cycle() -> None:
    """Parts can be ordered so that each one's imports come before it."""
    placed: set[str] = set()
    while placed != set(ALLOWED):
        ready = {part for part, below in ALLOWED.items() if below <= placed} - placed
        assert ready
        placed |= ready


def test_the_package_does_not_import_pytorch() -> None:
    assert [str(path) for path in FILES if {name.split(".")[0] for name in imported_modules(path)} & {"torch"}] == []


def test_files_are_short() -> None:
    lengths = {str(path.relative_to(PACKAGE)): len(path.read_text(encoding="utf-8").splitlines()) for path in FILES}
    assert {name: length for name, length in lengths.items() if length > 350} == {}


HEAVY = ("jax", "flax", "matplotlib", "orbax", "tensorboardX", "scipy", "pesq", "soundfile")


@pytest.mark.parametrize(
    "statement",
    [
        f"import {NAME}",
        f"import runpy; sys.argv = ['{NAME}', '--help']; runpy.run_module('{NAME}', run_name='__main__')",
    ],
    ids=["import", "help"],
)
def test_start_up_is_light(statement: str) -> None:
    """The import and `--help` answer before any heavy library is loaded."""
    program = f"""
import sys
try:
    {statement}
except SystemExit as stop:
    assert not stop.code
print("loaded:", [name for name in {HEAVY!r} if name in sys.modules])
"""
    process = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False, timeout=120)
    assert process.returncode == 0, process.stderr
    assert process.stdout.splitlines()[-1] == "loaded: []"
