"""The page of a comparison: per recording a table of versions to switch between, waveform, spectrogram, blind A/B/X."""

import html
from typing import Any

from meanflow_audio_codec.evaluators.clip_scores import METRICS
from meanflow_audio_codec.evaluators.metric_marks import MetricMarks, explain_marks
from meanflow_audio_codec.evaluators.metric_packages import how_to_install
from meanflow_audio_codec.listening.comparison.recordings import Recording, Scored
from meanflow_audio_codec.listening.embedding import audio_address, data_address
from meanflow_audio_codec.listening.loudness import Matched, match
from meanflow_audio_codec.listening.page import html_page
from meanflow_audio_codec.listening.pictures import frequency_ticks, mel_levels, mel_pictures, waveform

TITLE = "Listening comparison"
INTRODUCTION = (
    "All versions of a recording play at once and one is heard: switching keeps the position. They are matched in "
    "loudness (ITU-R BS.1770); the gain that this took stands in the table. Scores are of the sounds as decoded."
)
KEYS = (
    ("Space", "play or pause"),
    ("1 to 9", "version"),
    ("↑ ↓", "previous or next version"),
    ("← →", "one second back or ahead"),
    ("Home", "to the start"),
    ("L", "loop on or off"),
    ("Esc", "forget the marked part"),
    ("N P", "next or previous recording"),
    ("A B X", "play a sound of the blind test"),
)
LEAST_GAIN_DB = 0.05  # shown as a gain; below it rounds to nothing


def comparison_page(recordings: list[Recording], marks: list[MetricMarks]) -> str:
    """The HTML of recordings in their versions; `marks` are those of the models among them.

    Raises:
        InputError: a recording whose sample rate or channels FLAC cannot hold.
    """
    scored = [each for recording in recordings for each in recording.versions]
    metrics = [metric for metric in METRICS if any(metric in each.scores for each in scored)]
    missing = list(dict.fromkeys(metric for each in scored for metric in each.missing))
    sections, data = [], []
    for number, recording in enumerate(recordings):
        matched = match(
            recording.versions[0].version.audio,
            [each.version.audio for each in recording.versions[1:]],
            recording.sample_rate,
        )
        sections.append(_section(number, recording, matched, metrics))
        data.append(_data(recording, matched))
    remarks = explain_marks(marks, metrics) if marks else []
    remarks += [
        f"{metric} was not computed, its package is not installed: {how_to_install(metric)}" for metric in missing
    ]
    notes = "".join(f"<p>{html.escape(remark)}</p>" for remark in remarks)
    keys = "".join(f"<div><dt>{_keys(key)}</dt><dd>{html.escape(what)}</dd></div>" for key, what in KEYS)
    body = f"""<header><h1>{TITLE}</h1><p>{INTRODUCTION}</p>
<details><summary>Keys</summary><dl class="keys">{keys}</dl></details></header>
<main>
{"".join(sections)}
<footer>{notes}</footer>
</main>"""
    return html_page(
        TITLE,
        body,
        {"recordings": data},
        styles=("style.css", "comparison.css"),
        scripts=("player.js", "binomial.js", "comparison.js"),
    )


def _data(recording: Recording, matched: list[Matched]) -> dict[str, Any]:
    levels = [mel_levels(version.audio.mean(axis=0), recording.sample_rate) for version in matched]
    pictures = mel_pictures(levels)
    return {
        "name": recording.name,
        "seconds": recording.seconds,
        "versions": [
            {
                "title": scored.version.title,
                "detail": scored.version.detail,
                "gain_db": version.gain_db,
                "audio": audio_address(version.audio, recording.sample_rate),
                "waveform": waveform(version.audio.mean(axis=0)).tolist(),
                "spectrogram": data_address(picture, "image/png"),
            }
            for scored, version, picture in zip(recording.versions, matched, pictures, strict=True)
        ],
    }


