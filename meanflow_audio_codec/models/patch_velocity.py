"""A decoder network that sees frequency as a direction: convolutions over frames and patches of neighbouring bins.

A network over frames alone takes the bins of a frame as channels and has to learn every texture once per bin. Here all
patches share their weights, and a patch is told where it lies (documentation/research/harmonic_features.md).
"""

import jax
import jax.numpy as jnp
from einops import rearrange
from flax import nnx
from jaxtyping import Array, Float

from meanflow_audio_codec.configs.networks import PatchConvolutionConfig, VelocityNetConfig
from meanflow_audio_codec.models.backbones.activations import gelu
from meanflow_audio_codec.models.backbones.backbone import AdaptiveLayerNorm
from meanflow_audio_codec.models.conditioning import Conditioning
from meanflow_audio_codec.models.embeddings import ConditionEmbedding
from meanflow_audio_codec.models.gaussian_velocity import beyond_gaussian, gaussian_scale
from meanflow_audio_codec.models.harmonic_features import NUM_FEATURES
from meanflow_audio_codec.models.velocity import Velocity
from meanflow_audio_codec.preprocessing.specs import TokenSpec

# Values per patch that the features of a frame as a whole are brought to.
FRAME_VALUES = 8
# Share of a block's output that is added before the condition has learned anything.
INITIAL_GATE = 0.3


def shifted(h: Float[Array, "b n k d"], frames: int, patches: int) -> Float[Array, "b n k d"]:
    """The features `frames` later and `patches` higher than each position, zeros beyond the ends."""
    for axis, distance in ((1, frames), (2, patches)):
        if distance:
            zeros = jnp.zeros_like(jax.lax.slice_in_dim(h, 0, min(abs(distance), h.shape[axis]), axis=axis))
            kept = (
                jax.lax.slice_in_dim(h, min(distance, h.shape[axis]), None, axis=axis)
                if distance > 0
                else jax.lax.slice_in_dim(h, 0, max(h.shape[axis] + distance, 0), axis=axis)
            )
            h = jnp.concatenate([kept, zeros] if distance > 0 else [zeros, kept], axis=axis)
    return h


class PatchBlock(nnx.Module):
    """A two-layer network over a patch and what its four neighbours tell: before, after, below and above, some way off.

    A neighbour tells fewer features than a patch has: whole neighbours would be most of the operations.
    """

    def __init__(
        self, config: PatchConvolutionConfig, dilation: tuple[int, int], condition_width: int, *, rngs: nnx.Rngs
    ):
        self.frames, self.patches = dilation
        self.norm = AdaptiveLayerNorm(config.width, condition_width, initial_gate=INITIAL_GATE, rngs=rngs)
        self.tell = nnx.Linear(config.width, 4 * config.neighbour_width, use_bias=False, rngs=rngs)
        inputs = config.width + 4 * config.neighbour_width
        self.expand = nnx.Linear(inputs, config.expansion * config.width, rngs=rngs)
        self.contract = nnx.Linear(config.expansion * config.width, config.width, rngs=rngs)

    def __call__(self, h: Float[Array, "b n k d"], condition: Float[Array, "b e"]) -> Float[Array, "b n k d"]:
        """The features after this block."""
        batch, frames, patches, width = h.shape
        normed, gate = self.norm(h.reshape(batch, frames * patches, width), condition)
        # One product for all neighbours, and rows of all examples: what a CPU does fastest.
        rows = normed.reshape(-1, width)
        told = jnp.split(self.tell(rows).reshape(batch, frames, patches, -1), 4, axis=-1)
        offsets = ((-self.frames, 0), (self.frames, 0), (0, -self.patches), (0, self.patches))
        neighbours = [shifted(part, *offset) for part, offset in zip(told, offsets, strict=True)]
        inputs = jnp.concatenate([normed.reshape(h.shape), *neighbours], axis=-1)
        hidden = gelu(self.expand(inputs.reshape(batch * frames * patches, -1)), "tanh")
        return h + (INITIAL_GATE + gate[:, :, None, :]) * self.contract(hidden).reshape(h.shape)


