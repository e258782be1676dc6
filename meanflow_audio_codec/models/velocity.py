"""The decoder network: mean velocity u(z, r, t | condition) of the flow from noise (t = 1) to data (t = 0)."""

from typing import NamedTuple

import jax.numpy as jnp
from flax import nnx
from jaxtyping import Array, Float

from meanflow_audio_codec.configs.networks import PatchConvolutionConfig, VelocityNetConfig
from meanflow_audio_codec.models.backbones.architectures import build_backbone
from meanflow_audio_codec.models.conditioning import Conditioning
from meanflow_audio_codec.models.embeddings import ConditionEmbedding
from meanflow_audio_codec.models.gaussian_velocity import beyond_gaussian
from meanflow_audio_codec.preprocessing.specs import TokenSpec

# Below this time u = (z - x) / t would amplify the error of x without bound.
SMALLEST_TIME = 0.05


class Velocity(NamedTuple):
    """Mean velocity over [r, t], and the instantaneous velocity at t where the network has a head for it."""

    mean: Float[Array, "b n c"]
    instantaneous: Float[Array, "b n c"] | None


class VelocityHead(nnx.Module):
    """Last layer norm and projection, read as `output` of the configuration says."""

    def __init__(self, config: VelocityNetConfig, channels: int, *, rngs: nnx.Rngs):
        width = config.architecture.width
        self.output = config.output
        self.norm = nnx.LayerNorm(width, rngs=rngs)
        self.project = nnx.Linear(
            width,
            channels,
            kernel_init=nnx.initializers.zeros_init(),
            bias_init=nnx.initializers.zeros_init(),
            rngs=rngs,
        )
        self.gain = (
            nnx.Linear(
                config.condition_width,
                channels,
                kernel_init=nnx.initializers.zeros_init(),
                bias_init=nnx.initializers.zeros_init(),
                rngs=rngs,
            )
            if config.output == "skip-velocity"
            else None
        )

    def __call__(
        self,
        hidden: Float[Array, "b n d"],
        z: Float[Array, "b n c"],
        r: Float[Array, " b"],
        t: Float[Array, " b"],
        condition: Float[Array, "b e"],
    ) -> Float[Array, "b n c"]:
        """The velocity."""
        raw = self.project(self.norm(hidden))
        if self.gain is not None:
            return raw + self.gain(condition)[:, None, :] * z
        if self.output == "data":
            return (z - raw) / jnp.maximum(t, SMALLEST_TIME)[:, None, None]
        if self.output == "beyond-gaussian":
            return beyond_gaussian(raw, z, r, t)
        return raw


class VelocityNet(nnx.Module):
    """In-projection of tokens and local features, backbone under (t, t - r, label, guidance), velocity heads."""

    def __init__(
        self,
        config: VelocityNetConfig,
        spec: TokenSpec,
        local_channels: int,
        *,
        use_guidance: bool,
        use_guidance_interval: bool = False,
        rngs: nnx.Rngs,
    ):
        architecture = config.architecture
        if isinstance(architecture, PatchConvolutionConfig):
            raise ValueError("a patch-convolution decoder is a PatchVelocityNet")
        width = architecture.width
        self.embedding = ConditionEmbedding(
            config.condition_width,
            config.num_time_frequencies,
            config.max_time_frequency,
            num_classes=config.num_classes,
            use_guidance=use_guidance,
            use_guidance_interval=use_guidance_interval,
            rngs=rngs,
        )
        self.project_in = nnx.Linear(spec.channels, width, rngs=rngs)
        self.project_local = nnx.Linear(local_channels, width, rngs=rngs) if local_channels else None
        self.position = (
            nnx.Param(jnp.zeros((spec.num_tokens, width))) if len(spec.grid) > 1 else None
        )  # an image has an absolute frame of reference, an excerpt of audio has none
        self.backbone = build_backbone(architecture, spec.grid, config.condition_width, rngs=rngs)
        self.mean_head = VelocityHead(config, spec.channels, rngs=rngs)
        self.instantaneous_head = VelocityHead(config, spec.channels, rngs=rngs) if config.velocity_head else None

    def __call__(
        self,
        z: Float[Array, "b n c"],
        r: Float[Array, " b"],
        t: Float[Array, " b"],
        conditioning: Conditioning,
    ) -> Velocity:
        """Velocities at z, over [r, t] and, from the auxiliary head if there is one, at t."""
        condition = self.embedding(
            r, t, conditioning.label, conditioning.drop, conditioning.guidance, conditioning.interval
        )
        hidden = self.project_in(z)
        if self.project_local is not None:
            if conditioning.local is None:
                raise ValueError("this decoder needs local features: encode something first")
            hidden = hidden + self.project_local(conditioning.local)
        if self.position is not None:
            hidden = hidden + self.position[...]
        hidden = self.backbone(hidden, condition)
        head = self.instantaneous_head
        return Velocity(
            mean=self.mean_head(hidden, z, r, t, condition),
            # The velocity at t is the mean one over [t, t].
            instantaneous=None if head is None else head(hidden, z, t, t, condition),
        )
