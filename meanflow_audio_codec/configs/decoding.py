"""What a model is decoded with and asked for, besides what its method says."""

from typing import Annotated

from pydantic import Field, NonNegativeFloat, PositiveInt

from meanflow_audio_codec.configs.base import Config


class DecodingConfig(Config):
    """What a decoder makes of a prior's prediction, in models whose side information holds band gains."""

    # At temperatures below 1 the decoder's bands are too quiet by the variance that is missing. This share of what is
    # missing (in dB) is made up for; 0 leaves it out.
    energy_restoration: Annotated[float, Field(ge=0.0, le=1.0)] = 0.5
    # Noise is scaled by this power of the share of a band's energy that the codes leave open: what is known well gets
    # little. 0 treats all bands alike.
    uncertainty_exponent: NonNegativeFloat = 0.0


class ServingConfig(Config):
    """What an encoder is asked for unless told otherwise."""

    # Of models of several bit rates.
    default_bits_per_second: PositiveInt = 6_000
