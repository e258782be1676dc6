"""Signals as FLAC files in memory, for the players of the report."""

import io
from collections.abc import Mapping

import numpy as np
from jaxtyping import Float

from meanflow_audio_codec.study.report.pages.document import Player, Recordings

PEAK = 0.9  # of full scale


def recordings(title: str, clips: Mapping[str, Float[np.ndarray, " samples"]], sample_rate: int) -> Recordings:
    """Players of one clip in several versions; one gain for all of them, so that none is clipped and all compare."""
    clean = {label: np.nan_to_num(clip, nan=0.0, posinf=0.0, neginf=0.0) for label, clip in clips.items()}
    loudest = max((float(np.abs(clip).max()) for clip in clean.values() if clip.size), default=0.0)
    gain = min(1.0, PEAK / loudest) if loudest > 0.0 else 1.0
    return Recordings(title, tuple(Player(label, _flac(gain * clip, sample_rate)) for label, clip in clean.items()))


def _flac(samples: Float[np.ndarray, " samples"], sample_rate: int) -> bytes:
    import soundfile

    file = io.BytesIO()
    soundfile.write(file, samples, sample_rate, format="FLAC", subtype="PCM_16")
    return file.getvalue()
