"""A small convolutional classifier of 28 x 28 digits; its features measure generated images."""

from dataclasses import dataclass

from einops import rearrange
from flax import nnx
from jaxtyping import Array, Float

GRID = 7  # rows and columns after two strides of 2


@dataclass(frozen=True, kw_only=True)
class ClassifierConfig:
    """Sizes of `DigitClassifier`: channels at 14 x 14 and at 7 x 7 positions, blocks at 7 x 7, features, classes."""

    fine_width: int = 32
    coarse_width: int = 64
    num_blocks: int = 2
    squeezed_width: int = 16
    num_features: int = 128
    num_classes: int = 10


class ConvolutionBlock(nnx.Module):
    """h + GELU(convolution(LayerNorm(h))) with a 3 x 3 kernel."""

    def __init__(self, width: int, *, rngs: nnx.Rngs):
        self.norm = nnx.LayerNorm(width, rngs=rngs)
        self.convolution = nnx.Conv(width, width, (3, 3), rngs=rngs)

    def __call__(self, h: Float[Array, "b rows columns d"]) -> Float[Array, "b rows columns d"]:
        """The map after this block, of the same shape."""
        return h + nnx.gelu(self.convolution(self.norm(h)))


class DigitClassifier(nnx.Module):
    """Two strided convolutions, residual blocks at 7 x 7 positions, one feature vector, one linear layer.

    Every leaf is an `nnx.Param`: no running statistics and no dropout, so the module is a plain pytree.
    """

    def __init__(self, config: ClassifierConfig, *, rngs: nnx.Rngs):
        self.embed = nnx.Conv(1, config.fine_width, (5, 5), strides=2, rngs=rngs)
        self.downsample = nnx.Conv(config.fine_width, config.coarse_width, (3, 3), strides=2, rngs=rngs)
        self.blocks = nnx.List([ConvolutionBlock(config.coarse_width, rngs=rngs) for _ in range(config.num_blocks)])
        self.norm = nnx.LayerNorm(config.coarse_width, rngs=rngs)
        # Where a stroke lies matters, so the map is narrowed and flattened rather than averaged over positions.
        self.squeeze = nnx.Linear(config.coarse_width, config.squeezed_width, rngs=rngs)
        self.project = nnx.Linear(GRID * GRID * config.squeezed_width, config.num_features, rngs=rngs)
        self.head = nnx.Linear(config.num_features, config.num_classes, rngs=rngs)

    def features(self, images: Float[Array, "b 28 28"]) -> Float[Array, "b d"]:
        """The vector before the last linear layer, of images with background -1 and ink up to 1."""
        # The background becomes 0, so that the zero padding of the convolutions continues it.
        ink = (images + 1.0) / 2.0
        h = self.downsample(nnx.gelu(self.embed(ink[..., None])))
        for block in self.blocks:
            h = block(h)
        h = self.squeeze(self.norm(h))
        return nnx.gelu(self.project(rearrange(h, "b i j d -> b (i j d)")))

    def logits(self, features: Float[Array, "b d"]) -> Float[Array, "b classes"]:
        """Unnormalised log-probabilities of the classes, from the features."""
        return self.head(features)

    def __call__(self, images: Float[Array, "b 28 28"]) -> Float[Array, "b classes"]:
        """Unnormalised log-probabilities of the classes, from the images."""
        return self.logits(self.features(images))
