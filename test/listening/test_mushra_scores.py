"""Scores of a MUSHRA test: means and intervals by their closed forms, and who is excluded."""

import numpy as np
import pytest
from fixtures.listening.listening_answers import mushra_answers
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from meanflow_audio_codec.errors import InputError
from meanflow_audio_codec.listening.scoring.answers import MushraAnswers
from meanflow_audio_codec.listening.scoring.mushra import score_mushra, student_interval
from meanflow_audio_codec.listening.scoring.screening import screen


def listener(name: str, **ratings: list[int]) -> MushraAnswers:
    columns = {condition.replace("_", "-"): values for condition, values in ratings.items()}
    return MushraAnswers.model_validate(mushra_answers(name, columns))


def test_means_are_over_listeners_and_the_best_comes_first():
    """Two listeners with means 60 and 80: mean 70, standard error 10, t of one degree of freedom tan(0.475 pi)."""
    scores = score_mushra([listener("a", ours=[50, 70]), listener("bb", ours=[90, 70])])
    assert [each.condition for each in scores.conditions] == [
        "reference",
        "ours",
        "theirs",
        "middle-anchor",
        "low-anchor",
    ]
    ours = scores.conditions[1]
    assert ours.by_listener == {"a": 60.0, "bb": 80.0}
    half = 10.0 * np.tan(0.475 * np.pi)
    assert ours.mean == pytest.approx((70.0, 70.0 - half, 70.0 + half))
    assert ours.by_recording["r0"].mean == 70.0
    assert ours.by_recording["r1"] == pytest.approx((70.0, 70.0, 70.0))
    assert scores.listeners == ("a", "bb")


@settings(deadline=None, max_examples=30)
@given(st.lists(st.integers(0, 100), min_size=2, max_size=9).filter(lambda values: len(set(values)) > 1))
def test_intervals_are_those_of_student(values):
    mean, low, high = student_interval(np.array(values, np.float64))
    expected = stats.t.interval(0.95, len(values) - 1, np.mean(values), stats.sem(values))
    assert (mean, low, high) == pytest.approx((np.mean(values), *expected))


def test_one_listener_has_no_interval():
    (first, *_) = score_mushra([listener("a", ours=[50])]).conditions
    assert first.mean.mean == 100.0
    assert np.isnan([first.mean.low, first.mean.high]).all()


GOOD = [listener("good" + "x" * number, ours=[70] * 20) for number in range(4)]


@pytest.mark.parametrize(("slips", "excluded"), [(3, False), (4, True)])
def test_who_misses_the_hidden_reference_too_often_is_excluded(slips, excluded):
    """15 % of 20 recordings are 3: more than that is too often. A rating of 90 is no slip."""
    reference = [89] * slips + [90] * (20 - slips)
    answers = [*GOOD, listener("tired", reference=reference)]
    assert ("tired" in screen(answers).excluded) == excluded
    scores = score_mushra(answers)
    assert ("tired" in scores.listeners) != excluded
    mean = {each.condition: each.mean.mean for each in scores.conditions}["reference"]
    assert mean == pytest.approx(100.0 if excluded else (4 * 100.0 + np.mean(reference)) / 5)
    assert score_mushra(answers, screened=False).listeners == (*(each.listener for each in GOOD), "tired")


@pytest.mark.parametrize(("slips", "excluded"), [(3, False), (4, True)])
def test_who_rates_the_middle_anchor_too_high_is_excluded(slips, excluded):
    answers = [*GOOD, listener("generous", middle_anchor=[91] * slips + [90] * (20 - slips))]
    assert screen(answers).excluded == (
        {"generous": f"7 kHz anchor above 90 in {slips} of 20 recordings"} if excluded else {}
    )


def test_recordings_that_the_anchor_hardly_harms_exclude_nobody():
    """Two of five listeners are more than 25 %: those five recordings are spared, and 15 are left for the rule."""
    high = [95] * 5 + [50] * 15
    answers = [*GOOD[:3], listener("one", middle_anchor=high), listener("other", middle_anchor=high)]
    screening = screen(answers)
    assert screening.excluded == {}
    assert screening.spared == ("r0", "r1", "r2", "r3", "r4")
    # One of four is not more than 25 %.
    assert list(screen([*GOOD[:3], listener("one", middle_anchor=high)]).excluded) == ["one"]


def test_with_nobody_left_there_is_no_score():
    with pytest.raises(InputError, match=r"every listener is excluded .a: hidden reference below 90 in 1 of 1"):
        score_mushra([listener("a", reference=[10])])
