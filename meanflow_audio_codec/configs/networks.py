"""Network sizes and shapes."""

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

from meanflow_audio_codec.configs.base import Config


class MLPConfig(Config):
    """All tokens of a segment flattened into one vector, then residual two-layer blocks: a fixed number of tokens."""

    kind: Literal["mlp"] = "mlp"
    # Features per token before and after the network; `hidden_width` is that of the flattened vector's blocks.
    width: PositiveInt = 64
    hidden_width: PositiveInt = 512
    num_blocks: PositiveInt = 4
    expansion: PositiveInt = 2
    gelu: Literal["exact", "tanh"] = "tanh"


class MixerConfig(Config):
    """MLP-Mixer: two-layer networks over tokens and over channels in turn; a fixed number of tokens."""

    kind: Literal["mixer"] = "mixer"
    width: PositiveInt = 128
    # Hidden units of the network over tokens.
    token_width: PositiveInt = 64
    num_blocks: PositiveInt = 4
    expansion: PositiveInt = 3
    gelu: Literal["exact", "tanh"] = "tanh"


class ConvNeXtConfig(Config):
    """ConvNeXt blocks over the token grid: depthwise convolution, then a two-layer network per token."""

    kind: Literal["convnext"] = "convnext"
    width: PositiveInt = 256
    num_blocks: PositiveInt = 8
    kernel_size: PositiveInt = 7
    expansion: PositiveInt = 3
    gelu: Literal["exact", "tanh"] = "tanh"
    # Global response normalisation of ConvNeXt V2 (arXiv 2301.00808): channels compete, by their norm over the grid.
    response_normalization: bool = False
    # What the kernel covers: as many tokens on both sides, or its own and earlier ones (frames in time only).
    padding: Literal["centred", "causal"] = "centred"

    @field_validator("kernel_size")
    @classmethod
    def _odd(cls, value: int) -> int:
        if value % 2 == 0:
            raise ValueError("kernel_size must be odd, so that the convolution is centred")
        return value

    @model_validator(mode="after")
    def _causal_throughout(self) -> "ConvNeXtConfig":
        if self.padding == "causal" and self.response_normalization:
            raise ValueError(
                "response_normalization makes every frame depend on every other, later ones too: switch it off, or set "
                "padding to centred"
            )
        return self


class PatchConvolutionConfig(Config):
    """Convolutions over time and frequency patches, for a decoder that is conditioned on a prior (audio MDCT only)."""

    kind: Literal["patch-convolution"] = "patch-convolution"
    # From the lowest frequency up: how many patches there are, and of how many bins. Narrow ones where the ear resolves
    # harmonics; wide ones above.
    patches: Annotated[tuple[tuple[PositiveInt, PositiveInt], ...], Field(min_length=1)] = ((20, 8), (5, 32))
    # Features of a patch, and how many times as many lie between the two layers of a block.
    width: PositiveInt = 64
    expansion: PositiveInt = 2
    # Features that a patch is told by each of its four neighbours.
    neighbour_width: PositiveInt = 16
    # One block per entry: how many frames, and how many patches, away its neighbours are.
    dilations: Annotated[tuple[tuple[PositiveInt, PositiveInt], ...], Field(min_length=1)] = (
        (1, 1),
        (1, 2),
        (2, 1),
        (1, 4),
        (2, 2),
        (1, 1),
    )
    # What the prior's mean has in this range of frequencies, in Hz, excites the harmonics above it.
    excitation_range_hz: tuple[NonNegativeFloat, PositiveFloat] = (200.0, 1500.0)

    @property
    def num_blocks(self) -> int:
        """As many as there are dilations."""
        return len(self.dilations)

    @field_validator("excitation_range_hz")
    @classmethod
    def _ascending(cls, value: tuple[float, float]) -> tuple[float, float]:
        if value[0] >= value[1]:
            raise ValueError(f"excitation_range_hz must be (lowest, highest), not {value}")
        return value


ArchitectureConfig = Annotated[ConvNeXtConfig | MLPConfig | MixerConfig, Field(discriminator="kind")]

DecoderArchitectureConfig = Annotated[
    ConvNeXtConfig | MLPConfig | MixerConfig | PatchConvolutionConfig, Field(discriminator="kind")
]


