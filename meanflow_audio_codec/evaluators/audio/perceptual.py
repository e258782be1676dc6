"""Perceptual metrics from the packages pesq, pystoi and visqol-python, where installed; a missing one is named."""

import importlib
import warnings
from functools import cache
from typing import Any, Literal

import numpy as np
from jaxtyping import Float

from meanflow_audio_codec.evaluators.metric_errors import MissingPackageError, NotMeasurableError
from meanflow_audio_codec.preprocessing.resampling import resample

SAMPLE_RATE = 16_000
AUDIO_MODE_RATE = 48_000
# The reference program of PESQ holds 50 utterances without checking, and an utterance with its gap lasts 0.4 s or more.
LONGEST_PESQ_SECONDS = 20.0


def pesq_wideband(
    reference: Float[np.ndarray, " samples"], estimate: Float[np.ndarray, " samples"], sample_rate: int
) -> float:
    """PESQ with the wide-band mapping (ITU-T P.862.2), about 1.0 (bad) to 4.64, at 16 kHz.

    A clip of more than 20 s is cut into equal parts of at most that length, and their values are averaged; parts
    without speech are left out.

    Raises:
        NotMeasurableError: no part holds speech, the clip is too short, or the decoded clip is silent.
        MissingPackageError: the package pesq is not installed.
    """
    try:
        import pesq
    except ImportError:
        raise MissingPackageError("PESQ needs the package pesq") from None
    reference, estimate = (resample(signal, sample_rate, SAMPLE_RATE) for signal in (reference, estimate))
    _check_not_silent(reference, estimate)
    num_parts = max(1, int(np.ceil(len(reference) / (LONGEST_PESQ_SECONDS * SAMPLE_RATE))))
    values, reason = [], ""
    for one, other in zip(np.array_split(reference, num_parts), np.array_split(estimate, num_parts), strict=True):
        if not (np.any(one) and np.any(other)):
            reason = "silent"
            continue
        try:
            values.append(float(pesq.pesq(SAMPLE_RATE, one, other, "wb")))
        except pesq.NoUtterancesError:
            reason = "no speech found"
        except pesq.BufferTooShortError:
            reason = "shorter than PESQ's 0.25 s"
    if not values:
        raise NotMeasurableError(reason)
    return float(np.mean(values))


def estoi(reference: Float[np.ndarray, " samples"], estimate: Float[np.ndarray, " samples"], sample_rate: int) -> float:
    """Extended short-time objective intelligibility, up to 1 (Jensen and Taal 2016, equation 7), from 16 kHz audio.

    Raises:
        NotMeasurableError: fewer than 30 frames (about 0.4 s) are left without the silent ones.
        MissingPackageError: the package pystoi is not installed.
    """
    try:
        from pystoi import stoi
    except ImportError:
        raise MissingPackageError("ESTOI needs the package pystoi") from None
    reference, estimate = (resample(signal, sample_rate, SAMPLE_RATE) for signal in (reference, estimate))
    _check_not_silent(reference, estimate)
    with warnings.catch_warnings():
        # pystoi warns and returns 1e-5 where there is too little speech, which would spoil a mean.
        warnings.simplefilter("error", RuntimeWarning)
        try:
            return float(stoi(reference, estimate, SAMPLE_RATE, extended=True))
        except RuntimeWarning:
            raise NotMeasurableError("fewer than 30 frames of speech") from None


def visqol_speech(
    reference: Float[np.ndarray, " samples"], estimate: Float[np.ndarray, " samples"], sample_rate: int
) -> float:
    """ViSQOL v3 in speech mode (Chinen et al. 2020), a predicted opinion score from 1 to 5, from 16 kHz audio.

    Raises:
        NotMeasurableError: one of the clips is silent, or too short for a patch.
        MissingPackageError: the package visqol-python, or the network runtime of its speech mode, is not installed.
    """
    return _visqol_score("speech", SAMPLE_RATE, reference, estimate, sample_rate)


def visqol_audio(
    reference: Float[np.ndarray, " samples"], estimate: Float[np.ndarray, " samples"], sample_rate: int
) -> float:
    """ViSQOL v3 in audio mode (Chinen et al. 2020), for music: a predicted opinion score up to 4.73, from 48 kHz audio.

    Raises:
        NotMeasurableError: one of the clips is silent, or too short for a patch.
        MissingPackageError: the package visqol-python is not installed.
    """
    return _visqol_score("audio", AUDIO_MODE_RATE, reference, estimate, sample_rate)


def _visqol_score(
    mode: Literal["speech", "audio"], rate: int, reference: np.ndarray, estimate: np.ndarray, sample_rate: int
) -> float:
    reference, estimate = (resample(signal, sample_rate, rate) for signal in (reference, estimate))
    _check_not_silent(reference, estimate)
    try:
        result = _visqol(mode).measure_from_arrays(reference.astype(np.float64), estimate.astype(np.float64), rate)
    except (ValueError, IndexError) as error:
        raise NotMeasurableError(f"ViSQOL: {error}") from None
    return float(result.moslqo)


@cache
def _visqol(mode: Literal["speech", "audio"]) -> Any:
    try:
        api = importlib.import_module("visqol").VisqolApi()
        api.create(mode=mode)
    except ImportError:
        raise MissingPackageError("ViSQOL needs the packages visqol-python and ai-edge-litert") from None
    return api


def _check_not_silent(reference: np.ndarray, estimate: np.ndarray) -> None:
    for signal, name in ((reference, "the original"), (estimate, "the decoded clip")):
        if not np.any(signal):
            raise NotMeasurableError(f"{name} is silent")
