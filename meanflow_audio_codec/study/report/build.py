"""The report of a study: a page, its Markdown, and its figures."""

import os
from collections.abc import Iterator
from pathlib import Path

from meanflow_audio_codec.errors import InputError
from meanflow_audio_codec.study.report.effects import Effects
from meanflow_audio_codec.study.report.pages.document import Block, Commentary, Paragraph
from meanflow_audio_codec.study.report.pages.html_page import to_html
from meanflow_audio_codec.study.report.pages.markdown import to_markdown
from meanflow_audio_codec.study.report.records import Results, read_results
from meanflow_audio_codec.study.report.sections.ablations import ablations
from meanflow_audio_codec.study.report.sections.answers import answers
from meanflow_audio_codec.study.report.sections.differences import differences
from meanflow_audio_codec.study.report.sections.evaluations import evaluations
from meanflow_audio_codec.study.report.sections.generation import generation
from meanflow_audio_codec.study.report.sections.learning_rate import learning_rate
from meanflow_audio_codec.study.report.sections.runs import runs
from meanflow_audio_codec.study.report.sections.samples import samples
from meanflow_audio_codec.study.report.sections.scores import scores
from meanflow_audio_codec.study.report.sections.stability import stability
from meanflow_audio_codec.study.report.sections.trade_offs import trade_offs

TITLE = "Decoders of a neural codec: regression, flows, adversary"
SUBJECT = (
    "Methods of training a decoder, crossed with architectures and tokenizations, on images and on audio, at equal "
    "bits and equal numbers of parameters."
)


def write_report(results_directory: Path, output_directory: Path) -> None:
    """Write `report.html`, `report.md` and `figures/` from the tables, items and samples of a study, complete or not.

    `commentary.md` in the output directory, if it is there, is put at the top of both files.

    Raises:
        InputError: there are no results, they are damaged, or the output directory cannot be written to.
    """
    results = read_results(results_directory)
    try:
        (output_directory / "figures").mkdir(parents=True, exist_ok=True)
        blocks = list(_blocks(results, output_directory))
        _write(output_directory / "report.md", to_markdown(TITLE, blocks, output_directory))
        _write(output_directory / "report.html", to_html(TITLE, blocks))
    except OSError as error:
        raise InputError(
            f"{output_directory}: the report cannot be written ({error}): choose another folder"
        ) from error


def _blocks(results: Results, output_directory: Path) -> Iterator[Block]:
    figures, effects = output_directory / "figures", Effects(results)
    finished = sum(run.status == "finished" for run in results.runs)
    presets = ", ".join(sorted({run.preset for run in results.runs}))
    yield Paragraph(f"{SUBJECT} Preset {presets}: {finished} of {len(results.runs)} recorded runs finished.")
    commentary = output_directory / "commentary.md"
    if commentary.is_file():
        yield Commentary(commentary.read_text(encoding="utf-8-sig"))
    yield from answers(effects)
    yield from runs(results)
    yield from scores(results, figures)
    yield from differences(effects, figures)
    yield from trade_offs(results, figures)
    yield from evaluations(results, figures)
    yield from stability(results)
    yield from learning_rate(results)
    yield from generation(results, figures)
    yield from samples(results, figures)
    yield from ablations(effects)


def _write(path: Path, text: str) -> None:
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    temporary.write_text(text, encoding="utf-8")
    os.replace(temporary, path)
