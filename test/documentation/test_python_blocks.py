"""The Python blocks of the user guide run as printed, page by page, with a small model in place of the built-in one."""

import re
from pathlib import Path

import numpy as np
import pytest
import soundfile
from fixtures.tiny_models import codec_with_tokens_of, sound
from pages import ROOT

from meanflow_audio_codec.__main__ import main
from meanflow_audio_codec.codec.codec import Codec
from meanflow_audio_codec.datasets.audio import example_recording as recordings

BLOCK = re.compile(r"^```python\n(.*?)^```", re.MULTILINE | re.DOTALL)
PAGES = [
    page
    for page in [ROOT / "README.md", *sorted((ROOT / "documentation" / "user_guide").glob("*.md"))]
    if BLOCK.search(page.read_text(encoding="utf-8"))
]
SECONDS = 1.2


@pytest.fixture
def small_world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with the files that the pages name, and short recordings."""
    monkeypatch.chdir(tmp_path)
    codec = codec_with_tokens_of("speech-16k")  # once for the session, and before its loader is replaced
    monkeypatch.setattr(Codec, "from_pretrained", lambda *_: codec)
    monkeypatch.setattr(recordings, "example_recording", lambda rate=16_000: sound(int(SECONDS * rate), 0, rate))
    soundfile.write("speech.wav", sound(int(SECONDS * 16_000)), 16_000)
    return tmp_path


def run_blocks(page: Path) -> dict[str, object]:
    """The names that a page's blocks leave behind, run in order in one namespace."""
    text = page.read_text(encoding="utf-8")
    names: dict[str, object] = {"__name__": "__page__"}
    for block in BLOCK.finditer(text):
        line = text[: block.start(1)].count("\n")
        exec(compile("\n" * line + block.group(1), str(page), "exec"), names)
    return names


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_blocks_run_as_printed(page: Path, small_world: Path) -> None:
    if page.name == "data.md":
        (small_world / "speech").mkdir()
        for name in "abcdefgh":  # eight of which the rule puts some into the split
            soundfile.write(f"speech/{name}.wav", sound(24_000), 16_000)
        pack = ["data", "--data-dir", ".", "--pack", "speech", "--split", "train", "--pack-file", "speech-train.pack"]
        assert main(pack) == 0
    run_blocks(page)


def test_shapes_are_those_that_the_page_states(small_world: Path) -> None:
    names = run_blocks(ROOT / "documentation" / "user_guide" / "python.md")
    samples, side, codes, sizes = (names[name] for name in ("samples", "side", "codes", "sizes"))
    assert isinstance(samples, np.ndarray)
    assert isinstance(side, np.ndarray)
    assert isinstance(codes, np.ndarray)
    assert (side.shape[0], side.shape[2]) == (1, 23)
    assert (codes.shape[0], codes.shape[2]) == (1, 112)
    assert list(sizes) == [511, *[255] * 20, 9, 7, *[5] * 112]  # type: ignore[call-overload]
