"""Audio that arrives piece by piece, to packets."""

from typing import Any, NoReturn

import numpy as np
from jaxtyping import Float

from meanflow_audio_codec.codec.audio_input import as_channels
from meanflow_audio_codec.codec.context import encoder_core_frames
from meanflow_audio_codec.codec.entropy_coding.packet_coder import PacketCoder
from meanflow_audio_codec.codec.packets import StreamPacket
from meanflow_audio_codec.codec.rate.bit_rate import BitRate
from meanflow_audio_codec.codec.rate.digit_allocation import DetailChooser
from meanflow_audio_codec.codec.windowed_networks import WindowedNetworks
from meanflow_audio_codec.errors import InputError
from meanflow_audio_codec.preprocessing.streaming_resampling import StreamingResampler, resampling_delay


class StreamingEncoder:
    """Makes the packets that `Codec.encode` makes of the whole recording, each as soon as its samples are there.

    It keeps one window of samples per channel, whatever the length. Channels and sample rate are fixed.
    """

    def __init__(
        self,
        networks: WindowedNetworks,
        packet_coder: PacketCoder,
        *,
        rate: BitRate,
        model_rate: int,
        sample_rate: int,
        channels: int,
        frames_per_packet: int,
    ):
        self.sample_rate = sample_rate
        self.channels = channels
        self.frames_per_packet = frames_per_packet
        self._model_rate = model_rate
        self._networks = networks
        self._packet_coder = packet_coder
        self._point = rate.point
        frames_per_second = model_rate / networks.hop_length
        self._choose = [DetailChooser(networks, packet_coder, rate, frames_per_second) for _ in range(channels)]
        self._resampler = StreamingResampler(sample_rate, model_rate, channels)
        self._window = np.zeros((channels, networks.encoder_window_samples(frames_per_packet)), np.float32)
        # Silence before the recording.
        self._filled = -networks.encoder_window_start(0)
        self._received = 0
        self._next_index = 0
        self._finished = False

    def __reduce__(self) -> NoReturn:
        """Refuse to be pickled or copied: a resampling filter in the middle of its work cannot be.

        Raises:
            TypeError: always.
        """
        raise TypeError("a stream cannot be copied or pickled: make a new encoder where it is needed")

    @property
    def is_empty(self) -> bool:
        """Whether no sample has come."""
        return self._received == 0

    @property
    def latency_samples(self) -> int:
        """A sample is in packets that have all left after at most this many more samples, itself counted.

        At the model's own rate this is sharp: a packet of P frames, one more whose second half a sample may be in, and
        the frames that the encoder sees ahead. At other rates the delay of the resampling filter is added.
        """
        frames = self.frames_per_packet + 1 + self._networks.encoder_context.future
        own_samples = frames * self._networks.hop_length
        return -(-own_samples * self.sample_rate // self._model_rate) + resampling_delay(
            self.sample_rate, self._model_rate
        )

    @property
    def latency_ms(self) -> float:
        """`latency_samples` in milliseconds."""
        return 1000.0 * self.latency_samples / self.sample_rate

    def push(self, audio: Any) -> list[StreamPacket]:
        """The packets that can be made now; `audio` is of shape (channels, samples), or (samples,) of one channel.

        Raises:
            InputError: as `Codec.encode`, except that no samples are fine; or another number of channels.
            ValueError: the stream is finished.
        """
        if self._finished:
            raise ValueError("the stream is finished: make a new encoder")
        block = as_channels(audio, allow_empty=True)
        if block.size == 0:
            return []
        if len(block) != self.channels:
            raise InputError(f"audio has {len(block)} channels, and this stream {self.channels}: give as many")
        return self._encode(self._resampler.push(block))

    def finish(self) -> list[StreamPacket]:
        """The last packets, with silence behind the recording; none if it has no samples at all."""
        if self._finished:
            return []
        packets = self._encode(self._resampler.finish())
        self._finished = True
        if self._received == 0:
            return []
        num_frames = self._networks.num_frames(self._received)
        core = encoder_core_frames(self.frames_per_packet, num_frames)
        while self._next_index * self.frames_per_packet < num_frames:
            self._window[:, self._filled :] = 0.0
            remaining = num_frames - self._next_index * self.frames_per_packet
            packets += self._packets(core, min(self.frames_per_packet, remaining))
        return packets

    def _encode(self, samples: Float[np.ndarray, "channels samples"]) -> list[StreamPacket]:
        """The packets of all windows that these samples, at the model's rate, fill."""
        packets: list[StreamPacket] = []
        self._received += samples.shape[1]
        while samples.shape[1]:
            count = min(self._window.shape[1] - self._filled, samples.shape[1])
            self._window[:, self._filled : self._filled + count] = samples[:, :count]
            self._filled += count
            samples = samples[:, count:]
            if self._filled == self._window.shape[1]:
                packets += self._packets(self.frames_per_packet, self.frames_per_packet)
        return packets

    def _packets(self, core: int, num_frames: int) -> list[StreamPacket]:
        """The packets of the first frames of the window, which then moves on."""
        packets: list[StreamPacket] = []
        for channel, samples in enumerate(self._window):
            window = samples[: self._networks.encoder_window_samples(core)].copy()
            symbols, codes = self._networks.encode_window(window, self._point)
            tokens = self._choose[channel](symbols[:num_frames], codes[:num_frames])
            payload = self._packet_coder.encode(*tokens)
            packets.append(StreamPacket(self._next_index, channel, num_frames, payload))
        step = self.frames_per_packet * self._networks.hop_length
        self._window[:, :-step] = self._window[:, step:].copy()
        self._filled = max(self._filled - step, 0)
        self._next_index += 1
        return packets
