"""Whether a voice stays the same voice, by the package resemblyzer (Resemble AI, Apache 2.0)."""

import importlib
import warnings
from functools import cache
from typing import Any

import numpy as np
from jaxtyping import Float

from meanflow_audio_codec.evaluators.metric_errors import MissingPackageError, NotMeasurableError
from meanflow_audio_codec.evaluators.panel.sixteen_kilohertz import SAMPLE_RATE, at_16_khz


def speaker_similarity(
    reference: Float[np.ndarray, " samples"], estimate: Float[np.ndarray, " samples"], sample_rate: int
) -> float:
    """Cosine between the speaker embeddings of both clips (Wan et al. 2018, arXiv 1710.10467), up to 1, from 16 kHz.

    Raises:
        NotMeasurableError: a clip is silent, or holds no voice.
        MissingPackageError: resemblyzer is not installed.
    """
    one, other = (_embedding(at_16_khz(signal, sample_rate)) for signal in (reference, estimate))
    return float(one @ other)


def _embedding(audio: Float[np.ndarray, " samples"]) -> Float[np.ndarray, "256"]:
    package, encoder = _encoder()
    voiced = package.preprocess_wav(audio, source_sr=SAMPLE_RATE)
    if len(voiced) == 0:
        raise NotMeasurableError("no voice found")
    return encoder.embed_utterance(voiced)


@cache
def _encoder() -> tuple[Any, Any]:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of its own use of SciPy and setuptools
            package = importlib.import_module("resemblyzer")
        torch = importlib.import_module("torch")
    except ImportError:
        raise MissingPackageError("speaker similarity needs the package resemblyzer and PyTorch") from None
    torch.set_num_threads(1)  # `--jobs` says how many processes there are
    return package, package.VoiceEncoder("cpu", verbose=False)
