"""What is heard in a blind test: originals and what systems made of them, matched in level, from folders."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Float

from meanflow_audio_codec.datasets.audio_files import read_audio
from meanflow_audio_codec.errors import InputError
from meanflow_audio_codec.listening.blind_tests.anchors import LOW_HZ, MIDDLE_HZ, anchor
from meanflow_audio_codec.listening.decoded_folders import read_decoded, recordings_in
from meanflow_audio_codec.listening.loudness import match

REFERENCE, LOW_ANCHOR, MIDDLE_ANCHOR = "reference", "low-anchor", "middle-anchor"
OWN_NAMES = (REFERENCE, LOW_ANCHOR, MIDDLE_ANCHOR)


@dataclass(frozen=True)
class BlindRecording:
    """A recording as every condition has it, in order, and the gain in dB that each was given."""

    name: str
    sample_rate: int
    sounds: dict[str, Float[np.ndarray, "channels samples"]]
    gains_db: dict[str, float]

    @property
    def seconds(self) -> float:
        """How long it is."""
        return self.sounds[REFERENCE].shape[1] / self.sample_rate


def parse_systems(texts: list[str]) -> dict[str, Path]:
    """Folders by the system's name, from `NAME=FOLDER` or `FOLDER`, whose last part is the name then.

    Raises:
        InputError: no name, one name twice, or a name that the test itself uses.
    """
    systems: dict[str, Path] = {}
    for text in texts:
        name, equals, folder = text.partition("=")
        path = Path(folder if equals else text)
        name = name if equals else path.resolve().name
        if not name or (equals and not folder):
            raise InputError(f"--systems: {text!r}; write NAME=FOLDER or FOLDER")
        if name in OWN_NAMES or name in systems:
            used = "is a name of the test itself" if name in OWN_NAMES else "is named twice"
            raise InputError(f"--systems: {name} {used}; write another NAME=FOLDER")
        systems[name] = path
    return systems


def read_stimuli(reference: Path, systems: dict[str, Path], *, anchors: bool) -> list[BlindRecording]:
    """Every recording of the reference folder in every condition: reference, anchors if wanted, systems.

    Systems are brought to the loudness of the reference; anchors are the reference without its high frequencies, and
    keep its level.

    Raises:
        InputError: a folder or a file is missing or does not fit, or a sample rate is too low for an anchor.
    """
    recordings = []
    for name, path in recordings_in(reference).items():
        original, rate = read_audio(path)
        decoded = [read_decoded(folder, name, original, rate) for folder in systems.values()]
        low_passed = (anchor(original, rate, LOW_HZ), anchor(original, rate, MIDDLE_HZ)) if anchors else ()
        matched = match(original, decoded, rate, kept=low_passed)
        names = [REFERENCE, *systems, *((LOW_ANCHOR, MIDDLE_ANCHOR) if anchors else ())]
        recordings.append(
            BlindRecording(
                name,
                rate,
                {condition: version.audio for condition, version in zip(names, matched, strict=True)},
                {condition: version.gain_db for condition, version in zip(names, matched, strict=True)},
            )
        )
    return recordings
