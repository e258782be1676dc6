"""How signals become tokens, and how tokens are normalised."""

import math
from typing import Annotated, Literal

from pydantic import Field, PositiveInt, field_validator, model_validator

from meanflow_audio_codec.configs.base import Config


class MDCTConfig(Config):
    """Modified discrete cosine transform with the sine window: one token per frame (audio) or per block (images)."""

    kind: Literal["mdct"] = "mdct"
    hop_length: Annotated[PositiveInt, Field(multiple_of=2)] = 320


class ReshapeConfig(Config):
    """Non-overlapping patches: frames of audio samples, or squares of pixels."""

    kind: Literal["reshape"] = "reshape"
    patch: PositiveInt = 4


TokenizerConfig = Annotated[MDCTConfig | ReshapeConfig, Field(discriminator="kind")]


# Highest band gain that can be coded in blocks, in dB, more than a full-scale tone has; and the largest magnitude of a
# quantised coefficient.
HIGHEST_GAIN_DB = 30.0
LARGEST_MAGNITUDE = 255


class OperatingPointConfig(Config):
    """What a bit rate is spent on: how finely the envelope is coded, and how many digits a frame of full detail has."""

    bits_per_second: PositiveInt
    envelope_step_db: Annotated[float, Field(ge=0.5, le=40.0)]
    num_digits: PositiveInt


class BlockGainShapeConfig(Config):
    """Band gains of a few frames coded together by a transform, as finely as the bit rate allows."""

    kind: Literal["block-gain-shape"] = "block-gain-shape"
    num_bands: PositiveInt = 21
    # Frames whose gains are coded together: more cost fewer bits and more delay.
    block_frames: PositiveInt = 4
    # Gains below this, in dB relative to a coefficient of 1, are silence.
    floor_db: Annotated[float, Field(ge=-96.0, le=-30.0)] = -80.0
    # From the lowest bit rate up; a model of one has no choice of rates, and its frames keep all digits.
    operating_points: Annotated[tuple[OperatingPointConfig, ...], Field(min_length=1, max_length=16)] = (
        OperatingPointConfig(bits_per_second=1_500, envelope_step_db=14.0, num_digits=10),
        OperatingPointConfig(bits_per_second=2_100, envelope_step_db=10.5, num_digits=15),
        OperatingPointConfig(bits_per_second=3_000, envelope_step_db=7.5, num_digits=22),
        OperatingPointConfig(bits_per_second=4_200, envelope_step_db=6.2, num_digits=33),
        OperatingPointConfig(bits_per_second=6_000, envelope_step_db=5.0, num_digits=48),
        OperatingPointConfig(bits_per_second=9_000, envelope_step_db=4.5, num_digits=76),
        OperatingPointConfig(bits_per_second=12_000, envelope_step_db=4.0, num_digits=112),
    )
    # Training batches that the transform over bands is fitted on.
    fit_batches: PositiveInt = 40

    @model_validator(mode="after")
    def _steps_reach_the_highest_gain(self) -> "BlockGainShapeConfig":
        largest = (HIGHEST_GAIN_DB - self.floor_db) * math.sqrt(self.num_bands * self.block_frames)
        for point in self.operating_points:
            if point.envelope_step_db * LARGEST_MAGNITUDE < largest:
                raise ValueError(
                    f"envelope_step_db must be at least {largest / LARGEST_MAGNITUDE:.2f} for {self.num_bands} bands "
                    f"in blocks of {self.block_frames}, not {point.envelope_step_db}: loud blocks could not be coded"
                )
        return self

    @field_validator("operating_points")
    @classmethod
    def _ascending(cls, value: tuple[OperatingPointConfig, ...]) -> tuple[OperatingPointConfig, ...]:
        for name in ("bits_per_second", "num_digits"):
            numbers = [getattr(point, name) for point in value]
            if sorted(set(numbers)) != numbers:
                raise ValueError(f"operating_points must ascend in {name}, not {numbers}")
        return value


class ChannelStatisticsConfig(Config):
    """Mean and standard deviation per token channel, fitted once on training data; no side information."""

    kind: Literal["channel-statistics"] = "channel-statistics"
    # sign(x) |x|^power is what is standardised: below 1 it tames the heavy tails of audio coefficients.
    compression_power: Annotated[float, Field(gt=0.0, le=1.0)] = 1.0
    # One standard deviation for all channels: an orthonormal transform then keeps the squared error of the signal.
    shared_scale: bool = False
    fit_batches: PositiveInt = 20


NormalizationConfig = Annotated[BlockGainShapeConfig | ChannelStatisticsConfig, Field(discriminator="kind")]
