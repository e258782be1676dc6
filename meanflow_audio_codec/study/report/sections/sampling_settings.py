"""Every way in which trained generators were sampled, with what came of it."""

from meanflow_audio_codec.study.report.methods import title
from meanflow_audio_codec.study.report.metrics import METRICS, PERCEPTION
from meanflow_audio_codec.study.report.numbers import NOTHING, number
from meanflow_audio_codec.study.report.pages.document import Details, Entry, Rows, Table
from meanflow_audio_codec.study.report.records import Cell, Results, Setting
from meanflow_audio_codec.study.report.sweeps import SETTINGS

COLUMNS = ("accuracy", PERCEPTION, "kernel_distance", "precision", "recall")
HEADINGS = {"num_evaluations": "NFE", "temperature": "temperature", "guidance_scale": "guidance scale"}
CAPTION = (
    "One seed per method, the same trained weights in every row of it; the lowest Fréchet distance of each method is "
    "bold. No setting was chosen by this table: it is of test items."
)


def sampling_settings(results: Results, cells: list[Cell]) -> Details | None:
    """Evaluations, temperature and guidance scale against all scores; None where nothing was sampled in two ways."""
    rows = []
    for cell in cells:
        seed = min((setting.seed for setting in results.settings if setting.cell == cell), default=None)
        settings = [setting for setting in results.settings if (setting.cell, setting.seed) == (cell, seed)]
        if len(settings) > 1:
            rows += _rows(cell, sorted(settings, key=_order))
    if not rows:
        return None
    headings = ("method", *(HEADINGS[name] for name in SETTINGS), *(METRICS[name].title for name in COLUMNS))
    return Details("Other numbers of evaluations, temperatures and guidance scales", (_table(headings, rows),))


def _table(headings: tuple[str, ...], rows: list[tuple[Entry, ...]]) -> Table:
    return Table(headings, (Rows("", tuple(rows)),), caption=CAPTION)


def _rows(cell: Cell, settings: list[Setting]) -> list[tuple[Entry, ...]]:
    best = min((setting.values[PERCEPTION] for setting in settings if PERCEPTION in setting.values), default=None)
    rows = []
    for setting in settings:
        entries = [Entry(title(cell.method)), *(Entry(_text(setting, name)) for name in SETTINGS)]
        for name in COLUMNS:
            metric = METRICS[name]
            text = number(setting.values[name] * metric.scale, metric.decimals) if name in setting.values else NOTHING
            entries.append(
                Entry(text, bold=name == PERCEPTION and best is not None and setting.values.get(name) == best)
            )
        rows.append(tuple(entries))
    return rows


def _text(setting: Setting, name: str) -> str:
    return f"{setting.values[name]:g}" if name in setting.values else NOTHING


def _order(setting: Setting) -> tuple[float, ...]:
    """By evaluations, then guidance scale, then temperature, highest first."""
    values = setting.values
    return values.get("num_evaluations", 0.0), values.get("guidance_scale", 0.0), -values.get("temperature", 0.0)
