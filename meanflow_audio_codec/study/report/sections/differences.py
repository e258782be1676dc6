"""The effects of method, architecture and tokenization, and which of them hold on both datasets."""

import math
from pathlib import Path

from meanflow_audio_codec.study.report.effects import (
    ARCHITECTURE_COMPARISONS,
    COMPARISONS,
    LEGEND,
    MARKS,
    METHOD_COMPARISONS,
    TOKENIZATION_COMPARISONS,
    Comparison,
    Effect,
    Effects,
)
from meanflow_audio_codec.study.report.methods import group_title
from meanflow_audio_codec.study.report.metrics import (
    COUNTERPARTS,
    MAIN_DISTORTION,
    METRICS,
    PERCEPTION,
    Metric,
    dataset_title,
)
from meanflow_audio_codec.study.report.numbers import MINUS, NOTHING, interval_text
from meanflow_audio_codec.study.report.pages.document import (
    Block,
    Blocks,
    Details,
    Entry,
    Heading,
    Picture,
    Rows,
    Table,
    missing,
)
from meanflow_audio_codec.study.report.plots import Bar, effect_bars

KINDS = (
    ("Methods", METHOD_COMPARISONS),
    ("Architectures", ARCHITECTURE_COMPARISONS),
    ("Tokenizations", TOKENIZATION_COMPARISONS),
)
Carried = list[tuple[Comparison, str, Effect | None, Effect | None, str]]


def differences(effects: Effects, figures: Path) -> Blocks:
    """The section."""
    blocks: list[Block] = [Heading("Effects with 95 % intervals")]
    found = False
    for dataset in effects.results.datasets("codec"):
        metrics = _metrics(effects, dataset)
        pooled = tuple(Rows(kind, _rows(effects, compared, dataset, metrics)) for kind, compared in KINDS)
        if not any(group.rows for group in pooled):
            continue
        found = True
        blocks.append(Heading(dataset_title(dataset), 3))
        blocks += _figure(effects, dataset, figures)
        headings = (f"first {MINUS} second", "pairs", *(metric.title for metric in metrics))
        pooled = tuple(group for group in pooled if group.rows)
        blocks.append(Table(headings, pooled, caption=f"Averaged over all pairs of matched cells. {LEGEND}"))
        groups = dict.fromkeys(cell.group for cell in effects.results.cells("codec", dataset))
        single = [
            Rows(group_title(*group), _rows(effects, METHOD_COMPARISONS, dataset, metrics, group)) for group in groups
        ]
        single = tuple(group for group in single if group.rows)
        if single:
            blocks.append(Details("Methods within each architecture and tokenization", (Table(headings, single),)))
    if not found:
        return [*blocks, missing("No two finished cells differ in one choice alone.")]
    return [*blocks, *_carry_over_tables(effects)]


def carried_over(effects: Effects) -> Carried:
    """Every comparison on both datasets, by role of the metric: yes, no, or open.

    Yes: both intervals leave out zero and both effects are for the better, or both for the worse. No: they leave it out
    on opposite sides. Open: an interval holds zero, or there is none.
    """
    rows: Carried = []
    for comparison in COMPARISONS:
        for role, on_images, on_audio in COUNTERPARTS:
            images = effects.of(comparison, "mnist", on_images)
            audio = effects.of(comparison, "audio", on_audio)
            if images is None and audio is None:
                continue
            if images is None or audio is None:
                answer = "not run"
            elif "unclear" in (images.verdict, audio.verdict):
                answer = "open"
            else:
                answer = "yes" if images.verdict == audio.verdict else "no"
            rows.append((comparison, role, images, audio, answer))
    return rows


def effect_entry(effect: Effect | None) -> Entry:
    """A difference with its interval, as an entry of a table."""
    if effect is None:
        return Entry(NOTHING, tone="missing")
    tone = effect.verdict if effect.verdict != "unclear" else ""
    return Entry(effect_text(effect), bold=effect.away_from_zero, tone=tone)


def effect_text(effect: Effect) -> str:
    """The numbers of an effect and the mark of what its interval covers."""
    mean, low, high = (value * effect.metric.scale for value in (effect.mean, effect.low, effect.high))
    return interval_text(mean, low, high, effect.metric.decimals) + MARKS[effect.basis]


