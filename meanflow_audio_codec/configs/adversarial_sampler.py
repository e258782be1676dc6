"""The comparator of the flows: their decoder, trained against discriminators as shipped codecs train theirs."""

from typing import Annotated, Literal

from pydantic import Field, NonNegativeFloat, NonNegativeInt, PositiveFloat, PositiveInt

from meanflow_audio_codec.configs.base import Config

# Samples of a window; hops are a quarter of it.
WindowLength = Annotated[int, Field(ge=16, le=8192, multiple_of=4)]


class SpectrogramDiscriminatorConfig(Config):
    """Convolutions over complex spectrograms of several window lengths."""

    # Ratios of 7/3: windows that are powers of two apart share their blind spots (arXiv 2411.19842).
    window_lengths: Annotated[tuple[WindowLength, ...], Field(min_length=1)] = (240, 560, 1280)
    width: PositiveInt = 24
    # Convolutions that halve frames and frequencies, before one that does not and the scores.
    num_blocks: PositiveInt = 3


class AdversarialSamplerConfig(Config):
    """(F) One step from noise to data, trained by a mel distance and against discriminators of decoded audio."""

    kind: Literal["adversarial-sampler"] = "adversarial-sampler"
    loss: Literal["hinge", "least-squares"] = "hinge"
    # Sizes of the two gradients beside that of the mel distance (documentation/research/adversarial.md, equation 8);
    # 3 and 3 are EnCodec's.
    adversarial_weight: PositiveFloat = 3.0
    feature_matching_weight: NonNegativeFloat = 3.0
    # Windows of the mel distance.
    mel_windows: Annotated[tuple[WindowLength, ...], Field(min_length=1)] = (64, 128, 256, 512, 1024, 2048)
    # Steps in which the discriminator learns, and the decoder by the mel distance alone.
    start_step: NonNegativeInt = 200
    # The discriminator's learning rate as a multiple of the decoder's.
    learning_rate_share: PositiveFloat = 1.0
    # Scale of the noise that the decoder is trained with, and that decoding uses unless told otherwise.
    default_temperature: PositiveFloat = 1.0
    discriminator: SpectrogramDiscriminatorConfig = SpectrogramDiscriminatorConfig()
