"""What the package offers at its top: found lazily, known to type checkers, and light where nothing heavy is needed."""

import ast
import importlib
import subprocess
import sys
from pathlib import Path

import pytest

import meanflow_audio_codec


def imports_for_type_checkers() -> dict[str, str]:
    """Name to module, of the imports that are not run."""
    source = Path(meanflow_audio_codec.__file__).read_text(encoding="utf-8")
    block = next(node for node in ast.parse(source).body if isinstance(node, ast.If))
    return {alias.name: node.module for node in block.body if isinstance(node, ast.ImportFrom) for alias in node.names}


def test_all_public_names_are_what_type_checkers_are_told():
    told = imports_for_type_checkers()
    assert set(told) == set(meanflow_audio_codec.__all__) - {"__version__"}
    for name, module in told.items():
        assert getattr(meanflow_audio_codec, name) is getattr(importlib.import_module(module), name)
    assert set(meanflow_audio_codec.__all__) <= set(dir(meanflow_audio_codec))


def test_other_names_are_refused_as_those_of_any_module():
    with pytest.raises(AttributeError, match=r"'meanflow_audio_codec' has no attribute 'Coder'"):
        _ = meanflow_audio_codec.Coder
    assert not hasattr(meanflow_audio_codec, "_encode")


def test_errors_and_containers_need_no_jax():
    program = """
import sys
from meanflow_audio_codec import InputError
light = "numpy" not in sys.modules
from meanflow_audio_codec import BitstreamError, CheckedFile, SeekableReader, Tokens
print(light, "jax" in sys.modules)
"""
    process = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert process.stdout.split() == ["True", "False"]


def test_the_package_says_that_it_has_types():
    assert (Path(meanflow_audio_codec.__file__).parent / "py.typed").is_file()
