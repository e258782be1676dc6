"""Short answers to the questions of the study, chosen by the numbers."""

from collections import Counter

from meanflow_audio_codec.study.report.effects import TOKENIZATION_COMPARISONS, Comparison, Effect, Effects
from meanflow_audio_codec.study.report.methods import METHODS, base_method, group_title, title
from meanflow_audio_codec.study.report.metrics import COUNTERPARTS, MAIN_DISTORTION, METRICS, PERCEPTION, dataset_title
from meanflow_audio_codec.study.report.numbers import number
from meanflow_audio_codec.study.report.pages.document import Block, Blocks, Bullets, Heading, Paragraph
from meanflow_audio_codec.study.report.panel import scored
from meanflow_audio_codec.study.report.records import Cell
from meanflow_audio_codec.study.report.sections.differences import carried_over, effect_text

ADVERSARY = Comparison("method", "improved-mean-flow", "adversarial")
RATES = {"codec": "lower rate", "codec-high-rate": "higher rate"}


def answers(effects: Effects) -> Blocks:
    """The section, one list per question."""
    results = effects.results
    datasets = [dataset for dataset in results.datasets("codec") if dataset in MAIN_DISTORTION]
    questions = (
        ("Which method is best at equal bits?", [line for dataset in datasets for line in _best(effects, dataset)]),
        ("Does the MDCT help?", [line for dataset in datasets for line in _tokenization(effects, dataset)]),
        ("Do the findings on MNIST carry over to audio?", _carry_over(effects)),
        (
            "When does improved mean flow replace the adversary?",
            [line for dataset in datasets for line in _replacement(effects, dataset)],
        ),
    )
    blocks: list[Block] = [
        Heading("Answers"),
        Paragraph("Written by rule from the tables below. Brackets: 95 % intervals; marks: see the effects."),
    ]
    for question, lines in questions:
        blocks += [
            Heading(question, 3),
            Bullets(tuple(lines) or (Paragraph("The cells it needs have not finished.", "Not run."),)),
        ]
    return blocks


def _best(effects: Effects, dataset: str) -> list[Paragraph]:
    """The best method by distortion and by perception: in how many groups, and by how much in the first of them."""
    lines = []
    kinds = [("distortion", MAIN_DISTORTION[dataset]), ("perception", PERCEPTION)]
    kinds += [("listeners' votes", name) for name in scored(effects.results, effects.results.cells("codec", dataset))]
    for kind, name in kinds:
        metric = METRICS[name]
        rankings: dict[tuple[str, str], list[Cell]] = {}
        for cell in effects.results.cells("codec", dataset):
            if base_method(cell.method) is None and effects.results.mean(cell, name) is not None:
                rankings.setdefault(cell.group, []).append(cell)
        rankings = {group: cells for group, cells in rankings.items() if len(cells) > 1}
        if not rankings:
            continue
        for cells in rankings.values():
            cells.sort(key=lambda cell: effects.results.mean(cell, name) or 0.0, reverse=metric.higher_is_better)
        wins = Counter(cells[0].method for cells in rankings.values()).most_common()
        counts = ", ".join(f"{title(method)} in {count} of {len(rankings)} settings" for method, count in wins)
        (group, (best, second, *_)), *_ = rankings.items()
        means = f"{_mean(effects, best, name)}, then {_mean(effects, second, name)}"
        difference, bits = _effect(effects.between(best, second, name)), _bits(effects, rankings[group])
        text = f"best is {counts}. In {group_title(*group)}: {means} (difference {difference}); {bits}."
        text += _with_one_evaluation(effects, rankings[group], name)
        lines.append(Paragraph(text, f"{dataset_title(dataset)}, {kind} ({metric.heading}):"))
    return lines


def _with_one_evaluation(effects: Effects, ranking: list[Cell], name: str) -> str:
    """The best of the methods that evaluate the network once, where that is not the best of all."""
    single = [cell for cell in ranking if effects.results.mean(cell, "num_evaluations") == 1.0]
    if not single or single[0] == ranking[0]:
        return ""
    return f" With one evaluation of the network: {_mean(effects, single[0], name)}."


def _mean(effects: Effects, cell: Cell, name: str) -> str:
    metric = METRICS[name]
    return f"{title(cell.method)} {number((effects.results.mean(cell, name) or 0.0) * metric.scale, metric.decimals)}"


def _bits(effects: Effects, cells: list[Cell]) -> str:
    """The real rates of the compared cells."""
    rates = [rate for cell in cells if (rate := effects.results.mean(cell, "bits_per_item")) is not None]
    if not rates:
        return "bits unknown"
    low, high = number(min(rates), 1), number(max(rates), 1)
    return f"{low} bits per item" if low == high else f"{low} to {high} bits per item"


