import dataclasses
import io
import json
import sys

import numpy as np
import pytest
from fixtures.tiny_models import codec_config

from meanflow_audio_codec.configs.experiment import SpectralLossConfig, TrainingConfig
from meanflow_audio_codec.datasets.audio.example_recording import example_recording
from meanflow_audio_codec.errors import InputError
from meanflow_audio_codec.evaluators.clip_scores import METRICS, ClipPair, ClipScores, score_clip, score_clips
from meanflow_audio_codec.evaluators.codec_evaluation import Clip, Scoring, evaluate_original
from meanflow_audio_codec.evaluators.metric_marks import MetricMarks, metric_marks
from meanflow_audio_codec.evaluators.metric_packages import REQUIREMENTS, available
from meanflow_audio_codec.evaluators.score_table import SystemScores, format_markdown, format_table, to_json

SPEECH = example_recording(16_000)[: 2 * 16_000]
NOISY = (SPEECH + 0.01 * np.random.default_rng(0).standard_normal(len(SPEECH))).astype(np.float32)
FAST = ("si_sdr", "lsd", "mel")


def test_every_metric_that_compares_is_worse_for_a_worse_clip():
    # Those of the panel have tests of their own.
    # A tenth of the noise: opinion scores are lowest, and no lower, long before it is half as loud as the sound.
    better, worse = ((SPEECH + scale * (NOISY - SPEECH)).astype(np.float32) for scale in (0.1, 5.0))
    compare = (
        name for name in METRICS if name not in REQUIREMENTS or REQUIREMENTS[name].extra in ("metrics", "visqol")
    )
    metrics = tuple(name for name in compare if available().get(name, True))
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
    if not (available()["pesq"] and available()["estoi"]):
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
    assert (
        "ESTOI: not computed, its package is not installed (uv sync --extra metrics, or pip install "
        "'meanflow-audio-codec[metrics]')." in lines
    )
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


def test_slow_metrics_are_computed_on_the_same_few_clips_of_every_system(monkeypatch):
    monkeypatch.setitem(METRICS, "mel", METRICS["mel"]._replace(slow=True))
    pairs = [ClipPair(str(i), SPEECH, NOISY * (1 - 0.1 * i), 16_000) for i in range(5)]
    every, third = (score_clips(pairs, FAST, slow_every=slow_every) for slow_every in (1, 3))
    assert ["mel" in clip.scores for clip in third] == [True, False, False, True, False]
    assert third[3] == every[3]
    assert [clip.scores["lsd"] for clip in third] == [clip.scores["lsd"] for clip in every]
    text = format_markdown([SystemScores("ours", None, tuple(third), slow_every=3)])
    assert "mel: on 2 of 5 clips, one in 3." in text.splitlines()
    assert "left out" not in text
    with pytest.raises(InputError, match="not 0"):
        score_clips(pairs, FAST, slow_every=0)


def test_metrics_that_took_part_in_making_a_model_are_marked():
    ours, original = systems()
    marked = dataclasses.replace(ours, marks=MetricMarks("ours", frozenset({"mel", "lsd"}), frozenset({"mel", "pesq"})))
    lines = format_markdown([marked, original]).splitlines()
    assert lines[2] == "| ours | 2.80 | 2 | 0.300 [0.200, 0.400] †‡ | 3.000 ‡ |"
    assert lines[3] == "| original |  | 2 | 0.500 [0.500, 0.500] | 2.000 [2.000, 2.000] |"
    assert {line[0] for line in lines if line} >= {"†", "‡"}
    (entry, other) = to_json([marked, original])
    assert (entry["trained_on"], entry["chosen_by"]) == (["lsd", "mel"], ["mel", "pesq"])
    assert (other["trained_on"], other["chosen_by"]) == ([], None)


def test_marks_come_from_the_training_configuration_and_silence_about_choices_is_told():
    plain = codec_config()
    spectral = plain.model_copy(update={"training": TrainingConfig(spectral_loss=SpectralLossConfig())})
    assert metric_marks("model", plain, ()).trained_on == frozenset()
    assert metric_marks("model", spectral, ()).trained_on == {"lsd", "mel", "mrmel", "mrstft"}
    ours, _ = systems()
    text = format_markdown([dataclasses.replace(ours, marks=metric_marks("model", plain, None))])
    assert "model does not state which metrics it was chosen by (chosen_by in config.json)." in text
    assert "†" not in text


def test_a_table_says_what_words_were_compared_with():
    scores = [ClipScores(str(i), 1.0, {"word_error_rate": 0.5}, has_transcript=i == 0) for i in range(3)]
    line = "word error rate: against the transcript of 1 clips, against what is recognised in the original of 2."
    assert line in format_markdown([SystemScores("ours", None, tuple(scores))]).splitlines()


def test_originals_are_scored_where_they_have_scores_of_their_own(monkeypatch):
    clips = [Clip("one", SPEECH), Clip("two", NOISY)]
    assert evaluate_original(clips, 16_000, Scoring(FAST)) == []
    monkeypatch.setitem(METRICS, "mel", METRICS["mel"]._replace(of_original=True))
    (original,) = evaluate_original(clips, 16_000, Scoring(FAST))
    assert (original.name, original.bits_per_second, original.metrics) == ("original", None, ("mel",))
    assert original.values("mel") == [0.0, 0.0]
