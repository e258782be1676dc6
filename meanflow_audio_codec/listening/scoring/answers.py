"""The files that the pages of blind tests write, read and checked."""

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError, model_validator

from meanflow_audio_codec.errors import InputError
from meanflow_audio_codec.listening.blind_tests.stimuli import LOW_ANCHOR, MIDDLE_ANCHOR, REFERENCE

Rating = Annotated[int, Field(ge=0, le=100)]
MOST_BYTES = 10_000_000  # of a file of answers


class Checked(BaseModel):
    """Exactly these fields, of exactly these kinds."""

    model_config = ConfigDict(strict=True, extra="forbid", frozen=True, allow_inf_nan=False)


class MushraTrial(Checked):
    """One recording: its conditions in the order they were shown, and the rating of each."""

    recording: str
    stimuli: list[str]
    ratings: list[Rating]
    seconds: float

    @property
    def by_condition(self) -> dict[str, int]:
        """The ratings by condition."""
        return dict(zip(self.stimuli, self.ratings, strict=True))


class AbxTrial(Checked):
    """One question: the conditions called A and B, which of them was X, and which the listener said it was."""

    recording: str
    a: str
    b: str
    x: Literal["a", "b"]
    answer: Literal["a", "b"]
    seconds: float

    @property
    def correct(self) -> bool:
        """Whether the listener was right."""
        return self.x == self.answer


class Answers(Checked):
    """What one listener answered, and to which test: `test` names its sounds and orders."""

    format: Literal["meanflow-listening-answers"]
    version: Literal[1]
    test: str
    title: str
    seed: int
    listener: Annotated[str, Field(min_length=1)]
    order: int
    started: str
    finished: str
    conditions: list[str]


class MushraAnswers(Answers):
    """The answers of a MUSHRA test."""

    kind: Literal["mushra"]
    trials: Annotated[list[MushraTrial], Field(min_length=1)]

    @model_validator(mode="after")
    def _every_condition_once(self) -> "MushraAnswers":
        if not {REFERENCE, LOW_ANCHOR, MIDDLE_ANCHOR} <= set(self.conditions):
            raise ValueError("the conditions lack the reference or an anchor")
        for trial in self.trials:
            if sorted(trial.stimuli) != sorted(self.conditions) or len(trial.ratings) != len(trial.stimuli):
                raise ValueError(f"recording {trial.recording}: not one rating of each condition")
        if len({trial.recording for trial in self.trials}) != len(self.trials):
            raise ValueError("a recording is rated twice")
        return self


class AbxAnswers(Answers):
    """The answers of an ABX test."""

    kind: Literal["abx"]
    trials: Annotated[list[AbxTrial], Field(min_length=1)]

    @model_validator(mode="after")
    def _pairs_with_the_reference(self) -> "AbxAnswers":
        for trial in self.trials:
            if (
                trial.a == trial.b
                or REFERENCE not in (trial.a, trial.b)
                or not {trial.a, trial.b} <= set(self.conditions)
            ):
                raise ValueError(f"recording {trial.recording}: A and B are not the reference and another condition")
        return self


_ADAPTER: TypeAdapter[MushraAnswers | AbxAnswers] = TypeAdapter(
    Annotated[MushraAnswers | AbxAnswers, Field(discriminator="kind")]
)


def read_answers(paths: Sequence[Path]) -> list[MushraAnswers] | list[AbxAnswers]:
    """The answers in these files: of one test, and of one listener each.

    Raises:
        InputError: a file that cannot be read or is no file of answers, files of different tests, or a listener twice.
    """
    read = [(path, _read(path)) for path in paths]
    first_path, first = read[0]
    listeners: dict[str, Path] = {}
    for path, answers in read:
        if (answers.test, answers.kind) != (first.test, first.kind):
            raise InputError(f"{path}: is of another test than {first_path}; score each test by itself")
        if {trial.recording for trial in answers.trials} != {trial.recording for trial in first.trials}:
            raise InputError(f"{path}: has other recordings than {first_path}; give the files as the page wrote them")
        if answers.listener in listeners:
            other = listeners[answers.listener]
            raise InputError(f"{path}: listener {answers.listener} is in {other}, too; give each listener one file")
        listeners[answers.listener] = path
    mushra = [answers for _, answers in read if isinstance(answers, MushraAnswers)]
    return mushra or [answers for _, answers in read if isinstance(answers, AbxAnswers)]


def _read(path: Path) -> MushraAnswers | AbxAnswers:
    try:
        with path.open("rb") as file:
            content = file.read(MOST_BYTES + 1)  # no more, should the file never end
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror})") from None
    if len(content) > MOST_BYTES:
        raise InputError(f"{path}: is too large for a file of answers; give what the page saved")
    try:
        return _ADAPTER.validate_json(content)
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(str(part) for part in first["loc"])
        message = " ".join(first["msg"].split())
        raise InputError(
            f"{path}: is no file of answers ({f'{place}: ' if place else ''}{message}); give what the page saved"
        ) from None
