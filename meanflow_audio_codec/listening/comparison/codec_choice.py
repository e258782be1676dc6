"""How a codec is named on the command line: CODEC, CODEC@KBPS, CODEC@KBPS:OPTION=VALUE,..., folder:PATH."""

from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from meanflow_audio_codec.errors import InputError
from meanflow_audio_codec.evaluators.peers.opus_decoder import OpusDecoder
from meanflow_audio_codec.inference.decoding_options import check_decoding_options

GRAMMAR = "CODEC[@KBPS][:OPTION=VALUE,...], or folder[@KBPS]:PATH"
PEERS = ("opus", "lyra")

Number = TypeVar("Number", int, float)


@dataclass(frozen=True)
class ModelChoice:
    """A model of this package, how much it may spend, and how it decodes; None is the model's own value."""

    text: str
    model: str
    bitrate: float | None
    temperature: float | None = None
    num_steps: int | None = None
    seed: int | None = None


@dataclass(frozen=True)
class PeerChoice:
    """Opus or Lyra at a rate in kbit/s; `decoder` is the enhancement that libopus 1.5 decodes with."""

    text: str
    peer: str
    bitrate: float
    decoder: OpusDecoder | None = None


@dataclass(frozen=True)
class FolderChoice:
    """Recordings decoded elsewhere, and the bit rate that is stated for them, if any."""

    text: str
    folder: Path
    bitrate: float | None


CodecChoice = ModelChoice | PeerChoice | FolderChoice


def parse_choices(texts: list[str]) -> list[CodecChoice]:
    """All that are named, in order.

    Raises:
        InputError: a text that is not of the grammar, an option out of range, or one codec twice.
    """
    twice = [text for number, text in enumerate(texts) if text in texts[:number]]
    if twice:
        raise InputError(f"--codecs: {twice[0]} is named twice; leave one of them out")
    return [parse_choice(text) for text in texts]


def parse_choice(text: str) -> CodecChoice:
    """One codec.

    Raises:
        InputError: as `parse_choices`.
    """
    head, _, tail = text.partition(":")
    name, at, rate = head.partition("@")
    if not name or (at and not rate):
        raise InputError(f"--codecs: {text!r} names no codec; write {GRAMMAR}")
    bitrate = _number(text, "rate", rate, float) if at else None
    if bitrate is not None and not 0.0 < bitrate < float("inf"):
        raise InputError(f"--codecs: {text!r} has the rate {rate}; give kbit/s above 0")
    if name == "folder":
        if not tail:
            raise InputError(f"--codecs: {text!r} names no folder; write folder:PATH")
        return FolderChoice(text, Path(tail), bitrate)
    options = _options(text, tail)
    if name in PEERS:
        decoder = options.pop("decoder", None) if name == "opus" else None
        _refuse_rest(text, options, "decoder" if name == "opus" else "none")
        if bitrate is None:
            raise InputError(f"--codecs: {text!r} has no rate; write {name}@KBPS")
        known = [kind.value for kind in OpusDecoder]
        if decoder is not None and decoder not in known:
            raise InputError(f"--codecs: {text!r} has the decoder {decoder!r}; choose from {', '.join(known)}")
        return PeerChoice(text, name, bitrate, None if decoder is None else OpusDecoder(decoder))
    temperature = options.pop("temperature", None)
    num_steps, seed = options.pop("steps", None), options.pop("seed", None)
    _refuse_rest(text, options, "temperature, steps, seed")
    choice = ModelChoice(
        text,
        name,
        bitrate,
        None if temperature is None else _number(text, "temperature", temperature, float),
        None if num_steps is None else _number(text, "steps", num_steps, int),
        None if seed is None else _number(text, "seed", seed, int),
    )
    check_decoding_options(num_steps=choice.num_steps, temperature=choice.temperature, seed=choice.seed)
    return choice


def _options(text: str, tail: str) -> dict[str, str]:
    options: dict[str, str] = {}
    for part in tail.split(",") if tail else ():
        name, equals, value = part.partition("=")
        if not (name and equals and value) or name in options:
            raise InputError(f"--codecs: {text!r} has {part!r}; write each option once, as OPTION=VALUE")
        options[name] = value
    return options


def _refuse_rest(text: str, options: dict[str, str], known: str) -> None:
    if options:
        raise InputError(f"--codecs: {text!r} has the option {next(iter(options))!r}; the options are: {known}")


def _number(text: str, name: str, value: str, kind: type[Number]) -> Number:
    try:
        return kind(value)
    except ValueError:
        whole = "whole " if kind is int else ""
        raise InputError(f"--codecs: {text!r} has {name} {value!r}; give a {whole}number") from None
