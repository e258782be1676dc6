"""The pages of both blind tests: sounds, orders and the scripts that ask and export."""

import hashlib
import html
import json
from typing import Any

from meanflow_audio_codec.listening.blind_tests.orders import abx_orders, mushra_orders
from meanflow_audio_codec.listening.blind_tests.stimuli import REFERENCE, BlindRecording
from meanflow_audio_codec.listening.embedding import audio_address
from meanflow_audio_codec.listening.page import html_page

FORMAT_VERSION = 1


def mushra_page(title: str, recordings: list[BlindRecording], *, seed: int) -> str:
    """The HTML of a MUSHRA test: training, then one page per recording with all of its conditions to rate.

    Raises:
        InputError: a sample rate or number of channels that FLAC cannot hold.
    """
    conditions = list(recordings[0].sounds)
    orders = [order._asdict() for order in mushra_orders(len(recordings), len(conditions), seed=seed)]
    return _page(title, "mushra", recordings, seed, {"conditions": conditions, "orders": orders})


def abx_page(title: str, recordings: list[BlindRecording], *, repeats: int, seed: int) -> str:
    """The HTML of an ABX test: training, then the reference against every system, `repeats` times each recording.

    Raises:
        InputError: as `mushra_page`.
    """
    conditions = list(recordings[0].sounds)
    pairs = [[REFERENCE, condition] for condition in conditions if condition != REFERENCE]
    orders = abx_orders(len(recordings), len(pairs), repeats, seed=seed)
    shown = [[trial._asdict() for trial in order] for order in orders]
    return _page(title, "abx", recordings, seed, {"conditions": conditions, "pairs": pairs, "orders": shown})


def _page(title: str, kind: str, recordings: list[BlindRecording], seed: int, plan: dict[str, Any]) -> str:
    data = {
        "version": FORMAT_VERSION,
        "kind": kind,
        "title": title,
        "seed": seed,
        **plan,
        "recordings": [
            {
                "name": each.name,
                "seconds": each.seconds,
                "gains_db": each.gains_db,
                "audio": {name: audio_address(sound, each.sample_rate) for name, sound in each.sounds.items()},
            }
            for each in recordings
        ],
    }
    # Answers of different sounds or orders must not be averaged: the test is named by all of it.
    data["test"] = hashlib.sha256(json.dumps(data, sort_keys=True).encode()).hexdigest()[:16]
    body = f'<header><h1>{html.escape(title)}</h1></header>\n<main id="test" aria-live="polite"></main>'
    scripts = ("player.js", "blind_test.js", f"{kind}.js")
    return html_page(title, body, data, styles=("style.css", "blind_test.css"), scripts=scripts)
