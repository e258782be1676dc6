"""The cells of the study: every combination of its axes, in code, each with its resolved configuration."""

from typing import Any, Literal

from meanflow_audio_codec.configs.base import Config
from meanflow_audio_codec.configs.data import (
    AudioFolderConfig,
    DatasetConfig,
    MnistConfig,
    SyntheticAudioConfig,
    SyntheticImagesConfig,
)
from meanflow_audio_codec.configs.decoding import DecodingConfig
from meanflow_audio_codec.configs.experiment import ExperimentConfig, OptimizerConfig, TrainingConfig
from meanflow_audio_codec.configs.methods import (
    AdversarialConfig,
    AutoencoderConfig,
    FixedGuidanceConfig,
    FlowMatchingConfig,
    GuidanceConfig,
    ImprovedMeanFlowConfig,
    MeanFlowConfig,
    MethodConfig,
    TimeConfig,
)
from meanflow_audio_codec.configs.networks import (
    DiscriminatorConfig,
    EncoderConfig,
    FSQConfig,
    PriorConfig,
    VelocityNetConfig,
)
from meanflow_audio_codec.configs.tokens import (
    BlockGainShapeConfig,
    ChannelStatisticsConfig,
    MDCTConfig,
    NormalizationConfig,
    OperatingPointConfig,
    ReshapeConfig,
    TokenizerConfig,
)
from meanflow_audio_codec.study.scales import (
    CODEC_SCALES,
    GENERATION_SCALES,
    Architecture,
    Data,
    Preset,
    Scale,
    network,
)

Task = Literal[
    "codec",
    "codec-high-rate",
    "codec-learning-rate",
    "codec-low-learning-rate",
    "codec-ablation",
    "generation",
    "generation-ablation",
]
Tokenization = Literal["mdct", "reshape"]

METHODS = ("autoencoder", "flow-matching", "mean-flow", "improved-mean-flow")
ARCHITECTURES: tuple[Architecture, ...] = ("convnet", "mlp", "mixer")
TOKENIZATIONS: tuple[Tokenization, ...] = ("mdct", "reshape")
PRESETS: tuple[Preset, ...] = ("smoke", "small", "full")
SEGMENT_TOKENS = 16  # of audio: 0.32 s at 50 tokens per second
SPEECH_HOP, SPEECH_RATE = 320, 16_000
WORD_HOP, WORD_RATE = 160, 8_000
NUM_DIGITS, NUM_WORDS, NUM_SYNTHETIC_SOUNDS = 10, 15, 3
GUIDANCE_SCALE = 3.0  # of generation
# Of the tasks that train at another learning rate than the usual one.
LEARNING_RATE_FACTORS: dict[str, float] = {"codec-low-learning-rate": 1.0 / 3.0, "codec-learning-rate": 3.0}
# Levels of the codes of a token. At equal rate the tokenizations of a dataset cost the same bits in all: an image 100
# or 200 bits, whether in 25 blocks or 16 patches; a second of speech 3.48 or 6.27 kbit of codes and about 2.1 of band
# gains under the MDCT, 5.69 or 8.48 of codes and 0.1 of frame gains otherwise.
LEVELS: dict[tuple[Data, Tokenization], tuple[tuple[int, ...], tuple[int, ...]]] = {
    ("mnist", "mdct"): ((4, 4), (4,) * 4),
    ("mnist", "reshape"): ((5, 5, 3), (5, 5, 3) * 2),
    ("audio", "mdct"): ((5,) * 30, (5,) * 54),
    ("audio", "reshape"): ((5,) * 49, (5,) * 73),
}
# The one operating point of a model of speech: its rate with the codes of either kind, and the step of its gains.
BITS_PER_SECOND = (5_700, 8_500)
ENVELOPE_STEP_DB = 4.0


