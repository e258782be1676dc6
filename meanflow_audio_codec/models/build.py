"""From configuration to objects: one match statement per axis."""

import jax
from flax import nnx

from meanflow_audio_codec.configs.experiment import ExperimentConfig
from meanflow_audio_codec.configs.methods import AutoencoderConfig, ImprovedMeanFlowConfig, MethodConfig
from meanflow_audio_codec.models.codec_model import CodecModel
from meanflow_audio_codec.models.encoder import Encoder
from meanflow_audio_codec.models.fsq import FSQ
from meanflow_audio_codec.models.methods.autoencoder import Autoencoder
from meanflow_audio_codec.models.methods.base import Method
from meanflow_audio_codec.models.methods.improved_mean_flow import ImprovedMeanFlow
from meanflow_audio_codec.models.prior import GaussianPrior
from meanflow_audio_codec.models.velocity import VelocityNet
from meanflow_audio_codec.preprocessing.specs import TokenSpec


def build_method(config: MethodConfig) -> Method:
    """The method of a configuration."""
    match config:
        case AutoencoderConfig():
            return Autoencoder(config)
        case ImprovedMeanFlowConfig():
            return ImprovedMeanFlow(config)


def uses_guidance(config: MethodConfig) -> bool:
    """Whether the network is conditioned on a guidance scale."""
    return isinstance(config, ImprovedMeanFlowConfig) and config.guidance.max_scale > 1.0


def build_model(config: ExperimentConfig, spec: TokenSpec, side_channels: int, key: jax.Array) -> CodecModel:
    """The networks of a configuration, for tokens of this shape with this much side information.

    Raises:
        ValueError: a network holds an array that is not a trainable parameter, which optax would train all the same.
    """
    rngs = nnx.Rngs(params=key)
    encoder = bottleneck = prior = None
    local_channels = 0
    if config.encoder is not None and config.bottleneck is not None:
        bottleneck = FSQ(config.bottleneck)
        encoder = Encoder(config.encoder, spec, side_channels, bottleneck.channels, rngs=rngs)
        local_channels = bottleneck.channels + side_channels
        if config.prior is not None:
            prior = GaussianPrior(config.prior, spec, local_channels, rngs=rngs)
            local_channels = config.prior.architecture.width
    decoder = VelocityNet(config.decoder, spec, local_channels, use_guidance=uses_guidance(config.method), rngs=rngs)
    model = CodecModel(encoder, bottleneck, prior, decoder)
    _, _, rest = nnx.split(model, nnx.Param, ...)
    if jax.tree.leaves(rest):
        raise ValueError("a network holds arrays that are not nnx.Param; compute constants in functions instead")
    return model


def count_parameters(model: CodecModel) -> int:
    """Trainable floats."""
    return sum(leaf.size for leaf in jax.tree.leaves(nnx.state(model, nnx.Param)))
