"""Tokens of one channel in full detail, packet after packet, to what a bit rate allows of them."""

import numpy as np
from jaxtyping import Int

from meanflow_audio_codec.codec.entropy_coding.packet_coder import PacketCoder
from meanflow_audio_codec.codec.rate.bit_rate import BitRate
from meanflow_audio_codec.codec.rate.rate_control import RateControl
from meanflow_audio_codec.codec.windowed_networks import WindowedNetworks

# What a payload has beyond its ideal code length, on average.
CLOSING_BITS = 4.0


class DetailChooser:
    """Decides the detail of the frames of one channel; a model of one bit rate keeps its tokens as they are."""

    def __init__(self, networks: WindowedNetworks, packet_coder: PacketCoder, rate: BitRate, frames_per_second: float):
        self._normalizer = networks.normalizer
        self._coder = packet_coder
        self._point = rate.point
        self._control = None if rate.bits_per_second is None else RateControl(rate.bits_per_second, frames_per_second)

    def __call__(
        self, symbols: Int[np.ndarray, "n s"], codes: Int[np.ndarray, "n q"]
    ) -> tuple[Int[np.ndarray, "n s"], Int[np.ndarray, "n q"]]:
        """The next packet's tokens with their detail chosen, and the middle code for every digit left out."""
        envelope = self._coder.envelope
        detail_column = self._normalizer.gain_columns.detail
        if self._control is None or envelope is None or detail_column is None:
            return symbols, codes
        side = self._normalizer.side_of_symbols(symbols)
        share = self._control.share(np.asarray(self._normalizer.loudness(side)))
        digits = envelope.digits[self._point]
        # Few codes have details that keep equally many: one stands for all of these, so that its table is narrow.
        first_of = np.searchsorted(digits, digits)
        symbols = symbols.copy()
        symbols[share == 0.0, detail_column] = 0
        sounding = envelope.sounding(symbols)
        of_details = envelope.detail_cost(symbols[sounding, detail_column], self._point)
        fixed_bits = CLOSING_BITS + envelope.cost(symbols) - of_details
        # What the first 0, 1, 2 ... digits of each frame cost.
        code_bits = np.pad(np.cumsum(self._coder.codes.bits(codes), axis=1), ((0, 0), (1, 0)))

        def bits_of(detail: Int[np.ndarray, " n"]) -> float:
            of_digits = np.take_along_axis(code_bits, digits[detail][:, None], axis=1).sum()
            return fixed_bits + envelope.detail_cost(first_of[detail][sounding], self._point) + float(of_digits)

        detail = first_of[self._control.choose(share, digits.shape[0] - 1, bits_of)].astype(np.int32)
        self._control.spent(len(codes), bits_of(detail))
        symbols[:, detail_column] = detail
        kept = np.arange(codes.shape[1]) < digits[detail][:, None]
        return symbols, np.where(kept, codes, np.asarray(self._coder.codes.levels, np.int32) // 2)
