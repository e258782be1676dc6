"""The networks over windows of fixed size: any length of audio, one compilation, flat memory.

A window is a core of frames and, on both sides, as many frames of context as the networks can see. Before and after the
recording lies silence, so every core frame has its full context and its result does not depend on how the recording
was cut (up to the last bits of float arithmetic).
"""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int, PRNGKeyArray

from meanflow_audio_codec.codec.pretrained import PretrainedModel
from meanflow_audio_codec.configs.networks import ArchitectureConfig, ConvNeXtConfig
from meanflow_audio_codec.configs.tokens import MDCTConfig
from meanflow_audio_codec.errors import InputError
from meanflow_audio_codec.models.codec_model import CodecModel
from meanflow_audio_codec.models.conditioning import Conditioning
from meanflow_audio_codec.models.methods.sampling import sample
from meanflow_audio_codec.preprocessing.mdct import imdct, mdct

# Core frames of a window: the smallest that holds the recording, or the largest.
CORE_FRAMES = (128, 512)


def core_frames(num_frames: int) -> int:
    """Core size of the windows for a recording of this many frames."""
    return next((size for size in CORE_FRAMES if num_frames <= size), CORE_FRAMES[-1])


def _reach(architecture: ArchitectureConfig) -> int:
    """Frames on one side that a stack of convolutions can see.

    Raises:
        InputError: the network sees a whole segment at once, so windows of a stream would change its result.
    """
    match architecture:
        case ConvNeXtConfig(response_normalization=False):
            return architecture.num_blocks * (architecture.kernel_size // 2)
        case ConvNeXtConfig():
            name = "convnext with response_normalization"
        case _:
            name = architecture.kind
    raise InputError(
        f"architecture {name}: such networks code segments of fixed length, not streams; "
        "use convnext without response_normalization"
    )


class WindowedNetworks:
    """Encoder and decoder of a model over one window, compiled once per window size and step count."""

    def __init__(self, pretrained: PretrainedModel):
        config = pretrained.config
        if (
            not isinstance(config.tokenizer, MDCTConfig)
            or config.encoder is None
            or pretrained.model.bottleneck is None
            or pretrained.signal.sample_rate is None
        ):
            raise ValueError(f"model {config.name} is not an audio codec on MDCT frames")
        self._transform = config.tokenizer
        self._pretrained = pretrained
        self.code_levels: tuple[int, ...] = pretrained.model.bottleneck.levels
        self.hop_length = config.tokenizer.hop_length
        self.encoder_context = _reach(config.encoder.architecture)
        self.decoder_context = _reach(config.decoder.architecture) + (
            0 if config.prior is None else _reach(config.prior.architecture)
        )
        self._encode = jax.jit(self._encode_window)
        self._decode = jax.jit(self._decode_window, static_argnames="num_steps")

    def encode(
        self, samples: Float[np.ndarray, " samples"], num_frames: int, core: int | None = None
    ) -> tuple[Int[np.ndarray, "n s"], Int[np.ndarray, "n q"]]:
        """Side information and codes of every frame of one channel at the model's rate."""
        core = core_frames(num_frames) if core is None else core
        hop, context = self.hop_length, self.encoder_context
        side, codes = [], []
        for first in range(0, num_frames, core):
            # Frames first - context ... first + core + context, and one more hop on each side for their halves.
            start = (first - context - 1) * hop
            length = (core + 2 * context + 1) * hop
            window_side, window_codes = self._encode(self._pretrained.model, _cut(samples, start, length))
            side.append(np.asarray(window_side))
            codes.append(np.asarray(window_codes))
        return np.concatenate(side)[:num_frames], np.concatenate(codes)[:num_frames]

    def decode(
        self,
        side: Int[np.ndarray, "n s"],
        codes: Int[np.ndarray, "n q"],
        key: PRNGKeyArray,
        *,
        num_samples: int,
        num_steps: int,
        temperature: float,
        core: int | None = None,
    ) -> Float[np.ndarray, " samples"]:
        """Samples of one channel at the model's rate; the noise of a frame depends on the key and its number alone."""
        num_frames = len(codes)
        core = core_frames(num_frames) if core is None else core
        context = self.decoder_context
        silent_codes = np.asarray(self.code_levels, np.int32) // 2
        output = []
        for first in range(0, num_frames - 1, core):
            start, length = first - context, core + 1 + 2 * context
            samples = self._decode(
                self._pretrained.model,
                _cut(side, start, length),
                _cut(codes, start, length, silent_codes),
                key,
                np.int32(start),
                np.float32(temperature),
                num_steps=num_steps,
            )
            output.append(np.asarray(samples))
        return np.concatenate(output)[:num_samples]

    def _encode_window(
        self, model: CodecModel, samples: Float[Array, " window"]
    ) -> tuple[Int[Array, "core s"], Int[Array, "core q"]]:
        """Side information and codes of the core frames."""
        window = {"window": self._transform.window, "kbd_alpha": self._transform.kbd_alpha}
        # The first and last frame of this transform lack half their samples.
        coefficients = mdct(samples, self.hop_length, **window)[None, 1:-1]
        x, side = self._pretrained.normalizer.normalize(coefficients)
        encoded = model.encode(x, self._pretrained.normalizer.features(side))
        core = slice(self.encoder_context, -self.encoder_context or None)
        return side[0, core], encoded.codes[0, core]

    def _decode_window(
        self,
        model: CodecModel,
        side: Int[Array, "window s"],
        codes: Int[Array, "window q"],
        key: PRNGKeyArray,
        first_frame: Int[Array, ""],
        temperature: Float[Array, ""],
        *,
        num_steps: int,
    ) -> Float[Array, " samples"]:
        """Samples of the core: one frame more than blocks, since a block is the sum of two frames."""
        num_frames, num_bins = len(codes), self._pretrained.tokenizer.spec.channels
        frame_keys = jax.vmap(partial(jax.random.fold_in, key))(first_frame + jnp.arange(num_frames))
        noise = jax.vmap(lambda frame_key: jax.random.normal(frame_key, (num_bins,)))(frame_keys)[None]
        condition = model.condition_of_codes(codes[None], self._pretrained.normalizer.features(side[None]))
        tokens = sample(
            self._pretrained.method,
            model.decoder,
            noise,
            Conditioning(local=condition.features),
            num_steps=num_steps,
            temperature=temperature,
        )
        if condition.prediction is not None:
            tokens = condition.prediction.restore(tokens)
        coefficients = self._pretrained.normalizer.denormalize(tokens, side[None])[0]
        core = coefficients[self.decoder_context : num_frames - self.decoder_context]
        window = {"window": self._transform.window, "kbd_alpha": self._transform.kbd_alpha}
        return imdct(core, length=(len(core) - 1) * self.hop_length, **window)


def _cut(values: np.ndarray, start: int, length: int, fill: np.ndarray | float = 0) -> np.ndarray:
    """Rows start ... start + length, with `fill` where there are none."""
    out = np.empty((length, *values.shape[1:]), values.dtype)
    out[:] = fill
    first, last = max(start, 0), min(start + length, len(values))
    if first < last:
        out[first - start : last - start] = values[first:last]
    return out
