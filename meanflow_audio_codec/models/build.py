"""From configuration to objects: one match statement per axis."""

import jax
from flax import nnx

from meanflow_audio_codec.configs.adversarial_sampler import AdversarialSamplerConfig
from meanflow_audio_codec.configs.experiment import ExperimentConfig
from meanflow_audio_codec.configs.methods import (
    AdversarialConfig,
    AutoencoderConfig,
    FlowMatchingConfig,
    GuidanceConfig,
    ImprovedMeanFlowConfig,
    MeanFlowConfig,
    MethodConfig,
)
from meanflow_audio_codec.configs.networks import (
    BottleneckConfig,
    FSQConfig,
    PatchConvolutionConfig,
    ResidualFSQConfig,
    RVQConfig,
)
from meanflow_audio_codec.configs.tokens import MDCTConfig
from meanflow_audio_codec.models.bottlenecks.bottleneck import Bottleneck
from meanflow_audio_codec.models.bottlenecks.fsq import FSQ
from meanflow_audio_codec.models.bottlenecks.residual_fsq import ResidualFSQ
from meanflow_audio_codec.models.bottlenecks.rvq import RVQ
from meanflow_audio_codec.models.codec_model import CodecModel
from meanflow_audio_codec.models.discriminator import build_discriminator
from meanflow_audio_codec.models.encoder import Encoder
from meanflow_audio_codec.models.harmonic_features import HarmonicFeatures, bins_of_hertz
from meanflow_audio_codec.models.methods.adversarial import Adversarial
from meanflow_audio_codec.models.methods.adversarial_sampler import AdversarialSampler
from meanflow_audio_codec.models.methods.autoencoder import Autoencoder
from meanflow_audio_codec.models.methods.base import Method
from meanflow_audio_codec.models.methods.flow_matching import FlowMatching
from meanflow_audio_codec.models.methods.improved_mean_flow import ImprovedMeanFlow
from meanflow_audio_codec.models.methods.mean_flow import MeanFlow
from meanflow_audio_codec.models.patch_velocity import PatchVelocityNet
from meanflow_audio_codec.models.prior import GaussianPrior
from meanflow_audio_codec.models.spectrogram_discriminator import SpectrogramDiscriminator
from meanflow_audio_codec.models.velocity import VelocityNet
from meanflow_audio_codec.preprocessing.specs import TokenSpec


def build_method(config: MethodConfig) -> Method:
    """The method of a configuration."""
    match config:
        case AutoencoderConfig():
            return Autoencoder(config)
        case AdversarialConfig():
            return Adversarial(config)
        case AdversarialSamplerConfig():
            return AdversarialSampler(config)
        case FlowMatchingConfig():
            return FlowMatching(config)
        case MeanFlowConfig():
            return MeanFlow(config)
        case ImprovedMeanFlowConfig():
            return ImprovedMeanFlow(config)


def uses_guidance(config: MethodConfig) -> bool:
    """Whether the network is conditioned on a guidance scale."""
    return _conditional_guidance(config) is not None


def uses_guidance_interval(config: MethodConfig) -> bool:
    """Whether the network is also conditioned on the interval of times in which guidance acts."""
    guidance = _conditional_guidance(config)
    return guidance is not None and guidance.condition_on_interval


def _conditional_guidance(config: MethodConfig) -> GuidanceConfig | None:
    """The guidance that is a condition of the network, if any is."""
    guidance = config.guidance if isinstance(config, ImprovedMeanFlowConfig) else None
    return guidance if isinstance(guidance, GuidanceConfig) and guidance.max_scale > 1.0 else None


def build_bottleneck(config: BottleneckConfig, *, rngs: nnx.Rngs) -> Bottleneck:
    """The bottleneck of a configuration."""
    match config:
        case FSQConfig():
            return FSQ(config)
        case ResidualFSQConfig():
            return ResidualFSQ(config)
        case RVQConfig():
            return RVQ(config, rngs=rngs)


def build_harmonic_features(config: ExperimentConfig) -> HarmonicFeatures:
    """What a decoder of patches is told besides the prior's features.

    Raises:
        ValueError: the tokens are no MDCT frames of audio, or the decoder is of another architecture.
    """
    architecture, transform = config.decoder.architecture, config.tokenizer
    sample_rate = getattr(config.dataset, "sample_rate", None)
    if not isinstance(architecture, PatchConvolutionConfig) or not isinstance(transform, MDCTConfig) or not sample_rate:
        raise ValueError("harmonic features are those of a patch-convolution decoder on MDCT frames of audio")
    lowest, highest = (bins_of_hertz(hertz, transform, sample_rate) for hertz in architecture.excitation_range_hz)
    return HarmonicFeatures(transform, lowest, highest)


def build_model(config: ExperimentConfig, spec: TokenSpec, side_channels: int, key: jax.Array) -> CodecModel:
    """The networks of a configuration, for tokens of this shape with this much side information.

    Raises:
        ValueError: a network holds an array that is not a trainable parameter, which optax would train all the same.
    """
    rngs = nnx.Rngs(params=key)
    encoder = bottleneck = prior = None
    local_channels = 0
    if config.encoder is not None and config.bottleneck is not None:
        # A stream of its own, so that the other networks start alike whatever the bottleneck draws.
        bottleneck = build_bottleneck(config.bottleneck, rngs=nnx.Rngs(params=jax.random.fold_in(key, 1)))
        encoder = Encoder(config.encoder, spec, side_channels, bottleneck.channels, rngs=rngs)
        local_channels = bottleneck.channels + side_channels
        if config.prior is not None:
            prior = GaussianPrior(config.prior, spec, local_channels, rngs=rngs)
            local_channels = config.prior.architecture.width
    features = None
    if isinstance(config.decoder.architecture, PatchConvolutionConfig):
        features = build_harmonic_features(config)
        decoder = PatchVelocityNet(config.decoder, spec, local_channels, rngs=rngs)
    else:
        decoder = VelocityNet(
            config.decoder,
            spec,
            local_channels,
            use_guidance=uses_guidance(config.method),
            use_guidance_interval=uses_guidance_interval(config.method),
            rngs=rngs,
        )
    discriminator = None
    if isinstance(config.method, AdversarialConfig):
        # Drawn last, so that the other networks start as they would without it.
        discriminator = build_discriminator(config.method.discriminator, len(spec.grid), rngs=rngs)
    elif isinstance(config.method, AdversarialSamplerConfig):
        discriminator = SpectrogramDiscriminator(config.method.discriminator, rngs=rngs)
    model = CodecModel(encoder, bottleneck, prior, decoder, discriminator, features)
    _, _, rest = nnx.split(model, nnx.Param, ...)
    if jax.tree.leaves(rest):
        raise ValueError("a network holds arrays that are not nnx.Param; compute constants in functions instead")
    return model


def count_parameters(model: nnx.Module) -> int:
    """Trainable floats."""
    return sum(leaf.size for leaf in jax.tree.leaves(nnx.state(model, nnx.Param)))
