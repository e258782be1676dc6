"""What is drawn of a sound: PNG files that another reader understands, and the right column and band for each sound."""

import io

import matplotlib.image
import numpy as np

from meanflow_audio_codec.listening.palette_png import palette_png
from meanflow_audio_codec.listening.pictures import (
    NUM_BANDS,
    frequency_ticks,
    mel_levels,
    mel_pictures,
    waveform,
)


def test_a_picture_is_read_back():
    generator = np.random.default_rng(1)
    pixels = generator.integers(0, 256, (5, 9), np.uint8)
    palette = generator.integers(0, 256, (256, 3), np.uint8)
    read = matplotlib.image.imread(io.BytesIO(palette_png(pixels, palette)), format="png")
    np.testing.assert_array_equal(np.rint(255 * read[..., :3]), palette[pixels])


def test_the_waveform_holds_the_extremes_of_every_part():
    samples = np.zeros(1000, np.float32)
    samples[250], samples[999] = 0.5, -0.25
    low, high = waveform(samples, 10)
    assert high.tolist() == [0, 0, 50, 0, 0, 0, 0, 0, 0, 0]
    assert low.tolist() == [0] * 9 + [-25]
    assert waveform(np.array([0.3], np.float32)).tolist() == [[30], [30]]


def test_a_tone_is_where_its_tick_is():
    """1 kHz in a picture up to 8 kHz: the brightest band lies at the height of the tick."""
    tone = np.sin(2 * np.pi * 1000 * np.arange(16_000) / 16_000)
    levels = mel_levels(tone, 16_000, num_columns=40)
    assert levels.shape == (40, NUM_BANDS)
    (tick,) = [tick for tick in frequency_ticks(16_000) if tick.label == "1"]
    brightest = levels.mean(axis=0).argmax()
    assert abs((brightest + 1) / (NUM_BANDS + 1) - tick.height) < 1.0 / NUM_BANDS
    (picture,) = mel_pictures([levels])
    shown = matplotlib.image.imread(io.BytesIO(picture), format="png")[..., :3].sum(axis=2).mean(axis=1)
    assert NUM_BANDS - 1 - shown.argmax() == brightest


def test_pictures_share_one_scale():
    """What is 40 dB fainter is darker by half of the scale of 80 dB: the top of the palette against its middle."""
    levels = np.zeros((4, 6))
    loud, faint = (
        matplotlib.image.imread(io.BytesIO(picture), format="png")[0, 0, :3]
        for picture in mel_pictures([levels, levels - 40.0])
    )
    colours = matplotlib.colormaps["magma"]
    np.testing.assert_allclose(loud, colours(255)[:3], atol=0.003)
    np.testing.assert_allclose(faint, colours(128)[:3], atol=0.01)
