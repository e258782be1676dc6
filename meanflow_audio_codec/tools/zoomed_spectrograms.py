"""Spectrograms of a recording and of what codecs make of it, near enough to see harmonics.

Command: `python -m meanflow_audio_codec.tools.zoomed_spectrograms CLIP.wav ... --output-dir DIR --bitrate 6 --lyra 6
--opus 9`. One figure per recording, on one colour scale: the original, every model at every bit rate, and the peers
that are asked for (Lyra V2 from the folder that LYRA_DIR names; Opus by opus-tools, or with `--opus-decoder` by libopus
1.5). Shown is the loudest part of `--seconds`, or the one that begins at `--start`, from 0 to `--highest-hz`. Whole
recordings are coded, so that what is shown has its context. Windows of 64 ms tell harmonics of low voices apart, which
those of 32 ms, as elsewhere, do not.
"""

import argparse
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from jaxtyping import Float

from meanflow_audio_codec.codec.codec import Codec
from meanflow_audio_codec.datasets.audio_files import read_audio
from meanflow_audio_codec.errors import InputError
from meanflow_audio_codec.evaluators.figures import spectrogram_comparison
from meanflow_audio_codec.evaluators.peers.lyra import code_with_lyra, find_lyra
from meanflow_audio_codec.evaluators.peers.opus import code_with_opus, find_opus_tools
from meanflow_audio_codec.evaluators.peers.opus_decoder import OpusDecoder, find_opus_decoder
from meanflow_audio_codec.inference.pretrained import load_pretrained
from meanflow_audio_codec.preprocessing.resampling import resample

Signal = Float[np.ndarray, " samples"]
WINDOW_SECONDS = 0.064


def loudest_part(samples: Signal, length: int) -> int:
    """The first sample of the part of this length with the most energy; 0 where the recording is no longer."""
    if len(samples) <= length:
        return 0
    sums = np.concatenate([[0.0], np.cumsum(samples.astype(np.float64) ** 2)])
    return int(np.argmax(sums[length:] - sums[:-length]))


def decoded_by_models(samples: Signal, rate: int, codecs: list[Codec], bitrates: list[float]) -> dict[str, Signal]:
    """What each model makes of a recording at each bit rate in kbit/s, in its default settings, by title."""
    found = {}
    for codec in codecs:
        for bitrate in bitrates:
            decoded, _ = codec.decode(codec.encode(samples, rate, bitrate=bitrate))
            found[f"{codec.name} at {bitrate:g} kbit/s"] = decoded[0]
    return found


def decoded_by_peers(samples: Signal, rate: int, arguments: argparse.Namespace) -> dict[str, Signal]:
    """The same of the peers that are asked for."""
    found = {}
    for bitrate in arguments.lyra:
        found[f"Lyra V2 at {bitrate:g} kbit/s"] = code_with_lyra(samples, rate, bitrate).decoded
    for bitrate in arguments.opus:
        for decoder in [OpusDecoder(name) for name in arguments.opus_decoder] or [None]:
            version, enhancement = ("", "") if decoder is None else (" 1.5", decoder.title)
            title = f"Opus{version} at {bitrate:g} kbit/s{enhancement}"
            found[title] = code_with_opus(samples, rate, bitrate, decoder).decoded
    return found


def figures(arguments: argparse.Namespace) -> Iterator[Path]:
    """Write one figure per recording, whose paths come as they are done.

    Raises:
        InputError: a recording cannot be read or is shorter than what is to be shown, two have one name, a peer cannot
            be run, or the folder cannot be written to.
    """
    names = [path.stem for path in arguments.clips]
    if len(set(names)) < len(names):
        raise InputError(f"two of the recordings have one name, {sorted(names)}: their figures would be one file")
    # Told before the long work.
    if arguments.lyra:
        find_lyra()
    if arguments.opus:
        find_opus_tools()
    if arguments.opus_decoder:
        find_opus_decoder()
    codecs = [Codec(load_pretrained(name)) for name in arguments.models]
    rates = {codec.sample_rate for codec in codecs}
    if len(rates) > 1:
        raise InputError(f"models of {sorted(rates)} Hz do not share a figure: name models of one sample rate")
    (rate,) = rates
    try:
        arguments.output_dir.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(f"{arguments.output_dir}: cannot be made ({error.strerror})") from error
    for path in arguments.clips:
        audio, own_rate = read_audio(path)
        samples = resample(audio.mean(axis=0), own_rate, rate)
        length = round(arguments.seconds * rate)
        start = loudest_part(samples, length) if arguments.start is None else round(arguments.start * rate)
        if not 0 <= start < len(samples):
            raise InputError(f"--start must lie within {path}, which has {len(samples) / rate:.2f} s")
        clips = {"original": samples} | decoded_by_models(samples, rate, codecs, arguments.bitrate)
        clips |= decoded_by_peers(samples, rate, arguments)
        shown = {title: clip[start : start + length] for title, clip in clips.items()}
        target = arguments.output_dir / f"{path.stem}.spectrograms.png"
        spectrogram_comparison(
            target, shown, rate, highest_hz=arguments.highest_hz, window_samples=4 * round(WINDOW_SECONDS * rate / 4)
        )
        yield target


def parser() -> argparse.ArgumentParser:
    """The command's arguments."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("clips", nargs="+", type=Path, metavar="CLIP")
    parser.add_argument("--output-dir", type=Path, required=True)
    parser.add_argument("--models", nargs="+", default=["speech-16k"], help="built-in names, or model folders")
    parser.add_argument("--bitrate", nargs="+", type=float, default=[6.0], metavar="KBPS")
    parser.add_argument("--lyra", nargs="+", type=float, default=[], metavar="KBPS")
    parser.add_argument("--opus", nargs="+", type=float, default=[], metavar="KBPS")
    parser.add_argument("--opus-decoder", nargs="+", default=[], choices=("none", "lace", "nolace"))
    parser.add_argument("--start", type=float, metavar="SECONDS", help="(default: of the loudest part)")
    parser.add_argument("--seconds", type=float, default=1.5)
    parser.add_argument("--highest-hz", type=float, default=4_000.0)
    return parser


def main(argv: list[str] | None = None) -> None:
    """Print the path of every figure."""
    arguments = parser().parse_args(argv)
    if arguments.seconds <= 0.0:
        raise InputError(f"--seconds must be above 0, not {arguments.seconds:g}")
    if arguments.highest_hz <= 0.0:
        raise InputError(f"--highest-hz must be above 0, not {arguments.highest_hz:g}")
    if arguments.opus_decoder and not arguments.opus:
        raise InputError("--opus-decoder decodes what --opus encodes: give --opus KBPS, too")
    for path in figures(arguments):
        sys.stdout.write(f"{path}\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
