"""What the chosen codecs make of recordings; a model is loaded once, and encodes once at each rate."""

from functools import cached_property

import numpy as np
from jaxtyping import Float

from meanflow_audio_codec.codec.codec import Codec
from meanflow_audio_codec.errors import InputError
from meanflow_audio_codec.evaluators.metric_marks import MetricMarks, metric_marks
from meanflow_audio_codec.evaluators.peers.lyra import code_with_lyra, find_lyra
from meanflow_audio_codec.evaluators.peers.opus import code_with_opus, find_opus_tools
from meanflow_audio_codec.evaluators.peers.opus_decoder import find_opus_decoder
from meanflow_audio_codec.inference.pretrained import PretrainedModel, load_pretrained
from meanflow_audio_codec.listening.comparison.codec_choice import (
    CodecChoice,
    FolderChoice,
    ModelChoice,
    PeerChoice,
)
from meanflow_audio_codec.listening.comparison.recordings import Version
from meanflow_audio_codec.listening.decoded_folders import read_decoded

ORIGINAL = "original"


class LoadedModel:
    """A model and the marks of its metrics."""

    def __init__(self, pretrained: PretrainedModel) -> None:
        self._pretrained = pretrained
        self.codec = Codec(pretrained)
        _ = self.codec.packet_coder  # damaged tables are told before any work

    @cached_property
    def marks(self) -> MetricMarks:
        """The metrics that it was trained on or chosen by."""
        return metric_marks(self._pretrained.name, self._pretrained.config, self._pretrained.chosen_by)


class Coding:
    """The chosen codecs, found and loaded.

    Raises:
        InputError: an unknown model, one that is no codec, a program or folder that is missing.
    """

    def __init__(self, choices: list[CodecChoice]) -> None:
        self._choices = choices
        self._models: dict[str, LoadedModel] = {}
        for choice in choices:
            match choice:
                case ModelChoice():
                    if choice.model not in self._models:
                        self._models[choice.model] = _load(choice.model)
                case PeerChoice():
                    _find(choice)
                case FolderChoice():
                    if not choice.folder.is_dir():
                        raise InputError(f"--codecs: {choice.text}: no such folder")

    @property
    def marks(self) -> list[MetricMarks]:
        """Of every model among the choices."""
        return [model.marks for model in self._models.values()]

    def versions(
        self, name: str, audio: Float[np.ndarray, "channels samples"], sample_rate: int, *, part: slice, mono: bool
    ) -> list[Version]:
        """A part of the original, then what each codec makes of it; of a folder's files the same part is taken.

        With `mono`, all is mixed down to one channel before it is coded.

        Raises:
            InputError: a rate or option that a codec does not have, more than one channel where a codec has one, or a
                file that a folder lacks.
        """
        encoded: dict[tuple[str, float | None], bytes] = {}
        if mono:
            audio = audio.mean(axis=0, keepdims=True)
        chosen = audio[:, part]
        versions = [Version(ORIGINAL, "", chosen, None)]
        for choice in self._choices:
            match choice:
                case ModelChoice():
                    versions.append(self._by_model(choice, chosen, sample_rate, encoded))
                case PeerChoice():
                    versions.append(_by_peer(choice, chosen, sample_rate))
                case FolderChoice():
                    decoded = read_decoded(choice.folder, name, audio, sample_rate, mono=mono)[:, part]
                    title = choice.folder.resolve().name
                    rate = None if choice.bitrate is None else 1000.0 * choice.bitrate
                    versions.append(Version(title, "decoded before", decoded, rate, stated=True))
        return versions

    def _by_model(
        self,
        choice: ModelChoice,
        audio: Float[np.ndarray, "channels samples"],
        sample_rate: int,
        encoded: dict[tuple[str, float | None], bytes],
    ) -> Version:
        loaded = self._models[choice.model]
        codec, key = loaded.codec, (choice.model, choice.bitrate)
        if key not in encoded:
            encoded[key] = codec.encode(audio, sample_rate, bitrate=choice.bitrate)
        decoded, _ = codec.decode(
            encoded[key], num_steps=choice.num_steps, temperature=choice.temperature, seed=choice.seed
        )
        steps = codec.default_num_steps if choice.num_steps is None else choice.num_steps
        temperature = codec.default_temperature if choice.temperature is None else choice.temperature
        detail = decoding_detail(steps, temperature) + ("" if choice.seed is None else f", seed {choice.seed}")
        rate = "" if choice.bitrate is None else f"@{choice.bitrate:g}"
        bits_per_second = codec.bits(encoded[key]) * sample_rate / audio.shape[1]
        return Version(f"{codec.name}{rate}", detail, decoded, bits_per_second, marks=loaded.marks)


def decoding_detail(num_steps: int, temperature: float) -> str:
    """How a version was decoded, for people."""
    return f"{num_steps} evaluation{'s' if num_steps > 1 else ''}, temperature {temperature:g}"


def _load(model: str) -> LoadedModel:
    pretrained = load_pretrained(model)
    if not pretrained.entropy:
        raise InputError(f"model {model}: is not an audio codec (it has no entropy tables)")
    return LoadedModel(pretrained)


def _find(choice: PeerChoice) -> None:
    if choice.peer == "lyra":
        find_lyra()
        return
    find_opus_tools()
    if choice.decoder is not None:
        find_opus_decoder()


def _by_peer(choice: PeerChoice, audio: Float[np.ndarray, "channels samples"], sample_rate: int) -> Version:
    if len(audio) != 1:
        raise InputError(
            f"--codecs: {choice.text} codes one channel, the recording has {len(audio)}; add --mono or leave it out"
        )
    seconds = audio.shape[1] / sample_rate
    if choice.peer == "lyra":
        lyra = code_with_lyra(audio[0], sample_rate, choice.bitrate)
        return Version(f"Lyra V2@{choice.bitrate:g}", "", lyra.decoded[None], lyra.payload_bits / seconds)
    opus = code_with_opus(audio[0], sample_rate, choice.bitrate, choice.decoder)
    detail = "" if choice.decoder is None else f"libopus 1.5{choice.decoder.title}"
    return Version(f"Opus@{choice.bitrate:g}", detail, opus.decoded[None], 8 * opus.payload_bytes / seconds)
