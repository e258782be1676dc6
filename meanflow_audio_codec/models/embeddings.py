"""Times, labels and guidance as one vector per example."""

import jax.numpy as jnp
import numpy as np
from flax import nnx
from jaxtyping import Array, Bool, Float, Int

from meanflow_audio_codec.models.backbones.activations import gelu


def fourier_features(
    value: Float[Array, " b"], num_frequencies: int, max_frequency: float
) -> Float[Array, "b features"]:
    """Sines and cosines at geometrically spaced angular frequencies up to `max_frequency` rad per unit.

    The derivative of these features along time, and with it du/dt, is bounded by `max_frequency`: a mean flow trained
    with the usual 1000 rad does not converge (documentation/research/improved_meanflow/improved_meanflow_key_eqn.md).
    """
    frequencies = np.geomspace(max_frequency / 24.0, max_frequency, num_frequencies).astype(np.float32)
    angle = value[:, None] * frequencies
    return jnp.concatenate([jnp.sin(angle), jnp.cos(angle)], axis=-1)


class ConditionEmbedding(nnx.Module):
    """Adds the embeddings of (t, t - r), of the label and of guidance; a two-layer network mixes them."""

    def __init__(
        self,
        width: int,
        num_frequencies: int,
        max_frequency: float,
        *,
        num_classes: int,
        use_guidance: bool,
        use_guidance_interval: bool = False,
        rngs: nnx.Rngs,
    ):
        self.num_frequencies = num_frequencies
        self.max_frequency = max_frequency
        self.num_classes = num_classes
        self.time = nnx.Linear(2 * num_frequencies, width, rngs=rngs)
        self.interval = nnx.Linear(2 * num_frequencies, width, rngs=rngs)
        # Unit variance, as loud as the time features: at the library's default (1/width) it stays unheard for long.
        self.label = (
            nnx.Embed(num_classes + 1, width, embedding_init=nnx.initializers.normal(1.0), rngs=rngs)
            if num_classes
            else None
        )
        self.guidance = nnx.Linear(2 * num_frequencies, width, rngs=rngs) if use_guidance else None
        self.guidance_interval = nnx.Linear(4 * num_frequencies, width, rngs=rngs) if use_guidance_interval else None
        self.out = nnx.Linear(width, width, rngs=rngs)

    def __call__(
        self,
        r: Float[Array, " b"],
        t: Float[Array, " b"],
        label: Int[Array, " b"] | None,
        drop: Bool[Array, " b"] | None,
        guidance: Float[Array, " b"] | None,
        guidance_interval: Float[Array, "b 2"] | None = None,
    ) -> Float[Array, "b e"]:
        """The condition vector; `drop` marks examples whose label is withheld."""

        def features(value: Float[Array, " b"]) -> Float[Array, "b f"]:
            return fourier_features(value, self.num_frequencies, self.max_frequency)

        hidden = self.time(features(t)) + self.interval(features(t - r))
        if self.label is not None:
            if label is None:
                label = jnp.full(t.shape, self.num_classes)
            if drop is not None:
                label = jnp.where(drop, self.num_classes, label)
            hidden = hidden + self.label(label)
        if self.guidance is not None:
            scale = jnp.ones_like(t) if guidance is None else guidance
            # 1 - 1/w is the weight that guidance gives the difference of the two velocities: bounded, 0 at w = 1.
            hidden = hidden + self.guidance(features(1.0 - 1.0 / scale))
        if self.guidance_interval is not None:
            if guidance_interval is None:
                guidance_interval = jnp.stack([jnp.zeros_like(t), jnp.ones_like(t)], axis=-1)
            ends = [features(guidance_interval[:, 0]), features(guidance_interval[:, 1])]
            hidden = hidden + self.guidance_interval(jnp.concatenate(ends, axis=-1))
        return gelu(self.out(gelu(hidden, "tanh")), "tanh")
