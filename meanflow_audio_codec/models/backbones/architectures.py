"""From an architecture's configuration to its network."""

from flax import nnx

from meanflow_audio_codec.configs.networks import ArchitectureConfig, ConvNeXtConfig, MixerConfig, MLPConfig
from meanflow_audio_codec.models.backbones.backbone import Backbone
from meanflow_audio_codec.models.backbones.convnext import ConvNeXtBackbone
from meanflow_audio_codec.models.backbones.mixer import MixerBackbone
from meanflow_audio_codec.models.backbones.mlp import MLPBackbone


def build_backbone(
    config: ArchitectureConfig, grid: tuple[int, ...], condition_width: int | None, *, rngs: nnx.Rngs
) -> Backbone:
    """The network of a configuration, for tokens on this grid, with or without a condition vector."""
    match config:
        case ConvNeXtConfig():
            return ConvNeXtBackbone(config, grid, condition_width, rngs=rngs)
        case MLPConfig():
            return MLPBackbone(config, grid, condition_width, rngs=rngs)
        case MixerConfig():
            return MixerBackbone(config, grid, condition_width, rngs=rngs)
