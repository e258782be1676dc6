"""From a training run to a model folder: averaged weights, and entropy tables fitted on the training recordings."""

from pathlib import Path

import numpy as np

from meanflow_audio_codec.codec.entropy import PacketCoder
from meanflow_audio_codec.codec.pretrained import PretrainedModel, save_pretrained
from meanflow_audio_codec.codec.windows import WindowedNetworks
from meanflow_audio_codec.datasets.audio_folder import AudioFolder
from meanflow_audio_codec.models.codec_model import CodecModel
from meanflow_audio_codec.trainers.experiment import Experiment


def export_model(experiment: Experiment, model: CodecModel, folder: Path) -> None:
    """Write the model folder of an experiment with these weights."""
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
    save_pretrained(
        folder,
        config=experiment.config,
        signal=experiment.segment_signal,
        normalizer=experiment.normalizer,
        model=model,
        entropy=_fit_tables(pretrained, data) if is_file_codec and isinstance(data, AudioFolder) else {},
    )


def _fit_tables(pretrained: PretrainedModel, data: AudioFolder) -> dict[str, np.ndarray]:
    """Entropy tables from the side information and the codes of every training recording."""
    from rich.console import Console
    from rich.progress import track

    bottleneck = pretrained.model.bottleneck
    if bottleneck is None:
        raise ValueError("a codec needs a bottleneck")
    networks = WindowedNetworks(pretrained)
    sides, codes = [], []
    for _, samples, _ in track(list(data.clips()), "coding the training data", console=Console(stderr=True)):
        clip_side, clip_codes = networks.encode(samples, -(-len(samples) // networks.hop_length) + 1)
        sides.append(clip_side)
        codes.append(clip_codes)
    side_levels = pretrained.normalizer.side_levels
    return PacketCoder.fit(sides, codes, side_levels=side_levels, code_levels=bottleneck.levels).state()
