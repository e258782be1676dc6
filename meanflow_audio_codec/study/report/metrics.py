"""The metrics of the study: headings, units, directions, and what each stands for on every dataset."""

from typing import Literal, NamedTuple

Kind = Literal["distortion", "perception"]


class Metric(NamedTuple):
    """A metric as a reader sees it; values are multiplied by `scale` before they are shown."""

    name: str
    heading: str
    unit: str
    kind: Kind
    higher_is_better: bool
    decimals: int
    scale: float = 1.0

    @property
    def title(self) -> str:
        """Heading, unit and an arrow towards better."""
        unit = f" ({self.unit})" if self.unit else ""
        arrow = "↑" if self.higher_is_better else "↓"
        return f"{self.heading}{unit}\N{NO-BREAK SPACE}{arrow}"

    def better(self, first: float, second: float) -> bool:
        """Whether the first value is better than the second."""
        return first > second if self.higher_is_better else first < second


# Distortion needs the original, perception compares what is heard or seen as a whole (Blau and Michaeli,
# arXiv 1711.06077). The order is that of the columns.
METRICS = {
    metric.name: metric
    for metric in (
        Metric("mse", "MSE", "", "distortion", False, 4),
        Metric("psnr", "PSNR", "dB", "distortion", True, 2),
        Metric("ssim", "SSIM", "", "distortion", True, 3),
        Metric("si_sdr", "SI-SDR", "dB", "distortion", True, 2),
        Metric("lsd", "LSD", "", "distortion", False, 3),
        Metric("mel", "mel distance", "", "distortion", False, 3),
        Metric("mrmel", "multi-resolution mel", "", "distortion", False, 3),
        Metric("pesq", "PESQ", "", "distortion", True, 2),
        Metric("estoi", "ESTOI", "", "distortion", True, 3),
        Metric("accuracy", "accuracy", "%", "perception", True, 1, scale=100.0),
        Metric("frechet_distance", "Fréchet distance", "", "perception", False, 2),
        Metric("kernel_distance", "kernel distance", "", "perception", False, 3),
        Metric("precision", "precision", "", "perception", True, 3),
        Metric("recall", "recall", "", "perception", True, 3),
        Metric("dnsmos_p808", "DNSMOS P.808", "", "perception", True, 2),
        Metric("distillmos", "DistillMOS", "", "perception", True, 2),
    )
}

# Per-item arrays of a metric: the first that a file holds. Metrics of whole sets of items have none.
ITEM_ARRAYS = {
    name: (name,)
    for name in ("mse", "psnr", "ssim", "si_sdr", "lsd", "mel", "mrmel", "pesq", "estoi", "dnsmos_p808", "distillmos")
} | {"accuracy": ("correct", "correct_words")}

DATASETS = {"mnist": "MNIST", "audio": "Audio", "words": "Spoken words"}
# The metric that stands for distortion where one is needed; perception is always the Fréchet distance.
MAIN_DISTORTION = {"mnist": "mse", "audio": "mel"}
PERCEPTION = "frechet_distance"
# Made from listeners' votes; they hear the decoded clip alone, so the originals have scores of their own.
PANEL = ("dnsmos_p808", "distillmos")
# What is compared between images and audio: role, metric on MNIST, metric on audio.
COUNTERPARTS = (
    ("distortion", "mse", "mel"),
    ("signal-to-distortion ratio", "psnr", "si_sdr"),
    ("structure or intelligibility", "ssim", "estoi"),
    ("classifier accuracy", "accuracy", "accuracy"),
    ("Fréchet distance", "frechet_distance", "frechet_distance"),
)


def dataset_title(dataset: str) -> str:
    """How a dataset is called in the report."""
    return DATASETS.get(dataset, dataset)
