import io
import json
import sys

import numpy as np
import pytest

from meanflow_audio_codec.datasets.audio.example_recording import example_recording
from meanflow_audio_codec.errors import InputError
from meanflow_audio_codec.evaluators.audio.perceptual import available
from meanflow_audio_codec.evaluators.clip_scores import METRICS, ClipPair, ClipScores, score_clip, score_clips
from meanflow_audio_codec.evaluators.score_table import SystemScores, format_markdown, format_table, to_json

SPEECH = example_recording(16_000)[: 2 * 16_000]
NOISY = (SPEECH + 0.01 * np.random.default_rng(0).standard_normal(len(SPEECH))).astype(np.float32)
FAST = ("si_sdr", "lsd", "mel")


def test_every_metric_is_worse_for_a_worse_clip():
    # A tenth of the noise: opinion scores are lowest, and no lower, long before it is half as loud as the sound.
    better, worse = ((SPEECH + scale * (NOISY - SPEECH)).astype(np.float32) for scale in (0.1, 5.0))
    metrics = tuple(name for name in METRICS if available().get(name, True))
    one = score_clip(ClipPair("one", SPEECH, better, 16_000), metrics)
    other = score_clip(ClipPair("other", SPEECH, worse, 16_000), metrics)
    assert one.seconds == 2.0
    for name in metrics:
        assert (one.scores[name] > other.scores[name]) == METRICS[name].higher_is_better, name


def test_several_processes_give_the_same_scores_in_order():
    pairs = [ClipPair(str(i), SPEECH, NOISY * (1 - 0.1 * i), 16_000) for i in range(3)]
    assert score_clips(pairs, FAST, jobs=2) == score_clips(pairs, FAST)


@pytest.mark.parametrize(
    ("reference", "decoded", "reason"),
    [
        (np.zeros(8_000), np.ones(8_000), "silent"),
        (SPEECH, np.full_like(SPEECH, np.nan), "not finite"),
        (np.zeros(0), np.zeros(0), "empty"),
    ],
)
def test_a_clip_that_cannot_be_scored_has_reasons_and_no_values(reference, decoded, reason):
    result = score_clip(ClipPair("bad", reference, decoded, 16_000), FAST)
    assert result.scores == dict.fromkeys(FAST)
    assert all(reason in text for text in result.reasons.values())
    assert set(result.reasons) == set(FAST)


def test_a_clip_too_short_for_speech_metrics_still_has_the_others():
    if not all(available().values()):
        pytest.skip("pesq or pystoi is not installed (extra `metrics`)")
    result = score_clip(ClipPair("short", SPEECH[5_000:6_000], NOISY[5_000:6_000], 16_000))
    assert set(result.reasons) == {"estoi", "pesq"}
    assert all(result.scores[name] is not None for name in FAST)


def test_a_missing_package_leaves_its_metric_out(monkeypatch):
    monkeypatch.setitem(sys.modules, "pesq", None)
    result = score_clip(ClipPair("clip", SPEECH, NOISY, 16_000), (*FAST, "pesq"))
    assert result.missing == ("pesq",)
    assert set(result.scores) == set(FAST)


def test_wrong_arguments():
    with pytest.raises(InputError, match=r"sdr.*choose from si_sdr"):
        score_clip(ClipPair("clip", SPEECH, NOISY, 16_000), ("sdr",))
    with pytest.raises(InputError, match="jobs"):
        score_clips([], jobs=0)
    with pytest.raises(ValueError, match="clip: 9 decoded samples for 10"):
        score_clip(ClipPair("clip", np.ones(10), np.ones(9), 16_000))


def systems() -> list[SystemScores]:
    ours = [
        ClipScores("a", 1.0, {"mel": 0.2, "pesq": 3.0}, {}, ("estoi",)),
        ClipScores("b", 1.0, {"mel": 0.4, "pesq": None}, {"pesq": "no speech found"}, ("estoi",)),
    ]
    opus = [ClipScores("a", 1.0, {"mel": 0.5, "pesq": 2.0}), ClipScores("b", 1.0, {"mel": 0.5, "pesq": 2.0})]
    return [SystemScores("ours", 2_800.0, tuple(ours)), SystemScores("original", None, tuple(opus))]


def test_markdown_table():
    text = format_markdown(systems())
    lines = text.splitlines()
    assert lines[0] == "| system | kbit/s | clips | mel ↓ | PESQ ↑ |"
    assert lines[2] == "| ours | 2.80 | 2 | 0.300 [0.200, 0.400] | 3.000 |"
    assert lines[3] == "| original |  | 2 | 0.500 [0.500, 0.500] | 2.000 [2.000, 2.000] |"
    assert "ESTOI ↑" not in text
    assert "ESTOI: not computed, its package is not installed." in lines
    assert "ours, PESQ: 1 of 2 clips left out (no speech found)." in lines


def test_terminal_table_shows_the_same_cells():
    from rich.console import Console

    console = Console(file=io.StringIO(), width=200)
    console.print(format_table(systems()))
    text = console.file.getvalue()
    for cell in ("2.80", "0.300 [0.200, 0.400]", "PESQ ↑", "no speech found"):
        assert cell in text


def test_json_has_every_clip_and_no_nan():
    ours, original = json.loads(json.dumps(to_json(systems()), allow_nan=False))
    assert ours["bits_per_second"] == 2_800.0
    assert ours["missing"] == ["estoi"]
    assert ours["mean"]["mel"] == pytest.approx({"num_clips": 2, "mean": 0.3, "low": 0.2, "high": 0.4})
    # One value has a mean and no interval.
    assert ours["mean"]["pesq"] == {"num_clips": 1, "mean": 3.0, "low": None, "high": None}
    assert ours["clips"][1]["reasons"] == {"pesq": "no speech found"}
    assert original["bits_per_second"] is None
