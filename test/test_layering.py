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
BELOW_TRAINERS = BELOW_MODELS | {"models", "inference", "codec", "evaluators", "datasets", "processes"}
ALLOWED = {
    "errors": set(),
    "processes": {"errors"},
    "configs": {"errors"},
    "preprocessing": {"configs", "errors"},
    "datasets": BELOW_MODELS,
    "models": BELOW_MODELS,
    "inference": BELOW_MODELS | {"models"},
    "codec": BELOW_MODELS | {"models", "inference"},
    "evaluators": BELOW_MODELS | {"models", "inference", "codec", "datasets", "processes"},
    "trainers": BELOW_TRAINERS,
    "study": BELOW_TRAINERS | {"trainers"},
    "listening": BELOW_MODELS | {"inference", "codec", "evaluators", "datasets"},
    "commands": BELOW_TRAINERS | {"trainers", "study", "listening"},
    "tools": BELOW_TRAINERS | {"trainers", "study"},
    "__main__": {"commands", "errors", "processes"},
    "__init__": {"codec", "errors"},
}

# Rooms of the codec: each may import from those before it.
CODEC_ROOMS = ("container", "entropy_coding", "rate", "streaming", "files")
# A folder with more files than a reader takes in at a glance becomes several.
MOST_FILES = 15


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


def test_rooms_of_the_codec_import_one_way() -> None:
    """No room looks into a later one, and `codec.py`, which puts them together, is used by `files` alone."""
    for number, room in enumerate(CODEC_ROOMS):
        later = {f"{NAME}.codec.{name}" for name in CODEC_ROOMS[number + 1 :]}
        if room != "files":
            later |= {f"{NAME}.codec.codec", f"{NAME}.codec.token_codec"}
        for path in (PACKAGE / "codec" / room).glob("*.py"):
            wrong = [
                name for name in imported_modules(path) if any(f"{name}.".startswith(f"{each}.") for each in later)
            ]
            assert wrong == [], f"{path.relative_to(PACKAGE)} imports {wrong}"


def test_no_modules_import_each_other() -> None:
    """Also within a part, modules can be ordered so that each one's imports come before it."""
    files = {".".join((NAME, *path.relative_to(PACKAGE).with_suffix("").parts)): path for path in FILES}
    unplaced = {}
    for module, path in files.items():
        # `from package import name`: the name may be a module, or something in the package.
        named = {name for full in imported_modules(path) for name in (full, full.rpartition(".")[0])}
        unplaced[module] = (named & set(files)) - {module}
    while unplaced:
        ready = [module for module, below in unplaced.items() if not below & set(unplaced)]
        assert ready, f"these import each other: {sorted(unplaced)}"
        for module in ready:
            del unplaced[module]


@pytest.mark.parametrize("root", [PACKAGE, Path(__file__).parent], ids=["package", "tests"])
def test_folders_are_small(root: Path) -> None:
    counts = {str(folder): len(list(folder.glob("*.py"))) for folder in [root, *root.rglob("*/")]}
    assert {folder: count for folder, count in counts.items() if count > MOST_FILES} == {}


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
