"""One experiment: everything that decides what is trained, in one value."""

from typing import Annotated, Literal

from pydantic import (
    Field,
    NonNegativeFloat,
    NonNegativeInt,
    PositiveFloat,
    PositiveInt,
    field_validator,
    model_validator,
)

from meanflow_audio_codec.configs.adversarial_sampler import AdversarialSamplerConfig
from meanflow_audio_codec.configs.base import Config
from meanflow_audio_codec.configs.data import (
    AudioFolderConfig,
    DatasetConfig,
    GaussianConfig,
    MnistConfig,
    SyntheticAudioConfig,
    SyntheticImagesConfig,
)
from meanflow_audio_codec.configs.decoding import DecodingConfig, ServingConfig
from meanflow_audio_codec.configs.methods import (
    AdversarialConfig,
    AutoencoderConfig,
    FixedGuidanceConfig,
    FlowMatchingConfig,
    ImprovedMeanFlowConfig,
    MethodConfig,
)
from meanflow_audio_codec.configs.networks import (
    BottleneckConfig,
    ConvNeXtConfig,
    EncoderConfig,
    FSQConfig,
    PatchConvolutionConfig,
    PriorConfig,
    VelocityNetConfig,
)
from meanflow_audio_codec.configs.tokens import (
    BlockGainShapeConfig,
    ChannelStatisticsConfig,
    MDCTConfig,
    NormalizationConfig,
    ReshapeConfig,
    TokenizerConfig,
)

MNIST_SIZE = 28  # rows and columns


class OptimizerConfig(Config):
    """AdamW with linear warm-up and gradient clipping by global norm."""

    learning_rate: PositiveFloat = 1e-3
    schedule: Literal["constant", "cosine"] = "cosine"
    warmup_steps: NonNegativeInt = 200
    final_learning_rate_share: Annotated[float, Field(ge=0.0, le=1.0)] = 0.05
    weight_decay: NonNegativeFloat = 0.01
    beta1: Annotated[float, Field(ge=0.0, lt=1.0)] = 0.9
    beta2: Annotated[float, Field(ge=0.0, lt=1.0)] = 0.95
    max_gradient_norm: PositiveFloat = 1.0


class SpectralLossConfig(Config):
    """Mel distance between a signal and what one evaluation decodes; costs an evaluation and its gradient."""

    weight: PositiveFloat = 1.0
    # Lengths in samples.
    windows: Annotated[tuple[Annotated[int, Field(ge=16, le=8192, multiple_of=4)], ...], Field(min_length=1)] = (
        256,
        512,
        1024,
    )
    # The temperature is drawn anew in every step.
    temperatures: tuple[NonNegativeFloat, NonNegativeFloat] = (0.1, 0.6)
    # How far two draws are pushed apart: 0 asks for the median spectrum, 1 for spectra that vary with the temperature
    # as those of recordings do. Costs a second evaluation.
    repulsion: Annotated[float, Field(ge=0.0, le=1.0)] = 0.0
    # Weight of the magnitudes of single frequencies beside those of mel bands.
    bin_weight: NonNegativeFloat = 0.0

    @field_validator("temperatures")
    @classmethod
    def _ascending(cls, value: tuple[float, float]) -> tuple[float, float]:
        if value[0] > value[1]:
            raise ValueError(f"temperatures must be (lowest, highest), not {value}")
        return value


class TrainingConfig(Config):
    """Length, averaging, logging and checkpoints of a run."""

    num_steps: PositiveInt = 10_000
    batch_size: PositiveInt = 16
    seed: NonNegativeInt = 0
    ema_decay: Annotated[float, Field(ge=0.0, lt=1.0)] = 0.999
    prior_loss_weight: NonNegativeFloat = 1.0
    # Errors of the prior and of the method are weighted by band gain to this power: 0 is a constant signal-to-noise
    # ratio in all bands of a frame, 2 is white noise.
    prior_gain_exponent: NonNegativeFloat = 0.5
    method_gain_exponent: NonNegativeFloat = 0.5
    # Networks that keep the weights they start with: to train a decoder anew for codes that must stay as they are, or
    # encoder and prior by regression alone.
    frozen_networks: tuple[Literal["encoder", "prior", "decoder"], ...] = ()
    # Networks that start from random weights where the others start from those of a model.
    fresh_networks: tuple[Literal["encoder", "prior", "decoder"], ...] = ()
    # Weight of the method's own loss. 0 leaves it out, and its cost: what a decoder is without its flow.
    method_loss_weight: NonNegativeFloat = 1.0
    spectral_loss: SpectralLossConfig | None = None
    log_every: PositiveInt = 20
    validate_every: PositiveInt = 500
    validation_batches: PositiveInt = 4
    checkpoint_every: PositiveInt = 250
    keep_checkpoints: PositiveInt = 2


