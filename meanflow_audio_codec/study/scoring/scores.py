"""The score of one cell under one setting of its decoder."""

from dataclasses import dataclass, field

import numpy as np

from meanflow_audio_codec.configs.methods import FlowMatchingConfig
from meanflow_audio_codec.study.cells import StudyCell


@dataclass(frozen=True)
class Setting:
    """How a trained cell is decoded or sampled."""

    num_steps: int
    temperature: float = 1.0
    guidance_scale: float = 1.0


@dataclass
class Scores:
    """Figures over all items, figures per item, and the first few signals."""

    figures: dict[str, float | int | str]
    per_item: dict[str, np.ndarray] = field(default_factory=dict)
    signals: np.ndarray | None = None
    labels: np.ndarray | None = None
    sample_rate: int | None = None


def main_setting(cell: StudyCell) -> Setting:
    """The setting that the row of a cell stands for: the method's own number of steps and guidance."""
    from meanflow_audio_codec.inference.generation import sampling_guidance_scale
    from meanflow_audio_codec.models.build import build_method

    config = cell.config(0)
    scale = 1.0 if cell.is_codec else sampling_guidance_scale(config.method)
    return Setting(build_method(config.method).default_num_steps, 1.0, scale)


def sweep_settings(cell: StudyCell) -> list[Setting]:
    """Further settings of the ConvNet cells: other numbers of steps, temperatures and guidance scales."""
    method = cell.config(0).method
    if cell.architecture != "convnet" or method.kind in ("autoencoder", "adversarial"):
        return []
    main = main_setting(cell)
    steps = (1, 4, 16) if isinstance(method, FlowMatchingConfig) else (2, 4)
    settings = [Setting(count, 1.0, main.guidance_scale) for count in steps]
    if cell.is_codec:
        return settings + [Setting(main.num_steps, temperature) for temperature in (0.8, 0.5, 0.0)]
    scales = (main.guidance_scale,)
    if method.kind == "flow-matching":  # sixty-four evaluations each
        settings += [Setting(main.num_steps, 1.0, scale) for scale in (1.0, 2.0)]
        settings += [Setting(steps[-1], 1.0, 2.0)]
        scales += (2.0,)
    elif cell.method == "improved-mean-flow":
        settings += [Setting(main.num_steps, 1.0, scale) for scale in (1.0, 1.5, 2.0, 5.0)]
        scales += (2.0,)
    # Thirty-two evaluations of flow matching beside one of the others.
    count = steps[-1] if method.kind == "flow-matching" else main.num_steps
    return settings + [Setting(count, temperature, scale) for scale in scales for temperature in (0.9, 0.8)]


def setting_figures(cell: StudyCell, setting: Setting) -> dict[str, float | int | str]:
    """The columns that describe a setting; evaluations count every call of the network."""
    from meanflow_audio_codec.models.build import build_method

    method = cell.config(0).method
    guided = setting.guidance_scale != 1.0
    return {
        "num_evaluations": build_method(method).num_evaluations(setting.num_steps, guided=guided),
        "solver": "euler",
        "temperature": setting.temperature,
        "guidance_scale": setting.guidance_scale,
    }
