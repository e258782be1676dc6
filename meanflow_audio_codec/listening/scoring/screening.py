"""Which listeners of a MUSHRA test are left out: post-screening by ITU-R BS.1534-3, section 4.1.2."""

from typing import NamedTuple

from meanflow_audio_codec.listening.blind_tests.stimuli import MIDDLE_ANCHOR, REFERENCE
from meanflow_audio_codec.listening.scoring.answers import MushraAnswers

LOWEST_REFERENCE = HIGHEST_ANCHOR = 90
MOST_SLIPS = 0.15  # of the recordings
MANY_LISTENERS = 0.25  # who rate the anchor so high that the recording hardly suffers from it


class Screening(NamedTuple):
    """Reasons by excluded listener, and the recordings on which the anchor's rule was not applied."""

    excluded: dict[str, str]
    spared: tuple[str, ...]


def screen(answers: list[MushraAnswers]) -> Screening:
    """Excluded: whose hidden reference is below 90, or 7 kHz anchor above 90, in more than 15 % of the recordings.

    Recordings whose anchor more than 25 % of the listeners rate above 90 do not count in the second rule: there the
    anchor was hardly worse than the original.
    """
    recordings = [trial.recording for trial in answers[0].trials]
    fooled = {
        recording: sum(_ratings(each, MIDDLE_ANCHOR)[recording] > HIGHEST_ANCHOR for each in answers)
        for recording in recordings
    }
    spared = tuple(name for name in sorted(recordings) if fooled[name] > MANY_LISTENERS * len(answers))
    counted = [name for name in recordings if name not in spared]
    excluded = {}
    for each in answers:
        missed = sum(rating < LOWEST_REFERENCE for rating in _ratings(each, REFERENCE).values())
        anchors = _ratings(each, MIDDLE_ANCHOR)
        high = sum(anchors[name] > HIGHEST_ANCHOR for name in counted)
        if missed > MOST_SLIPS * len(recordings):
            excluded[each.listener] = f"hidden reference below 90 in {missed} of {len(recordings)} recordings"
        elif counted and high > MOST_SLIPS * len(counted):
            excluded[each.listener] = f"7 kHz anchor above 90 in {high} of {len(counted)} recordings"
    return Screening(excluded, spared)


def _ratings(answers: MushraAnswers, condition: str) -> dict[str, int]:
    return {trial.recording: trial.by_condition[condition] for trial in answers.trials}
