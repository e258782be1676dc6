import json
import struct

import numpy as np
import pytest

from meanflow_audio_codec.errors import InputError
from meanflow_audio_codec.evaluators.figures import read_curves, sample_grid, spectrogram_comparison, training_curves

TIME = np.arange(8_000) / 16_000
TONE = (0.5 * np.sin(2 * np.pi * 1_000 * TIME)).astype(np.float32)


def size_of(path) -> tuple[int, int]:
    content = path.read_bytes()
    assert content[:8] == b"\x89PNG\r\n\x1a\n"
    width, height = struct.unpack(">II", content[16:24])
    return width, height


def write_log(path, entries) -> None:
    path.write_text("".join(json.dumps(entry) + "\n" for entry in entries))


@pytest.mark.parametrize(("highest_hz", "shown_hz"), [(None, 8_000), (4_000.0, 4_000), (20_000.0, 8_000)])
def test_spectrograms_show_a_tone_where_it_is(tmp_path, highest_hz, shown_hz):
    from matplotlib.image import imread

    path = tmp_path / "spectrograms.png"
    spectrogram_comparison(path, {"tone": TONE, "silence": np.zeros_like(TONE)}, 16_000, highest_hz=highest_hz)
    width, height = size_of(path)
    assert width > height
    pixels = imread(path)[: height // 2, width // 3 : width // 2, :3].sum(axis=2)
    # Within the upper panel: a dark field with one bright line at 1 kHz.
    rows = np.flatnonzero(pixels.mean(axis=1) < 1.0)
    line = np.argmax(pixels[rows[0] : rows[-1]].mean(axis=1))
    assert 1 - line / (rows[-1] - rows[0]) == pytest.approx(1_000 / shown_hz, abs=0.02)
    assert [entry.name for entry in tmp_path.iterdir()] == ["spectrograms.png"]


def test_a_grid_has_as_many_rows_as_it_needs(tmp_path):
    images = np.random.default_rng(0).uniform(-1, 1, (25, 28, 28)).astype(np.float32)
    sample_grid(tmp_path / "plain.png", images, columns=10)
    width, height = size_of(tmp_path / "plain.png")
    assert width / height == pytest.approx(10 / 3, rel=0.02)
    sample_grid(tmp_path / "labelled.png", images[:3], np.array([1, 2, 3]))
    assert size_of(tmp_path / "labelled.png")[0] == pytest.approx(3 / 10 * width, rel=0.02)


def test_curves_by_figure_and_kind(tmp_path):
    log = tmp_path / "metrics.jsonl"
    entries = [{"step": i, "kind": "train", "loss": 1 / i, "gradient_norm": 1.0} for i in range(1, 200)]
    entries += [{"step": 100, "kind": "validation", "loss": 0.5}, {"step": 200, "kind": "validation", "loss": np.nan}]
    write_log(log, entries)
    curves = read_curves(log)
    assert list(curves) == ["loss", "gradient_norm"]
    assert curves["loss"]["validation"] == [(100, 0.5)]
    assert len(curves["loss"]["train"]) == 199
    training_curves(tmp_path / "curves.png", log)
    width, height = size_of(tmp_path / "curves.png")
    assert width > 2 * height


def test_a_log_being_written_can_be_drawn(tmp_path):
    log = tmp_path / "metrics.jsonl"
    log.write_text('{"step": 1, "loss": 2.0}\n{"step": 2, "lo')
    assert read_curves(log) == {"loss": {"train": [(1, 2.0)]}}


@pytest.mark.parametrize(
    ("content", "message"),
    [(None, "cannot be read"), ("", "no entries"), ("hello\n{}\n", "line 1"), ('{"loss": 1}\n{}\n', "line 1")],
)
def test_what_is_no_log_is_named(tmp_path, content, message):
    log = tmp_path / "metrics.jsonl"
    if content is not None:
        log.write_text(content)
    with pytest.raises(InputError, match=message):
        read_curves(log)


def test_a_missing_folder_is_named_and_nothing_to_draw_is_an_error(tmp_path):
    with pytest.raises(InputError, match=r"nowhere.*check the folder"):
        spectrogram_comparison(tmp_path / "nowhere" / "a.png", {"tone": TONE}, 16_000)
    with pytest.raises(ValueError, match="at least one clip"):
        spectrogram_comparison(tmp_path / "a.png", {}, 16_000)
    with pytest.raises(ValueError, match="images"):
        sample_grid(tmp_path / "a.png", np.zeros((0, 28, 28), np.float32))
