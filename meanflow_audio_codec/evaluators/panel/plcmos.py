"""PLCMOS: what listeners think of a clip in which packets were lost, by the package speechmos (Microsoft, MIT)."""

import importlib
from functools import cache
from typing import Any

import numpy as np
from jaxtyping import Float

from meanflow_audio_codec.evaluators.metric_errors import MissingPackageError
from meanflow_audio_codec.evaluators.panel.sixteen_kilohertz import at_16_khz


def plcmos(signal: Float[np.ndarray, " samples"], sample_rate: int) -> float:
    """PLCMOS v2 (Diener et al. 2023, arXiv 2305.15127), 1 to 5, from 16 kHz audio; hears the clip alone.

    Raises:
        NotMeasurableError: the clip is silent.
        MissingPackageError: speechmos or onnxruntime is not installed.
    """
    audio = at_16_khz(signal, sample_rate)
    network = _network()
    # It averages over raters drawn from NumPy's global generator; the same ones for every clip, and the state put back.
    state = np.random.get_state()  # noqa: NPY002  # the generator that the network draws from
    try:
        np.random.seed(0)  # noqa: NPY002  # as above
        return float(network.get_mos(audio))
    finally:
        np.random.set_state(state)  # noqa: NPY002  # as above


@cache
def _network() -> Any:
    try:
        return importlib.import_module("speechmos.plcmos").PLCMOS()
    except ImportError:
        raise MissingPackageError("PLCMOS needs the packages speechmos and onnxruntime") from None
