"""The methods under study and their settings."""

from typing import Annotated, Literal

from pydantic import Field, NonNegativeFloat, PositiveFloat, PositiveInt, model_validator

from meanflow_audio_codec.configs.base import Config

Share = Annotated[float, Field(ge=0.0, le=1.0)]


class AutoencoderConfig(Config):
    """(A) One-step decode of z = 0, trained by squared error."""

    kind: Literal["autoencoder"] = "autoencoder"


class TimeConfig(Config):
    """Pairs r <= t: two logit-normal draws, sorted, and a share of the batch with r = t."""

    mean: float = -0.4
    standard_deviation: PositiveFloat = 1.0
    equal_share: Share = 0.5


class GuidanceConfig(Config):
    """Classifier-free guidance learned as a condition of the network (iMF section 4.2)."""

    # Probability of training an example without its label.
    label_drop_rate: Share = 0.1
    # Guidance scales are drawn from 1 to this one; 1 trains without guidance.
    max_scale: Annotated[float, Field(ge=1.0)] = 1.0
    # Exponent of the density of the scale: p(w) ~ w^-beta, so that larger beta means less guidance.
    beta: PositiveFloat = 1.0
    # Scale used by sampling unless told otherwise.
    sampling_scale: Annotated[float, Field(ge=1.0)] = 1.0

    @model_validator(mode="after")
    def _sampling_scale_was_trained(self) -> "GuidanceConfig":
        if self.sampling_scale > self.max_scale:
            raise ValueError(
                f"sampling_scale {self.sampling_scale} must not exceed max_scale {self.max_scale}, the largest trained"
            )
        return self


class ImprovedMeanFlowConfig(Config):
    """(D) Improved mean flow (arXiv 2512.02012)."""

    kind: Literal["improved-mean-flow"] = "improved-mean-flow"
    time: TimeConfig = TimeConfig()
    guidance: GuidanceConfig = GuidanceConfig()
    # Adaptive weight (loss + epsilon)^-power per example; power 0 is the plain squared error. The loss is a mean over
    # token values here, not a sum as in the releases, so epsilon does not depend on the token count.
    adaptive_weight_power: NonNegativeFloat = 1.0
    adaptive_weight_epsilon: PositiveFloat = 1e-3
    default_num_steps: PositiveInt = 1
    # Scale of the initial noise that decoding uses unless told otherwise.
    default_temperature: NonNegativeFloat = 1.0


MethodConfig = Annotated[AutoencoderConfig | ImprovedMeanFlowConfig, Field(discriminator="kind")]
