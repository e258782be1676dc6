"""Network sizes and shapes."""

from typing import Annotated, Literal

from pydantic import Field, NonNegativeInt, PositiveFloat, PositiveInt, field_validator

from meanflow_audio_codec.configs.base import Config


class ConvNeXtConfig(Config):
    """ConvNeXt blocks over the token grid: depthwise convolution, then a two-layer network per token."""

    kind: Literal["convnext"] = "convnext"
    width: PositiveInt = 256
    num_blocks: PositiveInt = 8
    kernel_size: PositiveInt = 7
    expansion: PositiveInt = 3
    gelu: Literal["exact", "tanh"] = "tanh"

    @field_validator("kernel_size")
    @classmethod
    def _odd(cls, value: int) -> int:
        if value % 2 == 0:
            raise ValueError("kernel_size must be odd, so that the convolution is centred")
        return value


ArchitectureConfig = Annotated[ConvNeXtConfig, Field()]


class FSQConfig(Config):
    """Finite scalar quantisation: one digit per level count."""

    kind: Literal["fsq"] = "fsq"
    levels: tuple[Annotated[int, Field(ge=2, le=64)], ...] = (5,) * 24


BottleneckConfig = Annotated[FSQConfig, Field()]


class EncoderConfig(Config):
    """From normalised tokens (and their side information) to the latent that the bottleneck quantises."""

    architecture: ArchitectureConfig = ConvNeXtConfig(num_blocks=6)


class PriorConfig(Config):
    """Mean and scale of every token value given the codes; the flow then models what is left."""

    architecture: ArchitectureConfig = ConvNeXtConfig(num_blocks=6)


class VelocityNetConfig(Config):
    """The decoder network u(z, r, t | condition)."""

    architecture: ArchitectureConfig = ConvNeXtConfig()
    # What the last layer stands for: u itself, u up to a learned gain on z, or the data x with u = (z - x) / t.
    output: Literal["velocity", "skip-velocity", "data"] = "skip-velocity"
    velocity_head: bool = False
    # Highest angular frequency of the time embedding, in rad per unit time: du/dt grows with it.
    max_time_frequency: PositiveFloat = 12.0
    num_time_frequencies: PositiveInt = 16
    condition_width: PositiveInt = 128
    # Labels the network knows; one more embedding stands for "no label".
    num_classes: NonNegativeInt = 0
