"""Residual vector quantisation (SoundStream, arXiv 2107.03312) with factorised, normalised codes (DAC, 2306.06546)."""

import jax
import jax.numpy as jnp
from flax import nnx
from jaxtyping import Array, Float, Int

from meanflow_audio_codec.configs.networks import RVQConfig
from meanflow_audio_codec.models.bottlenecks.bottleneck import BottleneckOutput, keep_first, middle_codes


class RVQ(nnx.Module):
    """Each codebook codes what the former ones left of the latent, seen through few channels of its own.

    Codebooks are parameters under the loss of VQ-VAE (arXiv 1711.00937, equation 3), so that a training step stays a
    pure function: there is no moving average of entries, and no entry that is not used is drawn anew. Against that,
    entries are compared by direction in few channels (arXiv 2306.06546, section 3.2). Parameters: S (2 k d + C d) for S
    codebooks of C entries, k latent channels and d channels of a code.
    """

    def __init__(self, config: RVQConfig, *, rngs: nnx.Rngs):
        self.channels: int = config.channels
        self.levels = (config.codebook_size,) * config.num_codebooks
        self.codebook_weight = config.codebook_weight
        self.commitment_weight = config.commitment_weight
        keys = jax.random.split(rngs.params(), config.num_codebooks)
        shape = (config.channels, config.code_channels)
        # Orthonormal columns, and back by the same: at first a codebook takes from the latent what it sees of it.
        columns = jax.vmap(lambda key: jax.nn.initializers.orthogonal()(key, shape))(keys)
        entries = (config.num_codebooks, config.codebook_size, config.code_channels)
        self.project_in = nnx.Param(columns)
        self.project_out = nnx.Param(columns.swapaxes(1, 2))
        self.codebooks = nnx.Param(jax.random.normal(rngs.params(), entries))

    def __call__(self, latent: Float[Array, "b m k"], num_kept: Int[Array, "b m"] | None = None) -> BottleneckOutput:
        """The sum of the entries that are kept, with straight-through gradients; all codes; the loss of those kept.

        The loss is a mean over tokens, codebooks and channels: codebook_weight (entry - sg latent)^2 +
        commitment_weight (latent - sg entry)^2. Entries learn by it alone, maps also by what the latent is used for.
        """
        residual, quantised, loss, codes = latent, jnp.zeros_like(latent), jnp.zeros(()), []
        for stage, kept in enumerate(self._kept(latent.shape[:2], num_kept)):
            seen = residual @ self.project_in[stage]
            code = self._nearest(seen, stage)
            entry = self.codebooks[stage][code]
            fixed, seen_fixed = jax.lax.stop_gradient((entry, seen))
            distance = self.codebook_weight * (entry - seen_fixed) ** 2 + self.commitment_weight * (seen - fixed) ** 2
            loss = loss + jnp.mean(jnp.where(kept, distance, 0.0)) / len(self.levels)
            # The entry, to the last bit, with the gradient of what was seen.
            step = (fixed + (seen - seen_fixed)) @ self.project_out[stage]
            residual = residual - step
            quantised = quantised + jnp.where(kept, step, 0.0)
            codes.append(code)
        every_code = jnp.stack(codes, axis=-1)
        return BottleneckOutput(quantised, keep_first(every_code, num_kept, middle_codes(self.levels)), loss)

    def codes_to_latent(
        self, codes: Int[Array, "b m q"], num_kept: Int[Array, "b m"] | None = None
    ) -> Float[Array, "b m k"]:
        """The latent that these codes stand for: the sum of their entries."""
        latent = jnp.zeros((*codes.shape[:2], self.channels))
        for stage, kept in enumerate(self._kept(codes.shape[:2], num_kept)):
            entry = self.codebooks[stage][codes[..., stage]]
            latent = latent + jnp.where(kept, entry @ self.project_out[stage], 0.0)
        return latent

    def _nearest(self, seen: Float[Array, "b m d"], stage: int) -> Int[Array, "b m"]:
        """The entries of least angle; the length of what is seen makes no difference to which is nearest."""
        entries = self.codebooks[stage]
        directions = entries / jnp.maximum(jnp.linalg.norm(entries, axis=-1, keepdims=True), 1e-6)
        return jnp.argmax(seen @ directions.T, axis=-1).astype(jnp.int32)

    def _kept(self, shape: tuple[int, ...], num_kept: Int[Array, "b m"] | None) -> list[Array]:
        """For every codebook, which tokens keep its code, with an axis for channels."""
        every = jnp.ones((*shape, len(self.levels)), bool)
        return jnp.split(keep_first(every, num_kept, False), len(self.levels), axis=-1)