class ExperimentConfig(Config):
    """A cell of the study or a codec: data, tokens, networks, method, training."""

    name: Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9._-]{0,126}$")] = "experiment"
    dataset: DatasetConfig = AudioFolderConfig()
    # Tokens that the networks see at a time, cut from the middle of each crop of audio; None gives them all tokens.
    # Networks of a fixed number of tokens (mlp, mixer) need it to code audio of any length.
    segment_tokens: PositiveInt | None = None
    tokenizer: TokenizerConfig = MDCTConfig()
    normalization: NormalizationConfig = ChannelStatisticsConfig()
    # Without encoder and bottleneck the model is generative only: samples, but no codec.
    encoder: EncoderConfig | None = EncoderConfig()
    bottleneck: BottleneckConfig | None = None
    prior: PriorConfig | None = None
    decoder: VelocityNetConfig = VelocityNetConfig()
    method: MethodConfig = ImprovedMeanFlowConfig()
    optimizer: OptimizerConfig = OptimizerConfig()
    training: TrainingConfig = TrainingConfig()
    decoding: DecodingConfig = DecodingConfig()
    serving: ServingConfig = ServingConfig()

    @model_validator(mode="after")
    def _parts_fit_together(self) -> "ExperimentConfig":
        if (self.encoder is None) != (self.bottleneck is None):
            raise ValueError("encoder and bottleneck belong together: set both, or neither for a generative model")
        if self.prior is not None and self.encoder is None:
            raise ValueError("prior predicts tokens from the codes, so it needs an encoder and a bottleneck")
        if isinstance(self.normalization, BlockGainShapeConfig):
            self._check_bands(self.normalization)
            self._check_operating_points(self.normalization)
        if self.decoder.velocity_head and not isinstance(self.method, ImprovedMeanFlowConfig):
            raise ValueError("velocity_head is the tangent of improved-mean-flow; other methods have no use for it")
        if self.decoder.num_classes == 0 and _is_guided(self.method):
            raise ValueError("guidance strengthens a label: set decoder.num_classes, or leave the guidance scales at 1")
        self._check_time()
        self._check_patches()
        if self.training.spectral_loss is not None:
            self._check_spectral_loss(self.training.spectral_loss)
        if isinstance(self.method, AdversarialSamplerConfig):
            self._check_adversarial_sampler(self.method)
        self._check_what_is_trained()
        if self.segment_tokens is not None and not isinstance(self.dataset, AudioFolderConfig | SyntheticAudioConfig):
            raise ValueError("segment_tokens cuts audio; an image is one segment: leave it null")
        if (
            isinstance(self.dataset, MnistConfig | SyntheticImagesConfig)
            and isinstance(self.tokenizer, ReshapeConfig)
            and MNIST_SIZE % self.tokenizer.patch
        ):
            raise ValueError(f"patch {self.tokenizer.patch} must divide the image size {MNIST_SIZE}")
        return self

    def _check_spectral_loss(self, spectral: SpectralLossConfig) -> None:
        if (
            not isinstance(self.dataset, AudioFolderConfig | SyntheticAudioConfig)
            or not isinstance(self.tokenizer, MDCTConfig)
            or self.encoder is None
        ):
            raise ValueError("training.spectral_loss needs audio, mdct tokens and an encoder: set it to null")
        if isinstance(self.method, AdversarialConfig | AdversarialSamplerConfig):
            raise ValueError("training.spectral_loss trains a sampler; an adversarial one has its own losses")
        longest = max(spectral.windows)
        if longest > self.dataset.crop_samples:
            raise ValueError(
                f"training.spectral_loss.windows: {longest} samples are more than a crop, {self.dataset.crop_samples}"
            )

    def _check_adversarial_sampler(self, method: AdversarialSamplerConfig) -> None:
        if not isinstance(self.dataset, AudioFolderConfig | SyntheticAudioConfig) or self.encoder is None:
            raise ValueError("an adversarial-sampler needs audio and an encoder: choose method adversarial")
        longest = max(*method.mel_windows, *method.discriminator.window_lengths)
        samples, count, transform = self.dataset.crop_samples, self.segment_tokens, self.tokenizer
        if count is not None:
            is_reshaped = isinstance(transform, ReshapeConfig)
            samples = count * transform.patch if is_reshaped else (count - 1) * transform.hop_length
        if longest > samples:
            raise ValueError(f"mel_windows and window_lengths: {longest} samples are more than are decoded, {samples}")

    def _check_what_is_trained(self) -> None:
        for name in self.training.frozen_networks:
            if getattr(self, name) is None:
                raise ValueError(f"training.frozen_networks names {name}, which this experiment has not")
            if name in self.training.fresh_networks:
                raise ValueError(
                    f"training.fresh_networks names {name}, which frozen_networks keeps: leave it out of one"
                )
        adversarial = isinstance(self.method, AdversarialConfig | AdversarialSamplerConfig)
        if self.training.method_loss_weight != 1.0 and adversarial:
            raise ValueError("an adversarial method has weights of its own: leave training.method_loss_weight at 1")
        frozen = set(self.training.frozen_networks)
        networks = {name for name in ("encoder", "prior", "decoder") if getattr(self, name) is not None}
        if networks <= frozen:
            raise ValueError(f"training.frozen_networks leaves nothing to train: it names all of {sorted(networks)}")
        has_decoder_loss = self.training.method_loss_weight > 0.0 or self.training.spectral_loss is not None
        if not has_decoder_loss and "decoder" not in frozen:
            raise ValueError(
                "without method_loss_weight and spectral_loss nothing trains the decoder: set one, or name "
                "decoder in training.frozen_networks"
            )
        has_prior_loss = self.prior is not None and self.training.prior_loss_weight > 0.0
        if self.encoder is not None and not has_decoder_loss and not has_prior_loss:
            raise ValueError(
                "without method_loss_weight and spectral_loss only a prior trains the encoder: add one, with "
                "prior_loss_weight above 0"
            )

    def _check_time(self) -> None:
        if isinstance(self.dataset, AudioFolderConfig | SyntheticAudioConfig):
            return
        if isinstance(self.dataset, GaussianConfig) and len(self.dataset.shape) == 1:
            return
        for name in ("encoder", "prior", "decoder"):
            network = getattr(self, name)
            architecture = None if network is None else network.architecture
            if isinstance(architecture, ConvNeXtConfig) and architecture.padding == "causal":
                raise ValueError(f"{name}.architecture.padding causal needs frames in time, not images: use centred")

    def _check_patches(self) -> None:
        architecture = self.decoder.architecture
        if not isinstance(architecture, PatchConvolutionConfig):
            return
        if (
            not isinstance(self.dataset, AudioFolderConfig | SyntheticAudioConfig)
            or not isinstance(self.tokenizer, MDCTConfig)
            or self.prior is None
        ):
            raise ValueError("a patch-convolution decoder needs audio, mdct tokens and a prior: use convnext")
        num_bins = sum(count * bins for count, bins in architecture.patches)
        if num_bins != self.tokenizer.hop_length:
            raise ValueError(f"patches cover {num_bins} bins, not the {self.tokenizer.hop_length} of a frame")
        if self.decoder.output != "beyond-gaussian" or self.decoder.velocity_head or self.decoder.num_classes:
            raise ValueError(
                "a patch-convolution decoder has output beyond-gaussian, no velocity_head and no num_classes"
            )
        highest = architecture.excitation_range_hz[1]
        if 2.0 * highest > self.dataset.sample_rate:
            raise ValueError(f"excitation_range_hz ends at {highest:g} Hz, above half of sample_rate")

    def _check_bands(self, normalization: BlockGainShapeConfig) -> None:
        if not isinstance(self.dataset, AudioFolderConfig | SyntheticAudioConfig):
            raise ValueError("block-gain-shape normalization needs audio; use channel-statistics")
        if not isinstance(self.tokenizer, MDCTConfig):
            if normalization.num_bands > 1:
                raise ValueError("frames of samples have one gain: set normalization.num_bands to 1, or use mdct")
        elif normalization.num_bands > self.tokenizer.hop_length:
            raise ValueError(f"num_bands must not exceed hop_length {self.tokenizer.hop_length}, the number of bins")

    def _check_operating_points(self, normalization: BlockGainShapeConfig) -> None:
        if self.bottleneck is None:
            raise ValueError("block-gain-shape normalization is coded beside the codes: it needs an encoder")
        digits = normalization.operating_points[-1].num_digits
        if digits != self.bottleneck.num_codes:
            raise ValueError(
                f"the last operating point keeps {digits} digits, but the bottleneck has {self.bottleneck.num_codes}"
            )
        points = normalization.operating_points
        if len(points) == 1:
            return
        lowest, highest = points[0].bits_per_second, points[-1].bits_per_second
        if not lowest <= self.serving.default_bits_per_second <= highest:
            raise ValueError(
                f"serving.default_bits_per_second must lie in {lowest} ... {highest}, between operating points"
            )
        if isinstance(self.bottleneck, FSQConfig) and any(level % 2 == 0 for level in self.bottleneck.levels):
            raise ValueError("a digit that is left out is decoded as the middle level: use odd numbers of levels")


def _is_guided(method: MethodConfig) -> bool:
    """Whether training or sampling would strengthen a label."""
    if isinstance(method, AutoencoderConfig | AdversarialConfig | AdversarialSamplerConfig):
        return False
    if isinstance(method, FlowMatchingConfig):
        return method.sampling_scale > 1.0
    guidance = method.guidance
    if isinstance(guidance, FixedGuidanceConfig):
        return guidance.scale > 1.0 or guidance.mixing > 0.0
    return guidance.max_scale > 1.0
