"""Scores of decoded speech by metrics made from listeners' votes: optional columns of the audio codec cells."""

from functools import lru_cache

import numpy as np
from jaxtyping import Float

from meanflow_audio_codec.evaluators.clip_scores import METRICS, ClipPair, score_clips
from meanflow_audio_codec.evaluators.metric_packages import available, how_to_install
from meanflow_audio_codec.study.scoring.test_items import Items

PANEL = ("dnsmos_p808", "distillmos")


def panel_scores(
    items: Items, decoded: Float[np.ndarray, "b samples"], *, with_slow: bool
) -> tuple[dict[str, np.ndarray], dict[str, float | str]]:
    """Scores per clip, and figures: means, the originals' own means, and what was not scored and why.

    The clips are the cell's own test items, so the same for all cells. Without `with_slow` what takes as long as the
    clip is left out, and counts as not asked for.
    """
    asked = tuple(name for name in PANEL if with_slow or not METRICS[name].slow)
    installed = available()
    present = tuple(name for name in asked if installed[name])
    per_item = _scores(items, decoded, present)
    figures: dict[str, float | str] = {name: _mean(values) for name, values in per_item.items()}
    figures |= {f"original_{name}": _mean(values) for name, values in _of_originals(_Held(items), present).items()}
    absent = [f"{METRICS[name].heading}: {how_to_install(name)}" for name in asked if name not in per_item]
    figures["not_scored"] = "; ".join(absent)
    return per_item, figures


class _Held:
    """Items as a key of a cache: equal if they are the same object, which a cache of test items hands out."""

    def __init__(self, items: Items):
        self.items = items

    def __hash__(self) -> int:
        return id(self.items)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Held) and other.items is self.items


@lru_cache(maxsize=2)
def _of_originals(held: _Held, metrics: tuple[str, ...]) -> dict[str, Float[np.ndarray, " b"]]:
    """Once for all settings of a cell, and all cells of a process."""
    return _scores(held.items, held.items.signals, metrics)


def _scores(
    items: Items, decoded: Float[np.ndarray, "b samples"], metrics: tuple[str, ...]
) -> dict[str, Float[np.ndarray, " b"]]:
    """NaN where a metric is not defined, as for a silent clip; no column where its package cannot be loaded."""
    pairs = [
        ClipPair(str(index), one, other, items.sample_rate or 0)
        for index, (one, other) in enumerate(zip(items.signals, decoded, strict=True))
    ]
    clips = score_clips(pairs, metrics)
    values = {
        name: [clip.scores[name] for clip in clips]
        for name in metrics
        if not any(name in clip.missing for clip in clips)
    }
    return {
        name: np.array([np.nan if value is None else value for value in column], np.float32)
        for name, column in values.items()
    }


def _mean(values: Float[np.ndarray, " b"]) -> float:
    return float(np.nanmean(values)) if np.isfinite(values).any() else float("nan")
