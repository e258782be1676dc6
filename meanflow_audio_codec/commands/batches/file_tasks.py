"""Which output file belongs to which input: one file, several files, or a folder with all below it."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

from meanflow_audio_codec.commands.shared_arguments import check_output
from meanflow_audio_codec.commands.standard_streams import STANDARD_STREAM, check_standard_output
from meanflow_audio_codec.datasets.folder_contents import folder_contents
from meanflow_audio_codec.errors import InputError


@dataclass(frozen=True)
class FileTask:
    """One file to be made of another."""

    input: Path
    output: Path


@dataclass
class Plan:
    """What is to be done, what is not because its output exists, and what cannot be: inputs with the reason.

    `left_out` are links to folders whose files are worked on already, with that as reason.
    """

    tasks: list[FileTask] = field(default_factory=list)
    skipped: list[Path] = field(default_factory=list)
    failed: list[tuple[Path, str]] = field(default_factory=list)
    left_out: list[tuple[Path, str]] = field(default_factory=list)


def single_task(
    inputs: list[Path], output: Path, *, suffix: str, suffixes: Iterable[str], force: bool
) -> FileTask | None:
    """The one file to be made, checked; None if there are several or a folder. Into a folder it goes by its own name.

    Raises:
        InputError: the output could not be written or would overwrite something, or `-` is one of several files.
    """
    if len(inputs) > 1:
        if STANDARD_STREAM in [*inputs, output]:
            raise InputError("-: standard input or output goes with one file only; name a folder for several")
        return None
    (source,) = inputs
    if source != STANDARD_STREAM and _is_folder(source):
        if output == STANDARD_STREAM:
            raise InputError(f"{source}: is a folder, which standard output cannot hold; name a folder for the output")
        return None
    if output == STANDARD_STREAM:
        check_standard_output()
        return FileTask(source, output)
    if _is_folder(output) and source != STANDARD_STREAM:
        output = output / source.with_suffix(suffix).name
    check_output(output, suffixes, force)
    return FileTask(source, output)


def plan_tasks(inputs: list[Path], output: Path, *, input_suffixes: tuple[str, ...], suffix: str, force: bool) -> Plan:
    """All files of the inputs, with the tree of each folder kept below the output folder.

    Raises:
        InputError: the output is no folder and cannot become one, or there is nothing to do.
    """
    try:
        is_file = output.is_file()
    except OSError as error:  # such as a name that is too long
        raise InputError(f"{output}: cannot be written ({error.strerror})") from error
    if is_file:
        raise InputError(f"{output}: is a file; several files or a folder need a folder for their outputs")
    if not _is_folder(output) and (output.suffix.lower() == suffix or not _is_folder(output.parent)):
        raise InputError(f"{output}: no such folder; make it first, or name one in a folder that exists")
    plan = Plan()
    sources: dict[Path, Path] = {}
    planned: set[Path] = set()
    for source in inputs:
        for path, relative in _files_below(source, input_suffixes, plan):
            # The same file named twice, perhaps by overlapping patterns, is done once.
            name = path.parent.resolve() / path.name
            if name in planned:
                continue
            planned.add(name)
            target = output / relative.with_suffix(suffix)
            if target in sources:
                plan.failed.append((path, f"would write {target} like {sources[target]}; rename one of them"))
                continue
            sources[target] = path
            if target.exists() and not force:
                plan.skipped.append(path)
            else:
                plan.tasks.append(FileTask(path, target))
    if not sources and not plan.failed:
        raise InputError(f"{inputs[0]}: holds no file to work on; wanted are {', '.join(input_suffixes)}")
    return plan


def _files_below(source: Path, suffixes: tuple[str, ...], plan: Plan) -> list[tuple[Path, Path]]:
    """Files and what their paths are below the output; what a folder holds and cannot be read goes to the plan."""
    if not _is_folder(source):
        return [(source, Path(source.name))]
    contents = folder_contents(source, suffixes)
    plan.failed += contents.unreadable
    plan.left_out += contents.left_out
    return [(path, path.relative_to(source)) for path in contents.files]


def _is_folder(path: Path) -> bool:
    """Whether it is one; what the system cannot even look for, such as a name that is too long, is none."""
    try:
        return path.is_dir()
    except OSError:
        return False


def make_folder_of(path: Path) -> None:
    """Make the folder that a file is to lie in.

    Raises:
        InputError: it cannot be made.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(f"{path.parent}: cannot be made ({error.strerror})") from error
