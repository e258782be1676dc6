"""DNSMOS: opinion scores by networks that hear one clip alone, those in the package speechmos (Microsoft, MIT).

Only the networks are the package's: its own program imports librosa, 270 MB and 33 s at the first call for one mel
spectrogram, and always runs both networks. `test_panel_blind.py` holds this one to its figures.
"""

import importlib
from collections.abc import Callable
from functools import cache
from importlib.resources import as_file, files
from typing import Any

import numpy as np
from jaxtyping import Float

from meanflow_audio_codec.evaluators.metric_errors import MissingPackageError
from meanflow_audio_codec.evaluators.panel.sixteen_kilohertz import SAMPLE_RATE, at_16_khz
from meanflow_audio_codec.preprocessing.mel import mel_filters

# The networks hear 9.01 s at a time, once per second; a shorter clip is repeated until it is long enough.
WINDOW_SAMPLES = int(9.01 * SAMPLE_RATE)
# From the network's output to the scale of the votes (script of the DNS challenge), highest power first.
OVERALL_POLYNOMIAL = (-0.06766283, 1.11546468, 0.04602535)
# Features of the P.808 network.
N_FFT, HOP_LENGTH, NUM_BANDS, RANGE_DB = 321, 160, 120, 80.0


def dnsmos_overall(signal: Float[np.ndarray, " samples"], sample_rate: int) -> float:
    """The overall score (OVRL) of DNSMOS P.835 (Reddy et al. 2022, arXiv 2110.01763), 1 to 5, from 16 kHz audio.

    Raises:
        NotMeasurableError: the clip is silent.
        MissingPackageError: speechmos or onnxruntime is not installed.
    """
    outputs = _scores("sig_bak_ovr.onnx", at_16_khz(signal, sample_rate), lambda window: window)
    return float(np.mean(np.polyval(OVERALL_POLYNOMIAL, outputs[:, 2])))


def dnsmos_p808(signal: Float[np.ndarray, " samples"], sample_rate: int) -> float:
    """The score of DNSMOS P.808 (Reddy et al. 2021, arXiv 2010.15258), 1 to 5, from 16 kHz audio.

    Raises:
        NotMeasurableError: the clip is silent.
        MissingPackageError: speechmos or onnxruntime is not installed.
    """
    return float(np.mean(_scores("model_v8.onnx", at_16_khz(signal, sample_rate), _log_mel)))


def _scores(
    network: str, audio: Float[np.ndarray, " samples"], features: Callable[[np.ndarray], np.ndarray]
) -> np.ndarray:
    """Outputs of a network for every window of a clip."""
    session = _session(network)
    while len(audio) < WINDOW_SAMPLES:
        audio = np.append(audio, audio)
    # Counted in whole seconds, as in the program of the DNS challenge: the last window may be left out.
    num_windows = int(len(audio) // SAMPLE_RATE - WINDOW_SAMPLES / SAMPLE_RATE) + 1
    starts = (SAMPLE_RATE * second for second in range(num_windows))
    windows = (features(audio[start : start + WINDOW_SAMPLES])[None] for start in starts)
    return np.concatenate([session.run(None, {"input_1": window})[0] for window in windows])


@cache
def _session(network: str) -> Any:
    try:
        runtime = importlib.import_module("onnxruntime")
        folder = files("speechmos") / "dnsmos_models"
    except ImportError:
        raise MissingPackageError("DNSMOS needs the packages speechmos and onnxruntime") from None
    options = runtime.SessionOptions()
    options.intra_op_num_threads = 1  # `--jobs` says how many processes there are
    with as_file(folder / network) as path:
        return runtime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])


def _log_mel(window: Float[np.ndarray, " samples"]) -> Float[np.ndarray, "frames bands"]:
    """Mel energies in dB below the loudest, scaled so that 0 dB is 1 and -80 dB is -1; the last 10 ms are left out."""
    padded = np.pad(window[:-HOP_LENGTH], N_FFT // 2)
    hann = 0.5 - 0.5 * np.cos(2.0 * np.pi * np.arange(N_FFT) / N_FFT)
    frames = np.lib.stride_tricks.sliding_window_view(padded, N_FFT)[::HOP_LENGTH]
    energies = np.abs(np.fft.rfft(frames * hann, axis=1)) ** 2 @ mel_filters(SAMPLE_RATE, N_FFT, NUM_BANDS)
    decibels = 10.0 * np.log10(np.maximum(energies, 1e-10))
    return (np.maximum(decibels - decibels.max(), -RANGE_DB) / 40.0 + 1.0).astype(np.float32)