class PatchVelocityNet(nnx.Module):
    """Mean velocity of standardised MDCT residuals, from noise, prior features and `HarmonicFeatures`."""

    def __init__(self, config: VelocityNetConfig, spec: TokenSpec, prior_channels: int, *, rngs: nnx.Rngs):
        architecture = config.architecture
        if not isinstance(architecture, PatchConvolutionConfig):
            raise ValueError(f"a network of patches needs a patch-convolution architecture, not {architecture.kind}")
        self.groups = architecture.patches
        self.num_patches = sum(count for count, _ in self.groups)
        self.prior_channels = prior_channels
        width = architecture.width
        self.embedding = ConditionEmbedding(
            config.condition_width, config.num_time_frequencies, config.max_time_frequency, num_classes=0,
            use_guidance=False, rngs=rngs,
        )  # fmt: skip
        self.project_in = nnx.List([nnx.Linear((1 + NUM_FEATURES) * bins, width, rngs=rngs) for _, bins in self.groups])
        self.project_frame = nnx.Linear(prior_channels, FRAME_VALUES * self.num_patches, rngs=rngs)
        self.project_frame_values = nnx.Linear(FRAME_VALUES, width, rngs=rngs)
        self.position = nnx.Param(0.3 * jax.random.normal(rngs.params(), (self.num_patches, width)))
        self.blocks = nnx.List(
            [
                PatchBlock(architecture, dilation, config.condition_width, rngs=rngs)
                for dilation in architecture.dilations
            ]
        )
        self.norm = AdaptiveLayerNorm(width, config.condition_width, initial_gate=1.0, rngs=rngs)
        self.project_out = nnx.List([_zero_linear(width, bins, rngs=rngs) for _, bins in self.groups])

    def __call__(
        self,
        z: Float[Array, "b n c"],
        r: Float[Array, " b"],
        t: Float[Array, " b"],
        conditioning: Conditioning,
    ) -> Velocity:
        """The mean velocity over [r, t]: that of Gaussian data, and what the network finds beyond it."""
        if conditioning.local is None:
            raise ValueError("this decoder needs local features: encode something first")
        batch, frames, _ = z.shape
        condition = self.embedding(r, t, None, None, None)
        scale = gaussian_scale(t)[:, None, None]
        prior, features = jnp.split(conditioning.local, [self.prior_channels], axis=-1)
        # Values of a bin lie side by side: a patch is a row as it stands in memory.
        of_bins = jnp.concatenate([(z / scale)[..., None], features.reshape(*z.shape, NUM_FEATURES)], axis=-1)
        parts, first = [], 0
        for (count, bins), project in zip(self.groups, self.project_in, strict=True):
            group = of_bins[:, :, first : first + count * bins]
            first += count * bins
            of_patches = rearrange(group, "b n (k p) f -> (b n k) (p f)", p=bins)
            parts.append(project(of_patches).reshape(batch, frames, count, -1))
        of_frames = self.project_frame(prior.reshape(batch * frames, -1)).reshape(-1, FRAME_VALUES)
        of_frames = self.project_frame_values(of_frames).reshape(batch, frames, self.num_patches, -1)
        hidden = jnp.concatenate(parts, axis=2) + of_frames + self.position[...]
        for block in self.blocks:
            hidden = block(hidden, condition)
        normed, _ = self.norm(hidden.reshape(batch, frames * self.num_patches, -1), condition)
        normed = normed.reshape(hidden.shape)
        parts, first = [], 0
        for (count, _), project in zip(self.groups, self.project_out, strict=True):
            group = normed[:, :, first : first + count].reshape(batch * frames * count, -1)
            first += count
            parts.append(project(group).reshape(batch, frames, -1))
        raw = jnp.concatenate(parts, axis=-1)
        return Velocity(mean=beyond_gaussian(raw, z, r, t), instantaneous=None)


def _zero_linear(inputs: int, outputs: int, *, rngs: nnx.Rngs) -> nnx.Linear:
    zeros = nnx.initializers.zeros_init()
    return nnx.Linear(inputs, outputs, kernel_init=zeros, bias_init=zeros, rngs=rngs)
