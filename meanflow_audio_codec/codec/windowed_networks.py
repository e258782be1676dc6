"""The networks over windows of fixed size: any length of audio, one compilation, flat memory.

A window is a core of frames and, on both sides, as many frames of context as the networks can see. Before and after the
recording lies silence, so every core frame has its full context and its result does not depend on how the recording
was cut (up to the last bits of float arithmetic).
"""

from collections.abc import Callable, Iterator
from functools import partial
from typing import Any, cast

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int, PRNGKeyArray

from meanflow_audio_codec.codec.context import context_of, core_frames
from meanflow_audio_codec.codec.token_windows import TokenWindows, rows_from
from meanflow_audio_codec.configs.tokens import MDCTConfig
from meanflow_audio_codec.inference.decoding_options import DecodingOptions
from meanflow_audio_codec.inference.jax_settings import noise_key, own_jax_settings
from meanflow_audio_codec.inference.pretrained import PretrainedModel
from meanflow_audio_codec.models.codec_model import CodecModel
from meanflow_audio_codec.models.coefficient_decoding import decode_coefficients
from meanflow_audio_codec.preprocessing.mdct import imdct, mdct
from meanflow_audio_codec.preprocessing.normalizer import GainColumns, TokenNormalizer


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
        self._pretrained = pretrained
        self.code_levels: tuple[int, ...] = pretrained.model.bottleneck.levels
        self.hop_length = config.tokenizer.hop_length
        self.sample_rate: int = pretrained.signal.sample_rate
        # Gains are coded in blocks of this many frames: windows and packets begin where blocks do.
        self.block_frames = pretrained.normalizer.block_frames
        self.encoder_context = context_of(config.encoder.architecture).in_blocks(self.block_frames)
        self.decoder_context = context_of(config.decoder.architecture)
        if config.prior is not None:
            self.decoder_context = context_of(config.prior.architecture).behind(self.decoder_context)
        self._model: CodecModel | None = None
        self._encode = jax.jit(self._encode_window)
        self._decode = jax.jit(self._decode_window, static_argnames="num_steps")
        self._decode_coefficients = jax.jit(self._core_coefficients, static_argnames="num_steps")

    def __reduce__(self) -> tuple[Any, ...]:
        """Pickled and copied as its model."""
        return WindowedNetworks, (self._pretrained,)

    def _weights(self) -> CodecModel:
        """The model on the device, where a copy that came by pickle has to be brought."""
        model = self._model
        if model is None:
            model = self._model = cast(CodecModel, jax.tree.map(jnp.asarray, self._pretrained.model))
        return model

    @property
    def is_causal(self) -> bool:
        """Whether no network of the path sees a frame ahead."""
        return self.encoder_context.future == self.decoder_context.future == 0

    @property
    def silent_codes(self) -> Int[np.ndarray, " q"]:
        """The codes of the frames before and after a recording: the middle level of every digit."""
        return np.asarray(self.code_levels, np.int32) // 2

    @property
    def normalizer(self) -> TokenNormalizer:
        """What turns coefficients into what the networks see, and what is coded of it."""
        return self._pretrained.normalizer

    @property
    def default_bits_per_second(self) -> int:
        """The bit rate of a channel unless told otherwise, in models of several."""
        return self._pretrained.config.serving.default_bits_per_second

    @property
    def symbol_levels(self) -> tuple[int, ...]:
        """Alphabet size of each symbol of side information that is coded for a frame."""
        return self._pretrained.normalizer.symbol_levels

    def side_of_symbols(self, symbols: Int[np.ndarray, "n s"]) -> Int[np.ndarray, "n s"]:
        """The side information that coded symbols stand for, of whole blocks of one packet."""
        return self._pretrained.normalizer.side_of_symbols(symbols)

    def num_frames(self, num_samples: int) -> int:
        """Frames that samples at the model's rate are coded in: all that overlap them, in whole blocks."""
        frames = -(-num_samples // self.hop_length) + 1
        return -(-frames // self.block_frames) * self.block_frames

    @property
    def side_levels(self) -> tuple[int, ...]:
        """Alphabet size of each side value of a frame."""
        return self._pretrained.normalizer.side_levels

    @property
    def gain_columns(self) -> GainColumns:
        """Which side values are gains; none for a model without side information."""
        return self._pretrained.normalizer.gain_columns

    @property
    def num_bins(self) -> int:
        """MDCT coefficients of a frame."""
        return self._pretrained.tokenizer.spec.channels

    def encoder_window_samples(self, core: int) -> int:
        """Samples of the window that encodes this many core frames.

        A frame overlaps the blocks on both sides of its start, so a window has one block more than frames.
        """
        return (core + self.encoder_context.past + self.encoder_context.future + 1) * self.hop_length

    def encoder_window_start(self, first_frame: int) -> int:
        """First sample of the window whose core begins with this frame; negative before the recording."""
        return (first_frame - self.encoder_context.past - 1) * self.hop_length

    @own_jax_settings()
    def encode_window(
        self, samples: Float[np.ndarray, " window"], point: int = 0
    ) -> tuple[Int[np.ndarray, "core s"], Int[np.ndarray, "core q"]]:
        """Symbols of side information, and codes, of the core frames of one window of `encoder_window_samples`.

        A model of several bit rates gives full detail at this operating point; others have no such choice.
        """
        side, codes = self._encode(self._weights(), samples, np.int32(point))
        return np.asarray(side), np.asarray(codes)

    def decode_window(
        self,
        side: Int[np.ndarray, "window s"],
        codes: Int[np.ndarray, "window q"],
        key: PRNGKeyArray,
        first_frame: int,
        options: DecodingOptions,
    ) -> Float[np.ndarray, "core bins"]:
        """MDCT coefficients of the core frames of one window, whose context begins with `first_frame`.

        `key` is that of `channel_key`.
        """
        return self._run(self._decode_coefficients, side, codes, key, first_frame, options)

    def decoded_windows(
        self,
        tokens: TokenWindows,
        num_frames: int,
        options: DecodingOptions,
        *,
        channels: int = 1,
        windows: range | None = None,
        core: int | None = None,
    ) -> Iterator[Float[np.ndarray, "channels samples"]]:
        """The sound of a recording of `num_frames` at the model's rate, a block for each window: what decoding is.

        Block w begins with sample w * core * hop_length; `windows` says which are wanted, all unless told otherwise.
        What the last one has beyond the recording is of the silence behind it. The noise of a frame depends on seed,
        channel and frame number alone. Windows are computed as they are asked for.
        """
        core = core_frames(num_frames) if core is None else core
        windows = range(-(-(num_frames - 1) // core)) if windows is None else windows
        keys = [channel_key(options.seed, channel) for channel in range(channels)]
        context = self.decoder_context
        for window in windows:
            first = window * core - context.past
            side, codes = tokens.window(first, context.past + core + 1 + context.future)
            channels_of_window = zip(side, codes, keys, strict=True)
            yield np.stack([self._run(self._decode, *each, first, options) for each in channels_of_window])

    @own_jax_settings()
    def _run(
        self,
        program: Callable[..., Array],
        side: Int[np.ndarray, "window s"],
        codes: Int[np.ndarray, "window q"],
        key: PRNGKeyArray,
        first_frame: int,
        options: DecodingOptions,
    ) -> Float[np.ndarray, "..."]:
        """What a compiled program makes of one window."""
        place = key, np.int32(first_frame), np.float32(options.temperature)
        return np.asarray(program(self._weights(), side, codes, *place, num_steps=options.num_steps))

    @own_jax_settings()
    def synthesize(self, coefficients: Float[np.ndarray, "frames bins"]) -> Float[np.ndarray, " samples"]:
        """Samples of the blocks between consecutive frames: one block fewer than frames."""
        length = (len(coefficients) - 1) * self.hop_length
        return np.asarray(imdct(coefficients, length=length))

    def encode(
        self, samples: Float[np.ndarray, " samples"], num_frames: int, core: int | None = None, *, point: int = 0
    ) -> tuple[Int[np.ndarray, "n s"], Int[np.ndarray, "n q"]]:
        """Symbols of side information, and codes, of every frame of one channel at the model's rate."""
        core = core_frames(num_frames) if core is None else core
        side, codes = [], []
        for first in range(0, num_frames, core):
            window = rows_from(samples, self.encoder_window_start(first), self.encoder_window_samples(core))
            window_side, window_codes = self.encode_window(window, point)
            side.append(window_side)
            codes.append(window_codes)
        return np.concatenate(side)[:num_frames], np.concatenate(codes)[:num_frames]

    def _encode_window(
        self, model: CodecModel, samples: Float[Array, " window"], point: Int[Array, ""]
    ) -> tuple[Int[Array, "core s"], Int[Array, "core q"]]:
        """Symbols of side information, and codes, of the core frames."""
        # The first and last frame of this transform lack half their samples.
        coefficients = mdct(samples, self.hop_length)[None, 1:-1]
        x, side, symbols = self._pretrained.normalizer.normalize_at(coefficients, point)
        encoded = model.encode(x, self._pretrained.normalizer.features(side))
        core = slice(self.encoder_context.past, side.shape[1] - self.encoder_context.future)
        return symbols[0, core], encoded.codes[0, core]

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
        core = self._core_coefficients(model, side, codes, key, first_frame, temperature, num_steps=num_steps)
        return imdct(core, length=(len(core) - 1) * self.hop_length)

    def _core_coefficients(
        self,
        model: CodecModel,
        side: Int[Array, "window s"],
        codes: Int[Array, "window q"],
        key: PRNGKeyArray,
        first_frame: Int[Array, ""],
        temperature: Float[Array, ""],
        *,
        num_steps: int,
    ) -> Float[Array, "core bins"]:
        """MDCT coefficients of the core frames."""
        num_frames = len(codes)
        frame_keys = jax.vmap(partial(jax.random.fold_in, key))(first_frame + jnp.arange(num_frames))
        noise = jax.vmap(lambda frame_key: jax.random.normal(frame_key, (self.num_bins,)))(frame_keys)[None]
        coefficients = decode_coefficients(
            self._pretrained.method,
            self._pretrained.normalizer,
            model,
            side[None],
            codes[None],
            noise,
            num_steps=num_steps,
            temperature=temperature,
        )[0]
        return coefficients[self.decoder_context.past : num_frames - self.decoder_context.future]


@own_jax_settings()
def channel_key(seed: int, channel: int) -> PRNGKeyArray:
    """What the noise of a channel is drawn with."""
    return jax.random.fold_in(noise_key(seed), channel)
