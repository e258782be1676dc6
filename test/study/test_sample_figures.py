import io

import numpy as np
import pytest
from jaxtyping import TypeCheckError
from matplotlib.image import imread

from meanflow_audio_codec.evaluators.figures import DOTS_PER_INCH
from meanflow_audio_codec.study.report.sample_figures import image_comparison, spectrogram_panel

TIME = np.arange(8_000) / 16_000
TONE = (0.5 * np.sin(2 * np.pi * 1_000 * TIME)).astype(np.float32)


def pixels(figure) -> np.ndarray:
    file = io.BytesIO()
    figure.savefig(file, format="png", dpi=DOTS_PER_INCH)
    file.seek(0)
    return imread(file)


def test_every_method_has_a_row_of_images_below_the_originals():
    black, white = -np.ones((8, 28, 28), np.float32), np.ones((8, 28, 28), np.float32)
    figure = image_comparison(black, {"a method\nwith two lines": white, "another method": black})
    picture = pixels(figure)
    assert picture.shape[1] <= 900
    # At the right, clear of the names: black, white, black from top to bottom.
    dark = picture[:, -60:-40, :3].mean(axis=(1, 2)) < 0.5
    starts = np.flatnonzero(np.diff(dark.astype(int)) == 1)
    assert len(starts) + dark[0] == 2
    assert [label.get_text() for label in figure.axes[0].get_yticklabels()] == [
        "original",
        "a method\nwith two lines",
        "another method",
    ]


def test_names_of_rows_are_not_cut_off():
    figure = image_comparison(
        np.zeros((10, 28, 28)), {"improved mean flow with a long name, 1 step": np.zeros((10, 28, 28))}
    )
    picture = pixels(figure)
    assert picture[:, :3, :3].min() == 1.0
    assert picture[:, 3:200, :3].min() < 0.2


def test_spectrograms_share_level_time_and_frequency():
    figure = spectrogram_panel({"tone": TONE, "quiet": 0.01 * TONE[:4_000], "silence": np.zeros(8_000)}, 16_000)
    assert pixels(figure).shape[1] == 900
    panels = [ax for ax in figure.axes if ax.get_title(loc="left")]
    assert len({ax.images[0].get_clim() for ax in panels}) == 1
    assert all(ax.get_xlim() == (0.0, 0.5) and ax.get_ylim() == (0.0, 8.0) for ax in panels)
    # The tone has 20 log10 0.5 = -6 dB, the other is 40 dB below it.
    top = panels[0].images[0].get_clim()[1]
    assert top == pytest.approx(-6.0, abs=0.5)
    assert np.max(panels[1].images[0].get_array()) == pytest.approx(-46.0, abs=0.5)


@pytest.mark.parametrize(("number", "shape"), [(1, (1, 1)), (4, (1, 4)), (5, (2, 3)), (8, (2, 4))])
def test_panels_fill_rows_evenly(number, shape):
    figure = spectrogram_panel({str(i): TONE for i in range(number)}, 16_000)
    grid = figure.axes[0].get_subplotspec().get_gridspec()
    assert (grid.nrows, grid.ncols) == shape


def test_nothing_to_draw_is_an_error():
    with pytest.raises((ValueError, TypeCheckError), match="short"):
        image_comparison(np.zeros((2, 8, 8)), {"short": np.zeros((1, 8, 8))})
    with pytest.raises(ValueError, match="at least one signal"):
        spectrogram_panel({"empty": np.zeros(0)}, 16_000)