def _metrics(effects: Effects, dataset: str) -> list[Metric]:
    cells = effects.results.cells("codec", dataset)
    return [m for m in METRICS.values() if any(effects.results.values(cell, m.name) for cell in cells)]


def _rows(
    effects: Effects,
    comparisons: tuple[Comparison, ...],
    dataset: str,
    metrics: list[Metric],
    group: tuple[str, str] | None = None,
) -> tuple[tuple[Entry, ...], ...]:
    rows = []
    for comparison in comparisons:
        found = [effects.of(comparison, dataset, metric.name, group=group) for metric in metrics]
        counts = [len(effect.pairs) for effect in found if effect is not None]
        if counts:
            count = Entry(str(max(counts)))
            rows.append((Entry(comparison.title), count, *(effect_entry(effect) for effect in found)))
    return tuple(rows)


def _figure(effects: Effects, dataset: str, figures: Path) -> Blocks:
    """Relative differences of distortion and perception."""
    names = [name for name in (MAIN_DISTORTION.get(dataset), PERCEPTION) if name]
    names = [name for name in names if any(effects.of(c, dataset, name) for c in COMPARISONS)]
    compared = [c for c in COMPARISONS if any(effects.of(c, dataset, name) for name in names)]
    if not compared:
        return []
    columns = {METRICS[name].heading: [_bar(effects, c, dataset, name) for c in compared] for name in names}
    path = effect_bars(figures / f"effects-{dataset}.png", [c.title for c in compared], columns)
    caption = (
        "Difference as a share of the second's mean, with its 95 % interval: left of zero is better. Blue: better, "
        "orange: worse, grey: not told apart from zero."
    )
    description = f"Relative differences in {' and '.join(columns)} on {dataset_title(dataset)}."
    return [Picture(path, description, caption)]


def _bar(effects: Effects, comparison: Comparison, dataset: str, name: str) -> Bar | None:
    effect = effects.of(comparison, dataset, name)
    if effect is None:
        return None
    means = [effects.results.mean(second, name) or math.nan for _, second in effect.pairs]
    scale = 100.0 / (sum(means) / len(means))
    return Bar(effect.mean * scale, effect.low * scale, effect.high * scale, effect.verdict)


def _carry_over_tables(effects: Effects) -> Blocks:
    """All answers at a glance, and on demand the effects behind them."""
    title = Heading("Does the MNIST finding carry over to audio?", 3)
    rows = carried_over(effects)
    if not any(answer != "not run" for *_, answer in rows):
        return [title, missing("No comparison has cells on both datasets.")]
    glance, groups = [], []
    for comparison in dict.fromkeys(row[0] for row in rows):
        found = {role: (images, audio, answer) for c, role, images, audio, answer in rows if c == comparison}
        answers = [_answer(found[role][2]) if role in found else Entry(NOTHING) for role, _, _ in COUNTERPARTS]
        glance.append((Entry(comparison.title), *answers))
        lines = tuple(
            (Entry(role), effect_entry(images), effect_entry(audio), _answer(answer))
            for role, (images, audio, answer) in found.items()
        )
        groups.append(Rows(comparison.title, lines))
    pairs = "; ".join(
        f"{role}: {METRICS[images].heading} and {METRICS[audio].heading}"
        for role, images, audio in COUNTERPARTS
        if images != audio
    )
    caption = (
        "Yes: both intervals leave out zero and point the same way (for the better or for the worse); no: they point "
        f"opposite ways; open: an interval holds zero or is missing. Compared are {pairs}."
    )
    headings = (f"first {MINUS} second", *(role for role, _, _ in COUNTERPARTS))
    detail = Table(("role", "MNIST", "Audio", "carries over"), tuple(groups), caption="Marks as above.")
    return [
        title,
        Table(headings, (Rows("", tuple(glance)),), caption=caption),
        Details("The effects on both datasets", (detail,)),
    ]


def _answer(text: str) -> Entry:
    return Entry(text, bold=text in ("yes", "no"), tone="missing" if text in ("open", "not run") else "")
