"""DistillMOS: an opinion score by the package distillmos (Microsoft, MIT), from a network distilled from XLS-R."""

import importlib
import io
import sys
from contextlib import redirect_stdout
from functools import cache
from types import ModuleType
from typing import Any

import numpy as np
from jaxtyping import Float

from meanflow_audio_codec.evaluators.metric_errors import MissingPackageError
from meanflow_audio_codec.evaluators.panel.sixteen_kilohertz import at_16_khz


def distillmos(signal: Float[np.ndarray, " samples"], sample_rate: int) -> float:
    """DistillMOS (Stahl and Gamper 2025, arXiv 2502.05356), 1 to 5, from 16 kHz audio; hears the clip alone.

    Raises:
        NotMeasurableError: the clip is silent.
        MissingPackageError: distillmos, or PyTorch, is not installed.
    """
    audio = at_16_khz(signal, sample_rate)
    torch, network = _network()
    with torch.no_grad():
        return float(network(torch.from_numpy(audio)[None])[0])


@cache
def _network() -> tuple[Any, Any]:
    try:
        torch = importlib.import_module("torch")
        package = _import_distillmos()
    except ImportError:
        raise MissingPackageError("DistillMOS needs the package distillmos and PyTorch") from None
    torch.set_num_threads(1)  # `--jobs` says how many processes there are
    with redirect_stdout(io.StringIO()):  # it prints where its weights are, which would spoil `--json`
        network = package.ConvTransformerSQAModel()
    return torch, network.eval()


def _import_distillmos() -> Any:
    """The package, without torchaudio where that is absent or of another build than PyTorch.

    distillmos imports torchaudio at its head and uses it only in its own command, to read files. It gets samples here.
    """
    try:
        importlib.import_module("torchaudio")
    except (ImportError, OSError, RuntimeError):
        sys.modules["torchaudio"] = ModuleType("torchaudio")
        try:
            return importlib.import_module("distillmos")
        finally:
            del sys.modules["torchaudio"]
    return importlib.import_module("distillmos")