class StudyCell(Config):
    """One cell: what is trained for which task, at which scale."""

    preset: Preset
    task: Task
    method: str
    architecture: Architecture
    tokenization: Tokenization
    dataset: Data

    @property
    def name(self) -> str:
        """Unique within a preset; also the name of its files."""
        return "-".join((self.task, self.method, self.architecture, self.tokenization, self.dataset))

    @property
    def is_codec(self) -> bool:
        """Whether the cell encodes and decodes; otherwise it samples from labels."""
        return self.task.startswith("codec")

    @property
    def scale(self) -> Scale:
        """Length and batch size of its training, and the number of test items."""
        return (CODEC_SCALES if self.is_codec else GENERATION_SCALES)[self.preset][self.dataset]

    @property
    def num_seeds(self) -> int:
        """Seeds that the preset runs unless told otherwise: three where variances are reported."""
        return 3 if self.preset != "smoke" and self.architecture == "convnet" and self.task == "codec" else 1

    def config(self, seed: int) -> ExperimentConfig:
        """The resolved configuration of the cell for one seed."""
        scale = self.scale
        levels = LEVELS[self.dataset, self.tokenization][self.task == "codec-high-rate"] if self.is_codec else ()
        parts: dict[str, Any] = {}
        if self.is_codec:
            parts["encoder"] = EncoderConfig(architecture=self._network("encoder"))
            parts["bottleneck"] = FSQConfig(levels=levels)
            if self.method.endswith("-prior"):
                parts["prior"] = PriorConfig(architecture=self._network("encoder"))
        else:
            parts["encoder"] = None
        return ExperimentConfig(
            name=self.name,
            dataset=_dataset(self),
            segment_tokens=SEGMENT_TOKENS if self.dataset == "audio" else None,
            tokenizer=_tokenizer(self),
            normalization=_normalization(self, len(levels)),
            decoder=VelocityNetConfig(
                architecture=self._network("decoder"),
                output="skip-velocity" if self.dataset == "audio" else "data",
                velocity_head=self.method.endswith("-velocity-head"),
                condition_width=scale.condition_width,
                num_classes=0 if self.is_codec else _num_classes(self),
            ),
            method=_method(self),
            optimizer=OptimizerConfig(
                learning_rate=scale.learning_rate * LEARNING_RATE_FACTORS.get(self.task, 1.0),
                warmup_steps=min(100, scale.num_steps // 2),
            ),
            training=TrainingConfig(
                num_steps=scale.num_steps,
                batch_size=scale.batch_size,
                seed=seed,
                log_every=min(scale.num_steps, 20),
                ema_decay=0.99 if self.preset != "full" else 0.999,
                validate_every=max(scale.num_steps // 2, 1),
                validation_batches=2 if self.preset == "smoke" else 4,
                checkpoint_every=max(scale.num_steps // 4, 1) if self.preset != "smoke" else scale.num_steps,
                keep_checkpoints=1,
            ),
            # What is decoded at a temperature is shown as it is.
            decoding=DecodingConfig(energy_restoration=0.0),
            **parts,
        )

    def _network(self, part: Literal["encoder", "decoder"]):
        return network(
            self.preset,
            "codec" if self.is_codec else "generation",
            self.dataset,
            self.architecture,
            self.tokenization,
            part,
        )


def codec_cells(preset: Preset) -> list[StudyCell]:
    """The 48 cells of the codec task."""
    return [
        StudyCell(
            preset=preset,
            task="codec",
            method=method,
            architecture=architecture,
            tokenization=tokenization,
            dataset=dataset,
        )
        for architecture in ARCHITECTURES
        for dataset in ("mnist", "audio")
        for tokenization in TOKENIZATIONS
        for method in METHODS
    ]


def all_cells(preset: Preset) -> list[StudyCell]:
    """Every cell of a preset, in the order they are run: the 48 first."""

    def convnet(task: Task, methods: tuple[str, ...], datasets: tuple[Data, ...]) -> list[StudyCell]:
        return [
            StudyCell(
                preset=preset,
                task=task,
                method=method,
                architecture="convnet",
                tokenization=tokenization,
                dataset=dataset,
            )
            for dataset in datasets
            for tokenization in TOKENIZATIONS
            for method in methods
        ]

    cells = codec_cells(preset)
    cells += convnet("codec", ("adversarial",), ("mnist", "audio"))
    cells += [
        StudyCell(
            preset=preset,
            task="generation",
            method=method,
            architecture=architecture,
            tokenization=tokenization,
            dataset=dataset,
        )
        for architecture in ARCHITECTURES
        for dataset in ("mnist", "words")
        for tokenization in TOKENIZATIONS
        for method in METHODS[1:]
    ]
    cells += convnet("codec-high-rate", (*METHODS, "adversarial"), ("mnist", "audio"))
    cells += convnet("codec-learning-rate", (*METHODS, "adversarial"), ("mnist", "audio"))
    cells += convnet("codec-low-learning-rate", (*METHODS, "adversarial"), ("mnist", "audio"))
    ablations = ("improved-mean-flow-velocity-head", "improved-mean-flow-prior")
    cells += convnet("codec-ablation", ablations, ("mnist", "audio"))
    ablations = ("improved-mean-flow-fixed-guidance", "improved-mean-flow-interval", "improved-mean-flow-velocity-head")
    cells += convnet("generation-ablation", ablations, ("mnist", "words"))
    return cells


def _dataset(cell: StudyCell) -> DatasetConfig:
    if cell.preset == "smoke":  # needs no files: it tests the machinery
        if cell.dataset == "mnist":
            return SyntheticImagesConfig()
        if cell.dataset == "audio":
            return SyntheticAudioConfig(sample_rate=SPEECH_RATE, crop_samples=(SEGMENT_TOKENS + 1) * SPEECH_HOP)
        return SyntheticAudioConfig(sample_rate=WORD_RATE, crop_samples=WORD_RATE)
    if cell.dataset == "mnist":
        return MnistConfig()
    if cell.dataset == "audio":
        # One frame more than a segment: its middle frames have all their samples.
        return AudioFolderConfig(
            folders=("speech",), crop_samples=(SEGMENT_TOKENS + 1) * SPEECH_HOP, gain_range_db=(-18.0, 6.0)
        )
    return AudioFolderConfig(
        folders=("digits", "keywords"),
        sample_rate=WORD_RATE,
        crop_samples=WORD_RATE,
        gain_range_db=(0.0, 0.0),
        label_columns=("digit", "keyword"),
        level_dbfs=-20.0,
    )


def _num_classes(cell: StudyCell) -> int:
    if cell.dataset == "mnist":
        return NUM_DIGITS
    return NUM_SYNTHETIC_SOUNDS if cell.preset == "smoke" else NUM_WORDS


def _tokenizer(cell: StudyCell) -> TokenizerConfig:
    if cell.dataset == "mnist":
        return MDCTConfig(hop_length=8) if cell.tokenization == "mdct" else ReshapeConfig(patch=7)
    hop = SPEECH_HOP if cell.dataset == "audio" else WORD_HOP
    return MDCTConfig(hop_length=hop) if cell.tokenization == "mdct" else ReshapeConfig(patch=hop)


def _normalization(cell: StudyCell, num_digits: int) -> NormalizationConfig:
    if cell.dataset == "audio":
        # Band gains for frames of frequencies, one gain for a frame of samples; both cost bits.
        point = OperatingPointConfig(
            bits_per_second=BITS_PER_SECOND[cell.task == "codec-high-rate"],
            envelope_step_db=ENVELOPE_STEP_DB,
            num_digits=num_digits,
        )
        return BlockGainShapeConfig(num_bands=21 if cell.tokenization == "mdct" else 1, operating_points=(point,))
    if cell.dataset == "mnist":
        # With a scale per channel the faintest frequencies count as much as a stroke, and take its bits.
        return ChannelStatisticsConfig(shared_scale=True)
    # Coefficients of sound have heavy tails, samples less so.
    tails = cell.tokenization == "mdct"
    return ChannelStatisticsConfig(compression_power=0.5 if tails else 1.0)


def _method(cell: StudyCell) -> MethodConfig:
    generative = not cell.is_codec
    match cell.method:
        case "autoencoder":
            return AutoencoderConfig()
        case "adversarial":
            # At full width the discriminator of audio costs fourteen times the networks it judges.
            width = 16 if (cell.preset, cell.dataset) == ("small", "audio") else DiscriminatorConfig().width
            discriminator = DiscriminatorConfig(width=width)
            if cell.preset == "smoke":
                discriminator = DiscriminatorConfig(width=4, num_blocks=1, hop_lengths=(64, 160))
            # Against an adversary from the first step, the codes of audio never came to carry anything.
            return AdversarialConfig(start_step=cell.scale.num_steps // 2, discriminator=discriminator)
        case "flow-matching":
            # Weighted as the mean flows are, so that the methods differ in their targets alone.
            time = _time(cell, 0.0)
            return FlowMatchingConfig(
                time_mean=time.mean,
                time_standard_deviation=time.standard_deviation,
                sampling_scale=GUIDANCE_SCALE if generative else 1.0,
                adaptive_weight_power=1.0,
            )
        case "mean-flow":
            guidance = FixedGuidanceConfig(scale=GUIDANCE_SCALE if generative else 1.0)
            return MeanFlowConfig(time=_time(cell, 0.75), guidance=guidance)
        case "improved-mean-flow-fixed-guidance":
            return ImprovedMeanFlowConfig(time=_time(cell, 0.5), guidance=FixedGuidanceConfig(scale=GUIDANCE_SCALE))
        case _ if generative:
            return ImprovedMeanFlowConfig(
                time=_time(cell, 0.5),
                guidance=GuidanceConfig(
                    max_scale=5.0,
                    sampling_scale=GUIDANCE_SCALE,
                    condition_on_interval=cell.method.endswith("-interval"),
                ),
            )
        case _:
            return ImprovedMeanFlowConfig(time=_time(cell, 0.5))


def _time(cell: StudyCell, equal_share: float) -> TimeConfig:
    """Times spread widely: one evaluation asks for r = 0, t = 1, near which the narrower default hardly ever draws.

    On validation digits (1,000 steps of 64 images, one evaluation) a standard deviation of the logits of 1.6 instead of
    1 raised the accuracy of samples from 72 % to 93 %; 2.4 lowered it to 79 %. On speech with codes it makes seeds
    agree (documentation/research/improved_meanflow/training.md, "One step reaches where training hardly goes"). Digits
    with codes gain little and keep the default.
    """
    if cell.is_codec and cell.dataset == "mnist":
        return TimeConfig(equal_share=equal_share)
    return TimeConfig(mean=0.0, standard_deviation=1.6, equal_share=equal_share)
