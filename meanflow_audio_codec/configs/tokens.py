"""How signals become tokens, and how tokens are normalised."""

from typing import Annotated, Literal

from pydantic import Field, NonNegativeFloat, PositiveFloat, PositiveInt

from meanflow_audio_codec.configs.base import Config


class MDCTConfig(Config):
    """Modified discrete cosine transform: one token per frame (audio) or per block (images)."""

    kind: Literal["mdct"] = "mdct"
    hop_length: Annotated[PositiveInt, Field(multiple_of=2)] = 320
    window: Literal["sine", "vorbis", "kbd"] = "sine"
    kbd_alpha: PositiveFloat = 4.0


class ReshapeConfig(Config):
    """Non-overlapping patches: frames of audio samples, or squares of pixels."""

    kind: Literal["reshape"] = "reshape"
    patch: PositiveInt = 4


TokenizerConfig = Annotated[MDCTConfig | ReshapeConfig, Field(discriminator="kind")]


class GainShapeConfig(Config):
    """Each band of each frame is divided by its quantised energy, which is coded as side information."""

    kind: Literal["gain-shape"] = "gain-shape"
    num_bands: PositiveInt = 21
    step_db: Annotated[float, Field(ge=0.1, le=20.0)] = 3.0
    # Training errors are weighted by band gain to this power: 0 is a constant signal-to-noise ratio in all bands of a
    # frame, 2 is white noise.
    loss_gain_exponent: NonNegativeFloat = 0.5


class ChannelStatisticsConfig(Config):
    """Mean and standard deviation per token channel, fitted once on training data; no side information."""

    kind: Literal["channel-statistics"] = "channel-statistics"
    # sign(x) |x|^power is what is standardised: below 1 it tames the heavy tails of audio coefficients.
    compression_power: Annotated[float, Field(gt=0.0, le=1.0)] = 1.0
    # One standard deviation for all channels: an orthonormal transform then keeps the squared error of the signal.
    shared_scale: bool = False
    fit_batches: PositiveInt = 20


NormalizationConfig = Annotated[GainShapeConfig | ChannelStatisticsConfig, Field(discriminator="kind")]
