"""Word errors and voices: distances of words by their definition, and what recogniser and embedding make of noise."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from modulated_noise import with_modulated_noise

from meanflow_audio_codec.datasets.audio.example_recording import example_recording
from meanflow_audio_codec.evaluators.metric_errors import NotMeasurableError
from meanflow_audio_codec.evaluators.metric_packages import REQUIREMENTS, available
from meanflow_audio_codec.evaluators.panel.speaker_similarity import speaker_similarity
from meanflow_audio_codec.evaluators.panel.word_error_rate import edit_distance, recognise, split_words, word_error_rate

SPEECH = example_recording(16_000)[: 2 * 16_000]
WORDS = st.lists(st.sampled_from("abc"), max_size=5).map(tuple)


def need(metric: str) -> None:
    if not available()[metric]:
        pytest.skip(f"{metric} is not installed (extra `{REQUIREMENTS[metric].extra}`)")


def test_words_are_split_without_punctuation():
    assert split_words("There's Fort\u2019s, a RIFLE-shot -- 'asleep'.") == (
        "there's", "fort's", "a", "rifle", "shot", "asleep",
    )  # fmt: skip
    assert split_words(" ... ") == ()


def test_word_distances_by_hand():
    spoken = ("the", "cat", "sat", "down")
    assert edit_distance(spoken, ("the", "hat", "sat")) == 2
    assert edit_distance(spoken, ("oh", *spoken)) == 1
    assert edit_distance((), spoken) == 4


@settings(max_examples=200, deadline=None)
@given(first=WORDS, second=WORDS, third=WORDS)
def test_the_distance_of_words_is_a_metric(first, second, third):
    distance = edit_distance(first, second)
    assert distance == edit_distance(second, first)
    assert (distance == 0) == (first == second)
    assert abs(len(first) - len(second)) <= distance <= max(len(first), len(second))
    assert edit_distance(first, third) <= distance + edit_distance(second, third)


def test_what_is_recognised_in_the_original_stands_in_for_a_transcript():
    need("word_error_rate")
    heard = recognise(SPEECH, 16_000)
    assert len(heard) > 2
    assert word_error_rate(SPEECH, SPEECH, 16_000) == 0.0
    assert word_error_rate(SPEECH, with_modulated_noise(SPEECH, 1.0), 16_000) > 0.3
    # All words lost, and one of them said.
    assert word_error_rate(SPEECH, np.zeros_like(SPEECH), 16_000) == 1.0
    assert word_error_rate(SPEECH, np.zeros_like(SPEECH), 16_000, "one two") == 1.0
    assert word_error_rate(SPEECH, SPEECH, 16_000, " ".join(heard)) == 0.0
    assert word_error_rate(SPEECH, SPEECH, 16_000, "nothing like that") >= 1.0


def test_what_was_heard_before_does_not_matter():
    need("word_error_rate")
    from meanflow_audio_codec.evaluators.panel.word_error_rate import _recognised

    other = example_recording(16_000)[2 * 16_000 : 4 * 16_000]
    before = recognise(SPEECH, 16_000)
    recognise(other, 16_000)
    _recognised.cache_clear()
    assert recognise(SPEECH, 16_000) == before


def test_a_voice_is_its_own_and_noise_is_another():
    need("speaker_similarity")
    slight, strong = (with_modulated_noise(SPEECH, share) for share in (0.02, 1.0))
    same = speaker_similarity(SPEECH, SPEECH, 16_000)
    assert same == pytest.approx(1.0, abs=1e-5)
    assert same > speaker_similarity(SPEECH, slight, 16_000) > speaker_similarity(SPEECH, strong, 16_000) + 0.1


def test_silence_has_no_voice():
    need("speaker_similarity")
    with pytest.raises(NotMeasurableError, match="silent"):
        speaker_similarity(SPEECH, np.zeros_like(SPEECH), 16_000)
