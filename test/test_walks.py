"""The developer guide's walks lead to files, names and tests that exist, and the example of a metric is one."""

import ast
import re
from pathlib import Path

import numpy as np
import pytest

import meanflow_audio_codec
from meanflow_audio_codec.evaluators.clip_scores import METRICS, ClipPair, Metric, score_clip

PACKAGE = Path(meanflow_audio_codec.__file__).parent
ROOT = Path(__file__).parents[1]
WALKS = sorted((ROOT / "documentation/developer_guide/walks").glob("*.md"))


def defined_in(path: Path) -> set[str]:
    """Functions, classes, their methods, and constants of a module."""
    names: set[str] = set()
    for node in ast.parse(path.read_text(encoding="utf-8")).body:
        if isinstance(node, ast.FunctionDef | ast.ClassDef):
            names.add(node.name)
        if isinstance(node, ast.ClassDef):
            names |= {f"{node.name}.{each.name}" for each in node.body if isinstance(each, ast.FunctionDef)}
        targets = [node.target] if isinstance(node, ast.AnnAssign) else getattr(node, "targets", [])
        names |= {target.id for target in targets if isinstance(target, ast.Name)}
    return names


def rows(walk: Path) -> list[tuple[str, list[str]]]:
    """File and names of each row of a walk's tables."""
    cells = [line.split("|")[1:3] for line in walk.read_text(encoding="utf-8").splitlines() if line.startswith("| `")]
    return [(file.strip(" `"), re.findall(r"`([^`]+)`", names)) for file, names in cells]


def test_there_are_three_walks():
    assert [walk.stem for walk in WALKS] == ["audio_to_bytes", "method_to_loss", "new_metric"]


@pytest.mark.parametrize("walk", WALKS, ids=lambda walk: walk.stem)
def test_every_file_and_name_exists(walk: Path):
    assert len(rows(walk)) >= 10
    for file, names in rows(walk):
        assert names, f"{file}: no names"
        missing = set(names) - defined_in(PACKAGE / file)
        assert missing == set(), f"{walk.name}: {file} has no {', '.join(missing)}"


@pytest.mark.parametrize("walk", WALKS, ids=lambda walk: walk.stem)
def test_paths_and_links_in_the_text_exist(walk: Path):
    text = walk.read_text(encoding="utf-8")
    for path in re.findall(r"`([\w./]+(?:\.py|/))`", text):
        assert (PACKAGE / path).exists() or (ROOT / path).exists(), f"{walk.name}: {path}"
    for link in re.findall(r"\]\(([^)#]+)", text):
        assert (walk.parent / link).is_file(), f"{walk.name}: {link}"


def test_the_new_metric_is_one(monkeypatch: pytest.MonkeyPatch):
    (walk,) = (walk for walk in WALKS if walk.stem == "new_metric")
    source = re.search(r"```python\n(.*?)```", walk.read_text(encoding="utf-8"), re.DOTALL)
    assert source is not None
    scope = {"np": np}
    exec(source[1], scope)
    metric = Metric(lambda pair: scope["sign_error"](*pair[1:4]), "sign error", higher_is_better=False)
    monkeypatch.setitem(METRICS, "sign", metric)
    clip = np.array([0.5, -0.25, 0.125, -0.5], np.float32)
    for decoded, expected in [(clip, 0.0), (-clip, 1.0), (np.abs(clip), 0.5)]:
        scores = score_clip(ClipPair("clip", clip, decoded, 16_000), ("sign",))
        assert scores.scores == {"sign": expected}
