"""What a listener sees of a sound: its waveform as extremes per column, and its mel spectrogram as a picture."""

from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Int

from meanflow_audio_codec.listening.palette_png import palette_png
from meanflow_audio_codec.preprocessing.mel import (
    hertz_to_mel,
    magnitude_blocks,
    mel_filters,
    window_length,
)

NUM_BANDS = 96
MOST_COLUMNS = 1200
DYNAMIC_RANGE_DB = 80.0
LOUD_QUANTILE = 0.999  # what few points exceed is the top of the scale, so that a click does not darken the rest
TICKS_HZ = (500, 1_000, 2_000, 4_000, 8_000, 16_000)


class Tick(NamedTuple):
    """A frequency at the side of a spectrogram, and its height from 0 (bottom) to 1."""

    label: str
    height: float


def waveform(samples: Float[np.ndarray, " samples"], num_columns: int = MOST_COLUMNS) -> Int[np.ndarray, "2 columns"]:
    """Lowest and highest value in each of at most `num_columns` equal parts, in hundredths of full scale."""
    columns = max(min(num_columns, len(samples)), 1)
    edges = np.linspace(0, len(samples), columns + 1).astype(int)[:-1]
    extremes = np.stack([np.minimum.reduceat(samples, edges), np.maximum.reduceat(samples, edges)])
    return np.rint(100.0 * np.clip(extremes, -1.0, 1.0)).astype(int)


def mel_levels(
    samples: Float[np.ndarray, " samples"], sample_rate: int, num_columns: int = MOST_COLUMNS
) -> Float[np.ndarray, "columns bands"]:
    """Mel spectrogram in dB, frames joined to at most `num_columns` columns by their mean power."""
    n_fft = window_length(sample_rate)
    filters = mel_filters(sample_rate, n_fft, NUM_BANDS)
    power = np.concatenate([block**2 @ filters for block, _ in magnitude_blocks(samples, samples, n_fft)])
    columns = min(num_columns, len(power))
    edges = np.linspace(0, len(power), columns + 1).astype(int)
    joined = np.add.reduceat(power, edges[:-1], axis=0) / np.diff(edges)[:, None]
    return 10.0 * np.log10(np.maximum(joined, 1e-12))


def mel_pictures(levels: list[Float[np.ndarray, "_ bands"]]) -> list[bytes]:
    """One PNG per spectrogram, on one scale of 80 dB, low frequencies at the bottom."""
    from matplotlib import colormaps

    palette = np.rint(255.0 * np.asarray(colormaps["magma"](np.arange(256)))[:, :3]).astype(np.uint8)
    top = max(float(np.quantile(level, LOUD_QUANTILE)) for level in levels)
    pictures = []
    for level in levels:
        shade = np.clip(1.0 + (level - top) / DYNAMIC_RANGE_DB, 0.0, 1.0)
        pictures.append(palette_png(np.ascontiguousarray(np.rint(255.0 * shade.T[::-1]).astype(np.uint8)), palette))
    return pictures


def frequency_ticks(sample_rate: int) -> list[Tick]:
    """Round frequencies below half of the sample rate, and where they are on the mel scale."""
    top = float(hertz_to_mel(np.asarray(sample_rate / 2.0)))
    return [
        Tick(f"{hertz / 1000:g}", float(hertz_to_mel(np.asarray(float(hertz)))) / top)
        for hertz in TICKS_HZ
        if hertz < 0.95 * sample_rate / 2.0
    ]
