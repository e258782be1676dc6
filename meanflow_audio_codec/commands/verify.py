"""`meanflow-codec verify`: are .mfc files whole, and do their packets decode?"""

import argparse
import json
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from meanflow_audio_codec.commands.shared_arguments import add_json, add_model_of_file
from meanflow_audio_codec.commands.standard_streams import STANDARD_STREAM, opened_input
from meanflow_audio_codec.datasets.folder_contents import folder_contents
from meanflow_audio_codec.datasets.remarks import tell
from meanflow_audio_codec.errors import InputError

if TYPE_CHECKING:
    from meanflow_audio_codec.codec.codec import Codec


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments of this command."""
    parser.add_argument("inputs", type=Path, nargs="+", help=".mfc files, folders of them, or -")
    add_model_of_file(parser)
    add_json(parser)


def run(arguments: argparse.Namespace) -> int:
    """Run the command; networks are not run, only the model's tables are used."""
    files = [path for source in arguments.inputs for path in _files(source)]

    from meanflow_audio_codec.codec.codec import Codec

    load = cache(Codec.from_pretrained)
    if arguments.model is not None:
        load(arguments.model)  # what is wrong with it is told before any file is read
    reports = []
    for path in files:
        reports.append(_report(path, arguments.model, load))
        if not arguments.json:
            _show(reports[-1])
    if arguments.json:
        print(json.dumps(reports))
    return 0 if all(report["status"] == "ok" for report in reports) else 1


def _files(source: Path) -> list[Path]:
    """The file itself, or all .mfc files below a folder.

    Raises:
        InputError: it does not exist, or the folder holds none.
    """
    if source == STANDARD_STREAM:
        return [source]
    if not source.is_dir():
        if not source.exists():
            raise InputError(f"{source}: no such file")
        return [source]
    contents = folder_contents(source, (".mfc",))
    for remark in contents.remarks:
        tell(remark)
    if not contents.files:
        raise InputError(f"{source}: holds no .mfc file")
    return contents.files


def _report(path: Path, model: str | None, load: "Callable[[str], Codec]") -> dict[str, Any]:
    from meanflow_audio_codec.codec.container import BitstreamError, StreamReader
    from meanflow_audio_codec.codec.files.verification import verify_packets
    from meanflow_audio_codec.codec.model_of_file import model_named_by

    report: dict[str, Any] = {"file": str(path), "status": "ok", "error": None}
    with opened_input(path) as file:
        try:
            reader = StreamReader(file)
            try:
                codec = load(model or model_named_by(reader.header))
                codec.check_header(reader.header)
            except BitstreamError as error:
                reader.check_rest()
                report |= {"status": "other model", "error": f"all checksums are right, but {error}"}
            else:
                verify_packets(codec, reader)
            report |= {
                "model": reader.header.model,
                "seconds": reader.trailer.num_samples / reader.header.sample_rate,
                "channels": reader.header.channels,
                "packets": reader.trailer.num_packets,
            }
        except BitstreamError as error:
            report |= {"status": "damaged", "error": str(error)}
    return report


def _show(report: dict[str, Any]) -> None:
    if report["status"] == "ok":
        print(f"{report['file']}: ok, {report['seconds']:.2f} s, {report['packets']} packet(s)")
    else:
        print(f"{report['file']}: {report['status']}: {report['error']}")
