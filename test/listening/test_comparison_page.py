"""The page of a comparison: what it holds, and that it holds all of it."""

import re

import numpy as np
import pytest
from fixtures.listening.html_pages import ParsedPage, samples_of

from meanflow_audio_codec.evaluators.metric_marks import MetricMarks
from meanflow_audio_codec.listening.comparison.comparison_page import comparison_page
from meanflow_audio_codec.listening.comparison.recordings import Version, scored_recording
from meanflow_audio_codec.listening.loudness import loudness
from meanflow_audio_codec.listening.page import LARGE_BYTES, size_note

RATE = 16_000
NAME = 'a <b>"name"</script>&amp;'
MARKS = MetricMarks("ours", frozenset({"lsd"}), frozenset({"mel"}))


@pytest.fixture(scope="module")
def page() -> ParsedPage:
    generator = np.random.default_rng(3)
    original = generator.normal(0.0, 0.1, (2, RATE)).astype(np.float32)
    noisy = (0.5 * original + generator.normal(0.0, 0.01, original.shape)).astype(np.float32)
    versions = [
        Version("original", "", original, None),
        Version("ours", "1 evaluation, temperature 0", noisy, 5_980.0, marks=MARKS),
        Version("a folder", "decoded before", 2.0 * original, 12_000.0, stated=True),
    ]
    recording = scored_recording(NAME, RATE, versions, ("si_sdr", "lsd", "mel"))
    return ParsedPage(comparison_page([recording, recording], [MARKS]))


def test_sounds_in_the_page_are_the_versions_at_one_loudness(page):
    versions = page.data["recordings"][0]["versions"]
    sounds = [samples_of(version["audio"]) for version in versions]
    assert {(samples.shape, rate) for samples, rate in sounds} == {((2, RATE), RATE)}
    first, *others = (loudness(samples, rate) for samples, rate in sounds)
    assert others == pytest.approx([first] * 2, abs=0.02)
    gains = [version["gain_db"] for version in versions]
    assert gains[0] == 0.0
    assert gains[1] == pytest.approx(6.0, abs=0.2)
    assert gains[2] == pytest.approx(-20 * np.log10(2))
    # Twice the original at half the gain is the original, to the last of 16 bits.
    np.testing.assert_allclose(sounds[2][0], sounds[0][0], atol=1.01 / 32768)


def test_nothing_is_loaded_from_elsewhere(page):
    assert [address for address in page.addresses() if not address.startswith("data:")] == []
    (policy,) = [
        attrs["content"] for tag, attrs in page.elements if attrs.get("http-equiv") == "Content-Security-Policy"
    ]
    assert policy.startswith("default-src 'none';")
    assert "http" not in policy


def test_bit_rates_scores_and_marks_stand_beside_the_versions(page):
    text = re.sub(r"\s+", " ", page.text)
    assert NAME in text
    assert re.search(r"ours 1 evaluation, temperature 0 ?5\.98", text)
    assert "12.00 stated" in text
    assert re.search(r"LSD ?mel", text)
    assert re.search(r"\d\.\d{3} †", text)
    assert re.search(r"\d\.\d{3} ‡", text)
    assert "A loss of this kind took part in training" in text


def test_every_control_has_a_name(page):
    """A label around it, or an attribute; buttons have their text."""
    sliders = [attrs for tag, attrs in page.elements if tag == "input" and attrs.get("type") == "range"]
    assert len(sliders) == 2
    assert all(attrs.get("aria-label") for attrs in sliders)
    radios = [attrs["name"] for tag, attrs in page.elements if attrs.get("type") == "radio"]
    assert radios == ["version-0"] * 3 + ["version-1"] * 3


def test_a_large_page_is_told():
    assert size_note(1_840_000) == "1.8 MB"
    assert "fewer or shorter" in size_note(LARGE_BYTES + 1)