def _effect(effect: Effect | None) -> str:
    """A difference in words: its numbers, and a warning where zero is within."""
    if effect is None:
        return "unknown"
    text = effect_text(effect)
    if effect.basis == "nothing":
        return f"{text}, no interval"
    return text if effect.away_from_zero else f"{text}, not told apart from zero"


def _tokenization(effects: Effects, dataset: str) -> list[Paragraph]:
    (comparison,) = TOKENIZATION_COMPARISONS
    found = [effects.of(comparison, dataset, name) for name in (MAIN_DISTORTION[dataset], PERCEPTION)]
    known = [effect for effect in found if effect is not None]
    if not known:
        return []
    verdicts = [effect.verdict for effect in known]
    if "better" in verdicts and "worse" in verdicts:
        answer = "It trades one for the other"
    elif "better" in verdicts:
        answer = "Yes" if verdicts.count("better") == 2 else f"Yes in {_named(known, 'better')}"
    elif "worse" in verdicts:
        answer = "No, it harms" if verdicts.count("worse") == 2 else f"No, it harms {_named(known, 'worse')}"
    else:
        answer = "Not told apart"
    numbers = "; ".join(f"{effect.metric.heading} {_effect(effect)}" for effect in known)
    pairs = known[0].pairs
    text = f"{answer}. MDCT minus reshape over {len(pairs)} pairs of cells: {numbers} (lower is better). "
    firsts, seconds = (_bits(effects, [pair[side] for pair in pairs]) for side in (0, 1))
    text += f"MDCT: {firsts}, reshape: {seconds}."
    return [Paragraph(text, f"{dataset_title(dataset)}:")]


def _named(effects: list[Effect], verdict: str) -> str:
    return " and ".join(effect.metric.heading for effect in effects if effect.verdict == verdict)


def _carry_over(effects: Effects) -> list[Paragraph]:
    """How many effects are the same on both datasets, and which, for distortion and for perception."""
    rows = [row for row in carried_over(effects) if row[-1] != "not run"]
    if not rows:
        return []
    count = Counter(answer for *_, answer in rows)
    text = (
        f"Of {len(rows)} effects measured on both, {count['yes']} point the same way with intervals away from zero, "
        f"{count['no']} point opposite ways, {count['open']} are open. "
        f"{', '.join(f'{style.short}: {style.title}' for style in METHODS.values())}."
    )
    lines = [Paragraph(text)]
    for main in (COUNTERPARTS[0][0], COUNTERPARTS[-1][0]):
        parts = []
        for answer, word in (("yes", "the same"), ("no", "opposite"), ("open", "open")):
            names = [comparison.short for comparison, role, *_, found in rows if (role, found) == (main, answer)]
            parts += [f"{word} for {', '.join(names)}"] if names else []
        if parts:
            lines.append(Paragraph(f"{'; '.join(parts)}.", f"{main[0].upper()}{main[1:]}:"))
    return lines


def _replacement(effects: Effects, dataset: str) -> list[Paragraph]:
    """Pair by pair: whether neither perception nor distortion, nor listeners' votes, are worse than the adversary's."""
    lines = []
    for task, rate in RATES.items():
        groups = dict.fromkeys(cell.group for cell in effects.results.cells(task, dataset))
        for group in groups:
            found = [
                effects.of(ADVERSARY, dataset, name, group=group, task=task)
                for name in (PERCEPTION, MAIN_DISTORTION[dataset])
            ]
            if None in found:
                continue
            cells = [cell for cell in effects.results.cells(task, dataset) if cell.group == group]
            found += [
                effects.of(ADVERSARY, dataset, name, group=group, task=task) for name in scored(effects.results, cells)
            ]
            pair = [effect for effect in found if effect is not None]
            worse = [effect.metric.heading for effect in pair if _is_worse(effect)]
            neither, both = ("neither", "both") if len(pair) == 2 else ("none", "all")
            answer = f"No: worse in {' and '.join(worse)}" if worse else f"Yes: worse in {neither}"
            if not worse and all(effect.verdict == "better" for effect in pair):
                answer = f"Yes: better in {both}"
            numbers = "; ".join(f"{effect.metric.heading} {_effect(effect)}" for effect in pair)
            text = f"{answer}. Improved mean flow minus adversarial: {numbers}."
            lines.append(Paragraph(text, f"{dataset_title(dataset)}, {group_title(*group)}, {rate}:"))
    return lines


def _is_worse(effect: Effect) -> bool:
    """By the interval; by the means where there is none."""
    if effect.basis == "nothing":
        return effect.metric.better(0.0, effect.mean)
    return effect.verdict == "worse"
