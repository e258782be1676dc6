"""Decoding a part of a file: only the packets that it depends on are read, and only their windows computed."""

from math import gcd
from typing import Any

import numpy as np
from jaxtyping import Float

from meanflow_audio_codec.codec.codec import Codec
from meanflow_audio_codec.codec.container import BitstreamError, SeekableReader
from meanflow_audio_codec.codec.context import core_frames
from meanflow_audio_codec.codec.length_limit import DEFAULT_MAX_SECONDS, check_max_seconds, check_seconds
from meanflow_audio_codec.codec.token_windows import HeldTokens
from meanflow_audio_codec.errors import InputError
from meanflow_audio_codec.inference.decoding_options import DecodingOptions
from meanflow_audio_codec.inference.given_numbers import number
from meanflow_audio_codec.preprocessing.resampling import resample, resampled_length

# What a part is resampled with on both sides, in samples at the lower of the two rates: longer than SoXR's filter.
MARGIN_SAMPLES = 400


def decode_excerpt(
    codec: Codec,
    reader: SeekableReader,
    *,
    start: float = 0.0,
    end: float | None = None,
    num_steps: int | None = None,
    seed: int | None = None,
    temperature: float | None = None,
    max_seconds: float = DEFAULT_MAX_SECONDS,
) -> tuple[Float[np.ndarray, "channels samples"], int]:
    """The audio from `start` to `end` seconds, or to the end of the recording, and its sample rate in Hz.

    At the model's own rate these are the very samples that decoding the whole file gives; at others, up to rounding.

    Raises:
        BitstreamError: a part of the file that is needed is damaged, or it was made by another model.
        InputError: no audio between start and end, more than `max_seconds`, or an option out of range.
    """
    header, total = reader.header, reader.trailer.num_samples
    options = DecodingOptions.of(
        codec.pretrained.method,
        num_steps=num_steps,
        temperature=temperature,
        seed=seed,
        default_seed=header.noise_seed,
    )
    check_max_seconds(max_seconds)
    codec.check_header(header)
    first, last = sample_range(start, end, total, header.sample_rate)
    check_seconds((last - first) / header.sample_rate, max_seconds)
    num_frames = codec.num_frames(total, header.sample_rate)
    if reader.num_packets != -(-num_frames // header.frames_per_packet) * header.channels:
        raise BitstreamError(f"{total} samples do not fit {reader.num_packets} packets: the file is damaged")
    own_first, own_last, offset = _own_range(first, last, header.sample_rate, codec.sample_rate)
    own_last = min(own_last, resampled_length(total, header.sample_rate, codec.sample_rate))
    own = _own_samples(codec, reader, own_first, own_last, num_frames, options)
    output = np.empty((header.channels, last - first), np.float32)
    for channel, samples in enumerate(own):
        wanted = resample(samples, codec.sample_rate, header.sample_rate)[offset:][: last - first]
        output[channel] = np.pad(wanted, (0, last - first - len(wanted)))
    return output, header.sample_rate


def sample_range(start: Any, end: Any, num_samples: int, sample_rate: int) -> tuple[int, int]:
    """First sample and the one after the last; an end beyond the recording is its end.

    Raises:
        InputError: the start is negative or not before the recording's end, or the end is not after the start.
    """
    seconds = num_samples / sample_rate
    start = number(start, "the start (--start) in seconds")
    end = None if end is None else number(end, "the end (--end) in seconds")
    if not 0 <= start < seconds:
        raise InputError(
            f"the start (--start) must lie in 0 ... {seconds:g} s, the length of the recording, not {start}"
        )
    if end is not None and not end > start:
        raise InputError(f"the end (--end) must lie after the start at {start} s, not at {end}")
    first = min(round(start * sample_rate), num_samples - 1)
    last = num_samples if end is None or end >= seconds else round(end * sample_rate)
    return first, max(last, first + 1)


def _own_range(first: int, last: int, rate: int, own_rate: int) -> tuple[int, int, int]:
    """The samples at the model's rate to decode, and where the wanted ones begin after resampling them.

    The range begins where samples of both rates coincide, so that the resampler has the same phase as in the whole.
    """
    if rate == own_rate:
        return first, last, 0
    divisor = gcd(rate, own_rate)
    period, own_period = rate // divisor, own_rate // divisor
    margin = -(-MARGIN_SAMPLES * rate // min(rate, own_rate))
    begin = max(first - margin, 0) // period
    own_last = -(-(last + margin) * own_rate // rate)
    return begin * own_period, own_last, first - begin * period


def _own_samples(
    codec: Codec, reader: SeekableReader, first: int, last: int, num_frames: int, options: DecodingOptions
) -> Float[np.ndarray, "channels samples"]:
    """The samples `first` ... `last` at the model's rate, from the packets that their windows see."""
    networks, header = codec.networks, reader.header
    # The same windows as in decoding the whole, hence the same samples to the last bit.
    core = core_frames(num_frames)
    window_samples = core * networks.hop_length
    windows = range(first // window_samples, -(-last // window_samples))
    context = networks.decoder_context
    first_frame = max(windows.start * core - context.past, 0)
    last_frame = min(windows.stop * core + 1 + context.future, num_frames)
    size, channels = header.frames_per_packet, header.channels
    slices = range(first_frame // size, -(-last_frame // size))
    packets = (reader.packet(part * channels + channel) for part in slices for channel in range(channels))
    tokens, base = codec.decode_packets(header, packets), slices.start * size
    if base + tokens.codes.shape[1] < last_frame:
        raise BitstreamError(f"the last packet lacks frames of the {num_frames} of the file: it is damaged")
    side = np.stack([networks.side_of_symbols(symbols) for symbols in tokens.side])
    held = HeldTokens(side, tokens.codes, networks.silent_codes, first=base)
    blocks = networks.decoded_windows(held, num_frames, options, channels=channels, windows=windows)
    skipped = first - windows.start * window_samples
    return np.concatenate(list(blocks), axis=1)[:, skipped:][:, : last - first]
