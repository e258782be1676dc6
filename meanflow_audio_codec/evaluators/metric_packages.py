"""Which packages the metrics need that are not in the base installation, and how to get them."""

from collections.abc import Iterable
from importlib.util import find_spec
from typing import NamedTuple

from meanflow_audio_codec.errors import InputError


class Requirement(NamedTuple):
    """An extra of this package, and the modules that it brings for a metric."""

    extra: str
    modules: tuple[str, ...]


REQUIREMENTS: dict[str, Requirement] = {
    "estoi": Requirement("metrics", ("pystoi",)),
    "pesq": Requirement("metrics", ("pesq",)),
    "visqol": Requirement("visqol", ("visqol", "ai_edge_litert")),
    "visqol_audio": Requirement("visqol", ("visqol",)),
    "dnsmos_ovrl": Requirement("blind", ("speechmos", "onnxruntime")),
    "dnsmos_p808": Requirement("blind", ("speechmos", "onnxruntime")),
    "plcmos": Requirement("blind", ("speechmos", "onnxruntime")),
    "distillmos": Requirement("distillmos", ("distillmos",)),
    "speaker_similarity": Requirement("speaker", ("resemblyzer",)),
    "word_error_rate": Requirement("recognition", ("pocketsphinx",)),
}


def available() -> dict[str, bool]:
    """Whether what each of these metrics needs is installed."""
    return {
        metric: all(find_spec(module) is not None for module in requirement.modules)
        for metric, requirement in REQUIREMENTS.items()
    }


def how_to_install(metric: str) -> str:
    """The commands that install what a metric needs."""
    extra = REQUIREMENTS[metric].extra
    return f"uv sync --extra {extra}, or pip install 'meanflow-audio-codec[{extra}]'"


def check_some_metric(metrics: Iterable[str]) -> None:
    """Refuse metrics of which none can be computed here.

    Raises:
        InputError: what each of them needs is not installed.
    """
    names, found = tuple(metrics), available()
    if not any(found.get(name, True) for name in names):
        raise InputError(f"none of these metrics can be computed: {names[0]} needs {how_to_install(names[0])}")
