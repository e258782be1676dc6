"""What bit rate a channel is asked to keep, and which operating point of the model serves it."""

from typing import Any

from meanflow_audio_codec.codec.rate.rate_control import operating_point_for
from meanflow_audio_codec.codec.windowed_networks import WindowedNetworks
from meanflow_audio_codec.errors import InputError
from meanflow_audio_codec.inference.given_numbers import number

# Below the lowest operating point by this factor at most: less would leave no digits at all.
LOWEST_SHARE = 0.6


class BitRate:
    """The bit rate that one channel of a recording has, and the operating point that serves it.

    `bitrate` is that of all channels together in kbit/s; None is the model's default for each channel.

    Raises:
        InputError: the model has one rate only, or the rate is out of its range.
    """

    def __init__(self, networks: WindowedNetworks, bitrate: Any = None, channels: int = 1):
        self.bits_per_second: float | None = None
        self.point = 0
        points = networks.normalizer.bit_rates
        if not points:
            if bitrate is not None:
                raise InputError(f"the bit rate (--bitrate) of this model cannot be chosen: leave {bitrate} out")
            return
        if bitrate is None:
            self.bits_per_second = float(networks.default_bits_per_second)
        else:
            self.bits_per_second = 1000.0 * number(bitrate, "the bit rate in kbit/s (--bitrate)") / channels
        lowest, highest = LOWEST_SHARE * points[0], points[-1]
        if not lowest <= self.bits_per_second <= highest:
            of_channels = f" of {channels} channels" if channels > 1 else ""
            low, high = (bits * channels / 1000 for bits in (lowest, highest))
            raise InputError(
                f"the bit rate (--bitrate){of_channels} must lie in {low:g} ... {high:g} kbit/s, not {bitrate}"
            )
        self.point = operating_point_for(self.bits_per_second, points)
