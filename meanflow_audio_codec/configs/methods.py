"""The methods under study and their settings."""

from typing import Annotated, Literal

from pydantic import Field, NonNegativeFloat, NonNegativeInt, PositiveFloat, PositiveInt, model_validator

from meanflow_audio_codec.configs.adversarial_sampler import AdversarialSamplerConfig
from meanflow_audio_codec.configs.base import Config
from meanflow_audio_codec.configs.networks import DiscriminatorConfig

Share = Annotated[float, Field(ge=0.0, le=1.0)]


class AutoencoderConfig(Config):
    """(A) One-step decode of z = 0, trained by squared error."""

    kind: Literal["autoencoder"] = "autoencoder"


class TimeConfig(Config):
    """Pairs r <= t: two logit-normal draws, sorted, and a share of the batch with r = t."""

    mean: float = -0.4
    standard_deviation: PositiveFloat = 1.0
    equal_share: Share = 0.5


class FixedGuidanceConfig(Config):
    """Classifier-free guidance of one scale trained into the velocity (MeanFlow, arXiv 2505.13447, section 4.2)."""

    label_drop_rate: Share = 0.1
    # Effective guidance scale; 1 is no guidance.
    scale: Annotated[float, Field(ge=1.0)] = 1.0
    # Mixing kappa of the class-conditional mean velocity into the target (equations 20 and 21); 0 leaves it out.
    mixing: Annotated[float, Field(ge=0.0, lt=1.0)] = 0.0


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
    # Whether the network is also told the interval of times in which guidance acts, drawn at random in training.
    condition_on_interval: bool = False
    # The interval used by sampling; outside it the scale counts as 1.
    sampling_interval: tuple[Share, Share] = (0.0, 1.0)

    @model_validator(mode="after")
    def _sampling_scale_was_trained(self) -> "GuidanceConfig":
        if self.sampling_scale > self.max_scale:
            raise ValueError(
                f"sampling_scale {self.sampling_scale} must not exceed max_scale {self.max_scale}, the largest trained"
            )
        return self

    @model_validator(mode="after")
    def _interval_was_trained(self) -> "GuidanceConfig":
        low, high = self.sampling_interval
        if low >= high:
            raise ValueError(f"sampling_interval must be (earlier, later) with earlier < later, not ({low}, {high})")
        if not self.condition_on_interval and (low, high) != (0.0, 1.0):
            raise ValueError("sampling_interval needs condition_on_interval: without it guidance acts at all times")
        return self


class AdversarialConfig(Config):
    """(E) The autoencoder with a discriminator: what the flows are to replace."""

    kind: Literal["adversarial"] = "adversarial"
    loss: Literal["hinge", "least-squares"] = "hinge"
    # Sizes of the two gradients beside that of the regression (documentation/research/adversarial.md, equation 8).
    adversarial_weight: PositiveFloat = 0.8
    feature_matching_weight: NonNegativeFloat = 0.3
    # Steps of plain regression before the adversary counts.
    start_step: NonNegativeInt = 0
    # The discriminator's learning rate as a multiple of the other networks'.
    learning_rate_share: PositiveFloat = 2.0
    discriminator: DiscriminatorConfig = DiscriminatorConfig()


class FlowMatchingConfig(Config):
    """(B) Flow matching (arXiv 2210.02747) on straight lines; many evaluations of a velocity field."""

    kind: Literal["flow-matching"] = "flow-matching"
    # Times are logit-normal with these moments, as for the other flows.
    time_mean: float = -0.4
    time_standard_deviation: PositiveFloat = 1.0
    label_drop_rate: Share = 0.1
    # Guidance at sampling: w v(z | label) + (1 - w) v(z), two evaluations of the network for one.
    sampling_scale: Annotated[float, Field(ge=1.0)] = 1.0
    adaptive_weight_power: NonNegativeFloat = 0.0
    adaptive_weight_epsilon: PositiveFloat = 1e-3
    default_num_steps: PositiveInt = 32
    default_temperature: NonNegativeFloat = 1.0


class MeanFlowConfig(Config):
    """(C) Mean flow (arXiv 2505.13447)."""

    kind: Literal["mean-flow"] = "mean-flow"
    time: TimeConfig = TimeConfig(equal_share=0.75)
    guidance: FixedGuidanceConfig = FixedGuidanceConfig()
    adaptive_weight_power: NonNegativeFloat = 1.0
    adaptive_weight_epsilon: PositiveFloat = 1e-3
    default_num_steps: PositiveInt = 1
    default_temperature: NonNegativeFloat = 1.0


class ImprovedMeanFlowConfig(Config):
    """(D) Improved mean flow (arXiv 2512.02012)."""

    kind: Literal["improved-mean-flow"] = "improved-mean-flow"
    time: TimeConfig = TimeConfig()
    # As a condition of the network, or fixed in advance as in mean flow.
    guidance: GuidanceConfig | FixedGuidanceConfig = GuidanceConfig()
    # Adaptive weight (loss + epsilon)^-power per example; power 0 is the plain squared error. The loss is a mean over
    # token values here, not a sum as in the releases, so epsilon does not depend on the token count.
    adaptive_weight_power: NonNegativeFloat = 1.0
    adaptive_weight_epsilon: PositiveFloat = 1e-3
    default_num_steps: PositiveInt = 1
    # Scale of the initial noise that decoding uses unless told otherwise.
    default_temperature: NonNegativeFloat = 1.0


MethodConfig = Annotated[
    AutoencoderConfig
    | AdversarialConfig
    | AdversarialSamplerConfig
    | FlowMatchingConfig
    | MeanFlowConfig
    | ImprovedMeanFlowConfig,
    Field(discriminator="kind"),
]
