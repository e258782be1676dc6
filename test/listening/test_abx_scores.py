"""Scores of an ABX test against closed forms and SciPy's tests."""

import pytest
from fixtures.listening.listening_answers import abx_answers
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from meanflow_audio_codec.listening.scoring.abx import RightAnswers, score_abx
from meanflow_audio_codec.listening.scoring.answers import AbxAnswers


@settings(deadline=None, max_examples=40)
@given(data=st.data(), answers=st.integers(1, 60))
def test_probability_and_interval_are_exact(data, answers):
    correct = data.draw(st.integers(0, answers))
    counts = RightAnswers(correct, answers)
    expected = stats.binomtest(correct, answers, 0.5, alternative="greater")
    assert counts.guessing_probability == pytest.approx(expected.pvalue)
    bounds = stats.binomtest(correct, answers).proportion_ci(0.95, method="exact")
    assert counts.interval == pytest.approx((bounds.low, bounds.high))


def test_closed_forms():
    """All of n right: p = 2^-n, and the lower end is the n-th root of 0.025. None right: p = 1."""
    assert RightAnswers(10, 10).guessing_probability == 2.0**-10
    assert RightAnswers(10, 10).interval == pytest.approx((0.025**0.1, 1.0))
    assert RightAnswers(0, 10).guessing_probability == 1.0
    assert RightAnswers(0, 10).interval == pytest.approx((0.0, 1.0 - 0.025**0.1))
    assert RightAnswers(12, 16).guessing_probability == pytest.approx(2517 / 65536)


def test_answers_are_counted_by_system_and_listener():
    files = [
        abx_answers("a", {"ours": [True, False, True, False], "theirs": [True] * 4}),
        abx_answers("b", {"ours": [True] * 3 + [False], "theirs": [True] * 4}),
    ]
    theirs, ours = score_abx([AbxAnswers.model_validate(each) for each in files])
    assert (theirs.system, theirs.all) == ("theirs", RightAnswers(8, 8))
    assert (ours.system, ours.all) == ("ours", RightAnswers(5, 8))
    assert ours.by_listener == {"a": RightAnswers(2, 4), "b": RightAnswers(3, 4)}
