"""The scripts of the pages in a browser without a window: each builds what it should, from a file on the disk."""

import re
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest

from meanflow_audio_codec.listening.blind_tests.blind_page import abx_page, mushra_page
from meanflow_audio_codec.listening.blind_tests.stimuli import (
    LOW_ANCHOR,
    MIDDLE_ANCHOR,
    REFERENCE,
    BlindRecording,
)
from meanflow_audio_codec.listening.comparison.comparison_page import comparison_page
from meanflow_audio_codec.listening.comparison.recordings import Version, scored_recording

BROWSER = shutil.which("chromium") or shutil.which("google-chrome")
pytestmark = pytest.mark.skipif(BROWSER is None, reason="needs a browser: install chromium")
OPTIONS = ("--headless", "--no-sandbox", "--disable-gpu", "--virtual-time-budget=1500", "--dump-dom")
RATE = 16_000
NOISE = np.random.default_rng(0).normal(0.0, 0.1, (1, RATE // 4)).astype(np.float32)


def elements(path: Path, page: str, script: str) -> str:
    """The page as it stands after its scripts and then this one ran; errors of scripts become its title."""
    watch = '<script>addEventListener("error", (event) => { document.title = `error: ${event.message}`; });</script>'
    page = page.replace("<head>", f"<head>{watch}", 1).replace("</body>", f"<script>{script}</script></body>")
    path.write_text(page, encoding="utf-8")
    assert BROWSER is not None
    result = subprocess.run(
        [BROWSER, *OPTIONS, f"--user-data-dir={path.parent / 'profile'}", path.as_uri()],
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    title = re.search("<title>(.*?)</title>", result.stdout)
    assert title is not None, result.stderr
    assert not title.group(1).startswith("error"), title.group(1)
    return result.stdout


def blind_recording(*conditions: str) -> BlindRecording:
    return BlindRecording("one", RATE, dict.fromkeys(conditions, NOISE), dict.fromkeys(conditions, 0.0))


def test_a_key_chooses_a_version(tmp_path):
    versions = [Version("original", "", NOISE, None), Version("ours", "", 0.5 * NOISE, 6_000.0)]
    page = comparison_page([scored_recording("one", RATE, versions, ("snr",))], [])
    press = 'document.body.dispatchEvent(new KeyboardEvent("keydown", { key: "2", bubbles: true }));'
    shown = elements(tmp_path / "page.html", page, press)
    assert re.search(r'<output class="shown">ours</output>', shown)
    assert len(re.findall('<tr class="heard">', shown)) == 1
    assert "0.00 of 0.25 s" in shown
    assert 'src="data:image/png;base64,' in shown


def test_a_mushra_page_leads_to_its_first_recording(tmp_path):
    page = mushra_page("Test", [blind_recording(REFERENCE, "ours", LOW_ANCHOR, MIDDLE_ANCHOR)], seed=0)
    click = 'for (let step = 0; step < 2; step += 1) document.querySelector("button.main").click();'
    shown = elements(tmp_path / "page.html", page, click)
    assert "Recording 1 of 1" in shown
    assert len(re.findall('class="stimulus unrated"', shown)) == 4
    body = shown[shown.index("<main") : shown.index("</main>")]
    assert "ours" not in body
    assert "anchor" not in body


def test_an_abx_page_leads_to_its_first_question(tmp_path):
    page = abx_page("Test", [blind_recording(REFERENCE, "ours")], repeats=2, seed=0)
    click = 'for (let step = 0; step < 2; step += 1) document.querySelector("button.main").click();'
    shown = elements(tmp_path / "page.html", page, click)
    assert "Question 1 of 2" in shown
    assert "ours" not in shown[shown.index("<main") : shown.index("</main>")]
