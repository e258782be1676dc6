"""From a training run to a model folder: averaged weights, and entropy tables fitted on the training recordings."""

import math
from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np
from jaxtyping import Float, Int

from meanflow_audio_codec.codec.entropy_coding.block_gain_coder import BlockEnvelopeCoder
from meanflow_audio_codec.codec.entropy_coding.code_coder import CodeCoder
from meanflow_audio_codec.codec.entropy_coding.packet_coder import PacketCoder
from meanflow_audio_codec.codec.packets import FRAMES_PER_PACKET
from meanflow_audio_codec.codec.rate.bit_rate import BitRate
from meanflow_audio_codec.codec.rate.digit_allocation import DetailChooser
from meanflow_audio_codec.codec.windowed_networks import WindowedNetworks
from meanflow_audio_codec.datasets.audio.audio_folder import AudioFolder
from meanflow_audio_codec.inference.pretrained import PretrainedModel, save_pretrained
from meanflow_audio_codec.models.codec_model import CodecModel
from meanflow_audio_codec.trainers.experiment import Experiment
from meanflow_audio_codec.trainers.run_files.run_directory import complete_folder

# Enough for tables. Coded at every operating point, so much speech takes 1 GB of memory, and music at 44.1 kHz 3 GB.
TABLE_HOURS = 3.0


def export_model(experiment: Experiment, model: CodecModel, folder: Path) -> None:
    """Write the model folder of an experiment with these weights, whole or not at all; an older one is replaced."""
    pretrained = PretrainedModel(
        name=experiment.config.name,
        config=experiment.config,
        signal=experiment.segment_signal,
        tokenizer=experiment.segment_tokenizer,
        normalizer=experiment.normalizer,
        method=experiment.method,
        model=model,
        entropy={},
        weights_hash=b"\0" * 8,
    )
    data = experiment.training_data
    # Tables are for files, which hold streams of frames; models of segments code with tables of their own.
    is_file_codec = model.encoder is not None and experiment.config.segment_tokens is None
    entropy = _fit_tables(pretrained, data) if is_file_codec and isinstance(data, AudioFolder) else {}
    with complete_folder(folder) as unfinished:
        save_pretrained(
            unfinished,
            config=experiment.config,
            signal=experiment.segment_signal,
            normalizer=experiment.normalizer,
            model=model,
            entropy=entropy,
        )


def _fit_tables(pretrained: PretrainedModel, data: AudioFolder) -> dict[str, np.ndarray]:
    """Entropy tables from the side information and the codes of the training recordings."""
    return fit_packet_coder(WindowedNetworks(pretrained), clips_for_tables(data)).state()


def clips_for_tables(data: AudioFolder) -> list[Float[np.ndarray, " _"]]:
    """Every training recording, or every n-th where there are more than `TABLE_HOURS`, so that about these remain."""
    hours = len(data.pack.samples) / data.sample_rate / 3600.0
    return [samples for _, samples, _ in data.clips(every=max(1, math.ceil(hours / TABLE_HOURS)))]


def fit_packet_coder(networks: WindowedNetworks, clips: Sequence[Float[np.ndarray, " _"]]) -> PacketCoder:
    """Tables of a model, from recordings coded at each of its operating points."""
    rates, digits = networks.normalizer.bit_rates, networks.normalizer.digits
    points = range(max(len(rates), 1))
    symbols: list[list[np.ndarray]] = [[] for _ in points]
    codes: list[list[np.ndarray]] = [[] for _ in points]
    for samples in _with_progress(clips):
        for point in points:
            of_clip = networks.encode(samples, networks.num_frames(len(samples)), point=point)
            symbols[point].append(of_clip[0])
            codes[point].append(of_clip[1])

    def fit() -> PacketCoder:
        every = [packet for of_point in codes for packet in of_point]
        if not networks.symbol_levels:
            return PacketCoder(CodeCoder.fit(every, networks.code_levels))
        # The first frame of a packet has a table of its own: packets are as long as a stream of this model has them.
        packets = [[part for clip in of_point for part in _packets(networks, clip)] for of_point in symbols]
        envelope = BlockEnvelopeCoder.fit(packets, networks.symbol_levels, networks.block_frames, digits)
        flat = [packet for of_point in symbols for packet in of_point]
        num_digits = [envelope.num_digits(packet) for packet in flat]
        return PacketCoder(CodeCoder.fit(every, networks.code_levels, num_digits), envelope)

    # The details that a rate allows depend on the tables, and their own table on the details: once round.
    draft = fit()
    for point, bits_per_second in enumerate(rates):
        rate = BitRate(networks, bits_per_second / 1000.0)
        frames_per_second = networks.sample_rate / networks.hop_length
        for index, (clip_symbols, clip_codes) in enumerate(zip(symbols[point], codes[point], strict=True)):
            choose = DetailChooser(networks, draft, rate, frames_per_second)
            symbols[point][index], _ = choose(clip_symbols, clip_codes)
    return fit() if rates else draft


def _packets(networks: WindowedNetworks, symbols: Int[np.ndarray, "n s"]) -> list[Int[np.ndarray, "_ s"]]:
    """The frames of a recording in the packets that it is likely to be coded in."""
    size = networks.block_frames if networks.is_causal else FRAMES_PER_PACKET
    return [symbols[first : first + size] for first in range(0, len(symbols), size)]


def _with_progress(clips: Sequence[Float[np.ndarray, " _"]]) -> Iterable[Float[np.ndarray, " _"]]:
    from rich.console import Console
    from rich.progress import track

    return track(clips, "coding the training data", console=Console(stderr=True))
