"""The page of the demo: one recording, and the same bytes decoded in several ways."""

import numpy as np
from jaxtyping import Float

from meanflow_audio_codec.evaluators.metric_marks import MetricMarks
from meanflow_audio_codec.listening.comparison.comparison_page import comparison_page
from meanflow_audio_codec.listening.comparison.recordings import Recording, Scored, Version


def demo_page(
    name: str,
    sample_rate: int,
    sounds: dict[str, Float[np.ndarray, "channels samples"]],
    scores: dict[str, dict[str, float | None]],
    *,
    model: str,
    bits_per_second: float,
    marks: MetricMarks,
) -> bytes:
    """The HTML file; of `sounds` the first is the original, the others are named by how they were decoded.

    Raises:
        InputError: as `comparison_page`.
    """
    versions = [
        Scored(
            Version(model, title, audio, bits_per_second, marks=marks) if number else Version(title, "", audio, None),
            scores.get(title, {}),
        )
        for number, (title, audio) in enumerate(sounds.items())
    ]
    return comparison_page([Recording(name, sample_rate, tuple(versions))], [marks]).encode("utf-8", "backslashreplace")
