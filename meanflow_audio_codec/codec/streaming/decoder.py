"""Packets that arrive one by one, or do not, to audio."""

from typing import Any, NoReturn, cast

import numpy as np
from jaxtyping import Float

from meanflow_audio_codec.codec.container import BitstreamError
from meanflow_audio_codec.codec.entropy_coding.packet_coder import PacketCoder
from meanflow_audio_codec.codec.packets import StreamPacket
from meanflow_audio_codec.codec.streaming.concealment import Concealment
from meanflow_audio_codec.codec.streaming.token_history import TokenHistory
from meanflow_audio_codec.codec.windowed_networks import WindowedNetworks, channel_key
from meanflow_audio_codec.errors import InputError
from meanflow_audio_codec.inference.decoding_options import DecodingOptions
from meanflow_audio_codec.inference.given_numbers import shown, whole_number
from meanflow_audio_codec.preprocessing.resampling import resampled_length
from meanflow_audio_codec.preprocessing.streaming_resampling import StreamingResampler, resampling_delay

# A larger gap in the indices is not concealed but refused: a few damaged bytes must not ask for hours of work.
MAX_GAP_FRAMES = 3_000


class StreamingDecoder:
    """Gives the samples that `Codec.detokenize` gives for the whole, each as soon as no later packet can change it.

    It keeps the tokens of one window per channel, and some before it, whatever the length. Packets come in order of
    (index, channel). A missing one is concealed: when told so by None, or when a later one arrives; a packet that
    arrives after its place was filled is ignored.
    """

    def __init__(
        self,
        networks: WindowedNetworks,
        packet_coder: PacketCoder,
        *,
        model_rate: int,
        sample_rate: int,
        channels: int,
        frames_per_packet: int,
        options: DecodingOptions,
        concealment: Concealment,
    ):
        self.sample_rate = sample_rate
        self.channels = channels
        self.frames_per_packet = frames_per_packet
        self._model_rate = model_rate
        self._networks = networks
        self._packet_coder = packet_coder
        self._options = options
        self._keys = [channel_key(options.seed, channel) for channel in range(channels)]
        self._resampler = StreamingResampler(model_rate, sample_rate, channels)
        context = networks.decoder_context
        self._window_frames = context.past + frames_per_packet + context.future
        self._history = [
            TokenHistory(
                self._window_frames,
                len(networks.side_levels),
                networks.gain_columns,
                networks.silent_codes,
                concealment,
            )
            for _ in range(channels)
        ]
        # The last frame that was decoded: its second half is still to sound.
        self._last_frame = np.zeros((channels, 1, networks.num_bins), np.float32)
        self._next_index = 0
        self._num_decoded = 0
        # Tokens of the channels of the next slice that are there, or None for those that are lost.
        self._slice: list[tuple[np.ndarray, np.ndarray] | None] = []
        self._num_frames = 0
        self._emitted = 0
        self._finished = False

    def __reduce__(self) -> NoReturn:
        """Refuse to be pickled or copied: a resampling filter in the middle of its work cannot be.

        Raises:
            TypeError: always.
        """
        raise TypeError("a stream cannot be copied or pickled: make a new decoder where it is needed")

    @property
    def latency_samples(self) -> int:
        """Output samples by which decoding lags behind the packets: with the encoder's, the latency of the whole.

        At the model's own rate: the frames that prior and decoder see ahead. At other rates the delay of the resampling
        filter is added.
        """
        own_samples = self._networks.decoder_context.future * self._networks.hop_length
        own_samples += resampling_delay(self._model_rate, self.sample_rate)
        return -(-own_samples * self.sample_rate // self._model_rate)

    @property
    def latency_ms(self) -> float:
        """`latency_samples` in milliseconds."""
        return 1000.0 * self.latency_samples / self.sample_rate

    @property
    def _ended(self) -> bool:
        """Whether the last slice was shorter than the others: no other can follow it."""
        return self._num_frames < self._next_index * self.frames_per_packet

    def push(self, packet: StreamPacket | None) -> Float[np.ndarray, "channels samples"]:
        """The samples that have become final; None stands for the next packet, lost.

        Raises:
            BitstreamError: the packet is damaged, or does not belong here. Nothing has changed then: push None instead.
            ValueError: the stream is finished.
        """
        if self._finished:
            raise ValueError("the stream is finished: make a new decoder")
        if packet is None:
            if self._ended:
                return np.zeros((self.channels, 0), np.float32)
            return self._resampler.push(self._place(None))
        given: Any = packet
        if not isinstance(given, StreamPacket) or not isinstance(cast(Any, given.payload), bytes):
            raise InputError(f"a stream takes StreamPacket(index, channel, num_frames, payload), not {shown(packet)}")
        place = (self._next_index, len(self._slice))
        if (packet.index, packet.channel) < place:
            return np.zeros((self.channels, 0), np.float32)
        self._check(packet)
        symbols, codes = self._packet_coder.decode(packet.payload, packet.num_frames)
        tokens = self._networks.side_of_symbols(symbols), codes
        samples: list[np.ndarray] = []
        while (self._next_index, len(self._slice)) < (packet.index, packet.channel):
            samples.append(self._place(None))
        samples.append(self._place(tokens))
        return self._resampler.push(np.concatenate(samples, axis=1))

    def finish(self, num_samples: int | None = None) -> Float[np.ndarray, "channels samples"]:
        """The rest, with silence behind the last frame.

        `num_samples` is the length of the recording if it is known: it cuts the silence that fills the last frame, and
        packets that are missing at the end are concealed. A decoder that sees no frames ahead has given the silence
        of the last packet by then, up to a block of frames of it: `decode_stream` cuts that off.

        Raises:
            InputError: more packets came than this length has, or far fewer.
        """
        if self._finished:
            return np.zeros((self.channels, 0), np.float32)
        samples = [np.zeros((self.channels, 0), np.float32)]
        while self._slice:
            samples.append(self._place(None))
        own_samples = max(self._num_frames - 1, 0) * self._networks.hop_length
        if num_samples is not None:
            num_samples = whole_number(num_samples, "the number of samples")
            if num_samples < 0:
                raise InputError(f"the number of samples must not be negative: {num_samples}")
            own_samples = resampled_length(num_samples, self.sample_rate, self._model_rate)
            missing = self._networks.num_frames(own_samples) - self._num_frames
            if not -self.frames_per_packet < missing <= (0 if self._ended else MAX_GAP_FRAMES):
                raise InputError(f"{num_samples} samples do not fit the {self._num_frames} frames that came")
            while (self._num_frames - 1) * self._networks.hop_length < own_samples:
                samples.append(self._place(None))
        self._finished = True
        while self._emitted < own_samples:
            if self._num_decoded == self._next_index:
                self._append([_no_tokens(self._networks)] * self.channels, 0)
            samples.append(self._decode())
        rest = np.concatenate(samples, axis=1)
        excess = max(self._emitted - own_samples, 0)
        rest = rest[:, : max(rest.shape[1] - excess, 0)]
        rest = np.concatenate([self._resampler.push(rest), self._resampler.finish()], axis=1)
        if num_samples is None:
            return rest
        return rest[:, : max(rest.shape[1] - max(self._resampler.num_given - num_samples, 0), 0)]

    def _check(self, packet: StreamPacket) -> None:
        """Refuse a packet that cannot be of this stream.

        Raises:
            BitstreamError: its channel, its number of frames or its index is impossible here.
        """
        if not 0 <= packet.channel < self.channels:
            raise BitstreamError(f"packet {packet.index} is of channel {packet.channel}: there are {self.channels}")
        if not 1 <= packet.num_frames <= self.frames_per_packet:
            raise BitstreamError(
                f"packet {packet.index} holds {packet.num_frames} frames: must be 1 ... {self.frames_per_packet}"
            )
        gap = packet.index - self._next_index
        lengths = {len(tokens[1]) for tokens in self._slice if tokens is not None}
        if self._ended or (gap > 0 and lengths - {self.frames_per_packet}):
            raise BitstreamError(f"packet {packet.index} follows the last packet of the stream")
        if gap > max(MAX_GAP_FRAMES // self.frames_per_packet, 1):
            raise BitstreamError(f"packets {self._next_index} to {packet.index - 1} are missing: begin a new stream")
        if gap == 0 and lengths - {packet.num_frames}:
            raise BitstreamError(f"the channels of packet {packet.index} differ in length")

    def _place(self, tokens: tuple[np.ndarray, np.ndarray] | None) -> Float[np.ndarray, "channels samples"]:
        """Samples at the model's rate that this packet, or its loss, makes final."""
        self._slice.append(tokens)
        if len(self._slice) < self.channels:
            return np.zeros((self.channels, 0), np.float32)
        num_frames = next((len(tokens[1]) for tokens in self._slice if tokens is not None), self.frames_per_packet)
        self._append(self._slice, num_frames)
        self._slice = []
        # A slice that is not full is the last one: where in it the recording ends, `finish` will be told.
        return np.zeros((self.channels, 0), np.float32) if self._ended else self._decode()

    def _append(self, tokens: list[tuple[np.ndarray, np.ndarray] | None], num_frames: int) -> None:
        """One more slice, of this many frames before silence."""
        for history, of_channel in zip(self._history, tokens, strict=True):
            if of_channel is None:
                history.append_lost(num_frames)
                history.append(*_no_tokens(self._networks), total=self.frames_per_packet - num_frames)
            else:
                history.append(*of_channel, total=self.frames_per_packet)
        self._next_index += 1
        self._num_frames += num_frames

    def _decode(self) -> Float[np.ndarray, "channels samples"]:
        """The blocks that the newest slice makes final."""
        networks, hop = self._networks, self._networks.hop_length
        self._num_decoded += 1
        first_frame = self._num_decoded * self.frames_per_packet - self._window_frames
        first_core = first_frame + networks.decoder_context.past
        output = np.empty((self.channels, self.frames_per_packet * hop), np.float32)
        for channel, (history, key) in enumerate(zip(self._history, self._keys, strict=True)):
            coefficients = networks.decode_window(*history.window(), key, first_frame, self._options)
            frames = np.concatenate([self._last_frame[channel], coefficients])
            output[channel] = networks.synthesize(frames)
            self._last_frame[channel] = frames[-1:]
        # The block before a frame ends where the frame has its middle; those before frame 1 are no part of the sound.
        output = output[:, max((1 - first_core) * hop, 0) :]
        self._emitted += output.shape[1]
        return output


def _no_tokens(networks: WindowedNetworks) -> tuple[np.ndarray, np.ndarray]:
    """Side information and codes of no frames."""
    return np.zeros((0, len(networks.side_levels)), np.int32), np.zeros((0, len(networks.code_levels)), np.int32)
