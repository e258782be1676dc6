"""Word errors of a recogniser: PocketSphinx with its own model of US English (BSD), offline and weak."""

import importlib
import re
from functools import cache, lru_cache
from typing import Any

import numpy as np
from jaxtyping import Float

from meanflow_audio_codec.evaluators.metric_errors import MissingPackageError, NotMeasurableError
from meanflow_audio_codec.evaluators.panel.sixteen_kilohertz import SAMPLE_RATE, at_16_khz


def word_error_rate(
    reference: Float[np.ndarray, " samples"],
    estimate: Float[np.ndarray, " samples"],
    sample_rate: int,
    transcript: str = "",
) -> float:
    """Words changed, left out and added, over the words of the transcript.

    Without a transcript the words that are recognised in the original take its place.

    Raises:
        NotMeasurableError: the original is silent, or there are no words.
        MissingPackageError: pocketsphinx is not installed.
    """
    spoken = split_words(transcript) or recognise(reference, sample_rate)
    if not spoken:
        raise NotMeasurableError("no words in the original")
    # A decoder that falls silent has lost every word.
    heard = recognise(estimate, sample_rate) if np.any(estimate) else ()
    return edit_distance(spoken, heard) / len(spoken)


def split_words(text: str) -> tuple[str, ...]:
    """Words in small letters, without punctuation; the apostrophes stay."""
    return tuple(re.findall(r"\w+(?:'\w+)*", text.lower().replace("\u2019", "'")))


def recognise(signal: Float[np.ndarray, " samples"], sample_rate: int) -> tuple[str, ...]:
    """The words that the recogniser hears.

    Raises:
        NotMeasurableError: the clip is silent.
        MissingPackageError: pocketsphinx is not installed.
    """
    # Kept, since the original is compared with several systems.
    return _recognised((at_16_khz(signal, sample_rate) * 32_767.0).astype("<i2").tobytes())


def edit_distance(spoken: tuple[str, ...], heard: tuple[str, ...]) -> int:
    """The fewest changed, left out and added words that lead from one to the other (Levenshtein 1966)."""
    row = list(range(len(heard) + 1))
    for count, word in enumerate(spoken, 1):
        before, row = row, [count]
        for position, other in enumerate(heard, 1):
            row.append(min(before[position] + 1, row[-1] + 1, before[position - 1] + (word != other)))
    return row[-1]


@lru_cache(maxsize=512)
def _recognised(samples: bytes) -> tuple[str, ...]:
    decoder = _decoder()
    decoder.start_utt()
    # As a whole: features are then normalised over the clip, whatever was heard before.
    decoder.process_raw(samples, full_utt=True)
    decoder.end_utt()
    found = decoder.hyp()
    return split_words(found.hypstr) if found is not None else ()


@cache
def _decoder() -> Any:
    try:
        package = importlib.import_module("pocketsphinx")
    except ImportError:
        raise MissingPackageError("the word error rate needs the package pocketsphinx") from None
    return package.Decoder(samprate=SAMPLE_RATE, loglevel="FATAL")