class FSQConfig(Config):
    """Finite scalar quantisation: one digit per level count."""

    kind: Literal["fsq"] = "fsq"
    levels: tuple[Annotated[int, Field(ge=2, le=64)], ...] = (5,) * 24

    @property
    def num_codes(self) -> int:
        """Codes of a token: one digit per channel."""
        return len(self.levels)


# Finest levels of a residual finite scalar quantiser: so many that their sums are exact and float32 still tells them
# apart.
MOST_FINE_LEVELS = 2**16


class ResidualFSQConfig(Config):
    """Finite scalar quantisation in stages, each of what the former ones left: one digit per stage and channel."""

    kind: Literal["residual-fsq"] = "residual-fsq"
    channels: PositiveInt = 24
    num_stages: PositiveInt = 2
    # Of every digit; odd, so that a digit may be zero.
    num_levels: Annotated[int, Field(ge=3, le=63)] = 5

    @property
    def num_codes(self) -> int:
        """Codes of a token: the digits of all channels, stage after stage."""
        return self.num_stages * self.channels

    @field_validator("num_levels")
    @classmethod
    def _odd(cls, value: int) -> int:
        if value % 2 == 0:
            raise ValueError(f"num_levels must be odd, not {value}, so that zero is a level of every stage")
        return value

    @model_validator(mode="after")
    def _levels_are_told_apart(self) -> "ResidualFSQConfig":
        if self.num_levels**self.num_stages > MOST_FINE_LEVELS:
            raise ValueError(
                f"{self.num_stages} stages of {self.num_levels} levels divide a channel into more than "
                f"{MOST_FINE_LEVELS}: lower num_stages or num_levels"
            )
        return self


class RVQConfig(Config):
    """Residual vector quantisation: each codebook codes what the former ones left of the latent."""

    kind: Literal["rvq"] = "rvq"
    channels: PositiveInt = 64
    num_codebooks: PositiveInt = 12
    codebook_size: Annotated[int, Field(ge=2, le=4096)] = 1024
    # Channels that a codebook sees, by a linear map of its own: few, so that few of its entries go unused.
    code_channels: PositiveInt = 8
    # Weights of the squared distance between latent and entry: as a loss of the entry, and as one of the latent.
    codebook_weight: PositiveFloat = 1.0
    commitment_weight: PositiveFloat = 0.25

    @property
    def num_codes(self) -> int:
        """Codes of a token: one per codebook."""
        return self.num_codebooks

    @model_validator(mode="after")
    def _codebooks_see_less_than_all(self) -> "RVQConfig":
        if self.code_channels > self.channels:
            raise ValueError(f"code_channels {self.code_channels} must not exceed channels {self.channels}")
        return self


BottleneckConfig = Annotated[FSQConfig | ResidualFSQConfig | RVQConfig, Field(discriminator="kind")]


class EncoderConfig(Config):
    """From normalised tokens (and their side information) to the latent that the bottleneck quantises."""

    architecture: ArchitectureConfig = ConvNeXtConfig(num_blocks=6)


class DiscriminatorConfig(Config):
    """The adversary of the adversarial method: convolutions over MDCTs of several lengths, or over image patches."""

    width: PositiveInt = 32
    num_blocks: PositiveInt = 3
    # Hop lengths of the MDCTs that the discriminator of audio looks at; an image has one scale.
    hop_lengths: tuple[Annotated[PositiveInt, Field(multiple_of=2)], ...] = (64, 160, 400)


class PriorConfig(Config):
    """Mean and scale of every token value given the codes; the flow then models what is left."""

    architecture: ArchitectureConfig = ConvNeXtConfig(num_blocks=6)


class VelocityNetConfig(Config):
    """The decoder network u(z, r, t | condition)."""

    architecture: DecoderArchitectureConfig = ConvNeXtConfig()
    # What the last layer stands for: u itself, u up to a learned gain on z, the data x with u = (z - x) / t, or what u
    # has beyond the mean velocity of data that are Gaussian.
    output: Literal["velocity", "skip-velocity", "data", "beyond-gaussian"] = "skip-velocity"
    velocity_head: bool = False
    # Highest angular frequency of the time embedding, in rad per unit time: du/dt grows with it.
    max_time_frequency: PositiveFloat = 12.0
    num_time_frequencies: PositiveInt = 16
    condition_width: PositiveInt = 128
    # Labels the network knows; one more embedding stands for "no label".
    num_classes: NonNegativeInt = 0
