"""Which metrics took part in making a model: they say less about it than those that did not."""

from dataclasses import dataclass

from meanflow_audio_codec.configs.adversarial_sampler import AdversarialSamplerConfig
from meanflow_audio_codec.configs.experiment import ExperimentConfig

# What a loss on magnitude spectra or mel bands brings down directly.
SPECTRAL_METRICS = frozenset({"lsd", "mel", "mrmel", "mrstft"})
TRAINED, CHOSEN = "†", "‡"


@dataclass(frozen=True)
class MetricMarks:
    """The metrics that a model was trained on or chosen by; None if it does not state by which it was chosen."""

    model: str
    trained_on: frozenset[str]
    chosen_by: frozenset[str] | None

    def of(self, metric: str) -> str:
        """The marks of a metric in a table: of training, of choosing, both, or none."""
        chosen = self.chosen_by is not None and metric in self.chosen_by
        return TRAINED * (metric in self.trained_on) + CHOSEN * chosen


def metric_marks(model: str, config: ExperimentConfig, chosen_by: tuple[str, ...] | None) -> MetricMarks:
    """The marks of a model, from the configuration of its last training run and from what its config.json states."""
    by_spectra = config.training.spectral_loss is not None or isinstance(config.method, AdversarialSamplerConfig)
    trained_on = SPECTRAL_METRICS if by_spectra else frozenset()
    return MetricMarks(model, trained_on, None if chosen_by is None else frozenset(chosen_by))


def explain_marks(marks: list[MetricMarks], metrics: list[str]) -> list[str]:
    """What stands below a table of these metrics: the meaning of the marks in it, and which models are silent."""
    found = "".join(mark.of(metric) for mark in marks for metric in metrics)
    remarks = []
    if TRAINED in found:
        remarks.append(f"{TRAINED} A loss of this kind took part in training.")
    if CHOSEN in found:
        remarks.append(f"{CHOSEN} Settings or weights were chosen by this metric.")
    silent = sorted({mark.model for mark in marks if mark.chosen_by is None})
    remarks += [
        f"{model} does not state which metrics it was chosen by (chosen_by in config.json)." for model in silent
    ]
    return remarks