def _section(number: int, recording: Recording, matched: list[Matched], metrics: list[str]) -> str:
    name = html.escape(recording.name)
    channels = len(recording.versions[0].version.audio)
    about = f"{recording.seconds:.2f} s, {recording.sample_rate / 1000:g} kHz, " + (
        ("mono", "stereo")[channels - 1] if channels < 3 else f"{channels} channels"
    )
    heads = "".join(f'<th scope="col">{html.escape(METRICS[metric].heading)}</th>' for metric in metrics)
    rows = "".join(
        _row(number, index, scored, version, metrics)
        for index, (scored, version) in enumerate(zip(recording.versions, matched, strict=True))
    )
    ticks = "".join(
        f'<span style="bottom:{100 * tick.height:.1f}%">{tick.label}</span>'
        for tick in frequency_ticks(recording.sample_rate)
    )
    options = "".join(
        f'<option value="{index}">{html.escape(_title(scored))}</option>'
        for index, scored in enumerate(recording.versions)
    )
    second = options.replace('<option value="1">', '<option value="1" selected>')
    return f"""<section class="recording" data-number="{number}" aria-label="{name}">
<h2>{name} <small>{about}</small></h2>
<div class="views">
<div class="plots" title="Click: go there. Drag: mark a part to loop.">
<canvas class="wave" aria-hidden="true"></canvas>
<div class="spectrogram"><div class="ticks">{ticks}</div></div>
<div class="part" hidden></div><div class="playhead"></div>
</div>
<p class="caption">Waveform, and mel spectrogram (kHz; 80 dB) of <output class="shown"></output>.</p>
</div>
<div class="transport">
<button type="button" class="play">Play</button>
<input type="range" class="position" min="0" max="{recording.seconds:.3f}" step="0.01" value="0" aria-label="position">
<output class="time">0.00 s</output>
<label><input type="checkbox" class="loop"> loop</label>
</div>
<div class="scroll"><table>
<thead><tr><th scope="col">version</th><th scope="col">kbit/s</th><th scope="col">gain (dB)</th>{heads}</tr></thead>
<tbody>{rows}</tbody>
</table></div>
<details class="blind"><summary>Blind A/B/X</summary>
<p>X is A or B, by chance. Listen, then say which.</p>
<p class="choices"><label>A <select class="a">{options}</select></label>
<label>B <select class="b">{second}</select></label></p>
<p class="choices"><button type="button" data-hear="a">A</button><button type="button" data-hear="b">B</button>
<button type="button" data-hear="x">X</button>
<button type="button" data-answer="a">X is A</button><button type="button" data-answer="b">X is B</button></p>
<p role="status" class="tally">No answer yet.</p>
</details>
</section>
"""


def _row(number: int, index: int, scored: Scored, matched: Matched, metrics: list[str]) -> str:
    version = scored.version
    checked = " checked" if index == 0 else ""
    key = f"<kbd>{index + 1}</kbd> " if index < 9 else ""
    detail = f" <small>{html.escape(version.detail)}</small>" if version.detail else ""
    rate = "" if version.bits_per_second is None else f"{version.bits_per_second / 1000:.2f}"
    stated = " <small>stated</small>" if rate and version.stated else ""
    gain = f"{matched.gain_db:+.1f}" if abs(matched.gain_db) >= LEAST_GAIN_DB else "0"
    cells = "".join(f"<td>{_score(scored, metric)}</td>" for metric in metrics)
    name = f'<span class="name">{html.escape(version.title)}{detail}</span>'
    return (
        f'<tr><th scope="row"><label><input type="radio" name="version-{number}" value="{index}"{checked}> {key}{name}'
        f"</label></th><td>{rate}{stated}</td><td>{gain}</td>{cells}</tr>\n"
    )


def _score(scored: Scored, metric: str) -> str:
    if metric not in scored.scores:
        return ""
    value = scored.scores[metric]
    marks = scored.version.marks
    text = "not defined" if value is None else f"{value:.3f}"
    return html.escape(f"{text} {marks.of(metric)}".strip() if marks is not None else text)


def _title(scored: Scored) -> str:
    version = scored.version
    return f"{version.title}, {version.detail}" if version.detail else version.title


def _keys(text: str) -> str:
    return html.escape(text) if " to " in text else " ".join(f"<kbd>{html.escape(key)}</kbd>" for key in text.split())
