"""Every command under every fault of files and streams: no traceback, one line, the right exit code, nothing half."""

import contextlib
import io
import shutil
import tempfile
from collections.abc import Iterable
from pathlib import Path

import pytest
from fixtures.command_line_files import contents
from fixtures.faults.command_table import CALLS, Call, write_inputs
from fixtures.faults.faulty_streams import SourceFile, abandoned_stream, files_limited, full_stream, standard_input

from meanflow_audio_codec.__main__ import COMMANDS, main
from meanflow_audio_codec.datasets import spooled_file


@pytest.fixture(scope="module")
def inputs(tmp_path_factory) -> Path:
    """A folder with what the calls read, and nothing else."""
    folder = tmp_path_factory.mktemp("inputs")
    with contextlib.chdir(folder):
        write_inputs()
    return folder


@pytest.fixture
def folder(tmp_path, inputs, monkeypatch) -> Path:
    """A working directory with the inputs; the cache lies outside of it."""
    folder = tmp_path / "work"
    shutil.copytree(inputs, folder)
    monkeypatch.chdir(folder)
    monkeypatch.setenv("MEANFLOW_CACHE_DIR", str(tmp_path / "cache"))
    return folder


@pytest.fixture(scope="module")
def good_runs() -> "dict[str, Run]":
    """What each call does without a fault, once it has been run."""
    return {}


@pytest.fixture
def good(call, folder, monkeypatch, good_runs) -> "Run":
    """What this call does without a fault; its outputs are removed again."""
    if call.line not in good_runs:
        good_runs[call.line] = Run(call, folder, monkeypatch)
        remove(good_runs[call.line].new)
        shutil.rmtree(folder.parent / "cache", ignore_errors=True)
    return good_runs[call.line]


def remove(names: Iterable[str]) -> None:
    for name in names:
        Path(name).unlink(missing_ok=True)


class Run:
    """One call in this process: exit code, both outputs, and the files that are new."""

    def __init__(
        self,
        call: Call,
        folder: Path,
        monkeypatch: pytest.MonkeyPatch,
        *,
        stdin: io.TextIOBase | str | None = "",
        stdout: io.TextIOBase | str | None = "",
        stderr: io.TextIOBase | str | None = "",
        limit: int | None = None,
    ) -> None:
        before = contents(folder)
        if stdin == "":
            stdin = standard_input(SourceFile(Path(call.stdin).read_bytes() if call.stdin else b""))
        output, errors = io.TextIOWrapper(io.BytesIO(), "utf-8"), io.TextIOWrapper(io.BytesIO(), "utf-8")
        with monkeypatch.context() as streams:
            streams.setattr("sys.stdin", stdin)
            streams.setattr("sys.stdout", output if stdout == "" else stdout)
            streams.setattr("sys.stderr", errors if stderr == "" else stderr)
            limited = contextlib.nullcontext() if limit is None else files_limited(limit)
            try:
                with limited:
                    self.code = main(call.words)
            except SystemExit as stopped:  # of rich, where the reader of a table went away
                self.code = stopped.code
        output.flush()
        errors.flush()
        self.out, self.err = output.buffer.getvalue(), errors.buffer.getvalue().decode()  # type: ignore[attr-defined]
        after = contents(folder)
        self.new = {name: content for name, content in after.items() if name not in before}
        assert {name: after.get(name) for name in before} == before, "an input was changed"
        assert not [name for name in after if name.endswith(".tmp")]

    def assert_refused(self, *, codes: tuple[int, ...] = (2,)) -> None:
        assert self.code in codes, self.err
        assert self.new == {}
        self.assert_one_line()

    def assert_one_line(self) -> None:
        assert "Traceback" not in self.err
        assert self.err.count("\n") == 1, self.err


@pytest.fixture(params=CALLS)
def call(request) -> Call:
    return CALLS[request.param]


def test_every_command_is_listed():
    assert {call.words[0] for call in CALLS.values()} == set(COMMANDS)


def test_without_a_fault_each_call_works(call, good):
    assert good.code == 0, good.err
    assert good.err.count("\n") == (1 if call.carries_file else 0)
    assert set(good.new) == set(call.outputs)


def test_a_full_disk(call, good, folder, monkeypatch):
    """At every size of the disk: files are there, whole and the same, or they are not and it is said why."""
    cache = folder.parent / "cache"
    largest = max(map(len, good.new.values()), default=2)
    for limit in {largest - 1} if call.is_slow else {0, largest - 1}:
        run = Run(call, folder, monkeypatch, limit=limit)
        if not call.outputs and not call.fills_cache:
            assert (run.code, run.out, run.err) == (0, good.out, good.err)
            continue
        assert run.code in (1, 2), limit
        assert "Traceback" not in run.err
        assert "File too large" in run.err
        assert not list(cache.rglob("*.tmp"))
        # Of several files some may have found room.
        assert call.fills_cache or set(run.new) < set(good.new)
        assert call.varies or all(run.new[name] == good.new[name] for name in run.new)
        assert run.err.count("\n") == (1 if run.code == 2 else len(good.new) - len(run.new))
        remove(run.new)


def test_standard_output_on_a_full_disk(call, folder, monkeypatch):
    run = Run(call, folder, monkeypatch, stdout=full_stream())
    # What carries a file tells its length on standard error, which it does not get to.
    assert run.code == 2, run.err
    run.assert_one_line()
    assert "No space left on device" in run.err
    assert set(run.new) == set(call.outputs)


def test_standard_output_into_a_program_that_has_ended(call, folder, monkeypatch):
    run = Run(call, folder, monkeypatch, stdout=abandoned_stream())
    assert (run.code, run.err) == (1, "")
    assert set(run.new) == set(call.outputs)


def test_standard_output_closed(call, folder, monkeypatch):
    run = Run(call, folder, monkeypatch, stdout=None)
    if call.carries_file:
        run.assert_refused()
        assert "standard output is closed" in run.err
    else:
        assert (run.code, run.err) == (0, "")
        assert set(run.new) == set(call.outputs)


@pytest.mark.parametrize("stream", [None, full_stream], ids=["closed", "full"])
def test_standard_error_closed_or_full(call, good, stream, folder, monkeypatch):
    run = Run(call, folder, monkeypatch, stderr=stream and stream())
    assert run.code == 0
    if not call.varies:
        assert (run.out, run.new) == (good.out, good.new)


@pytest.mark.parametrize("name", [name for name, call in CALLS.items() if call.stdin])
@pytest.mark.parametrize("source", ["closed", "empty", "half", "error", "zeros", "text and zeros"])
def test_standard_input_that_is_closed_or_ends_early_or_never(name, source, folder, monkeypatch):
    call = CALLS[name]
    assert call.stdin is not None
    data = Path(call.stdin).read_bytes()
    reads = {
        "empty": SourceFile(b""),
        "half": SourceFile(data[: len(data) // 2]),
        "error": SourceFile(data[: len(data) // 2], "error"),
        "zeros": SourceFile(b"", "zeros"),
        "text and zeros": SourceFile(b"Dear diary", "zeros"),
    }
    stdin = None if source == "closed" else standard_input(reads[source])
    run = Run(call, folder, monkeypatch, stdin=stdin)
    if name == "encode a pipe" and source == "half":
        assert run.code == 0
        assert run.err.startswith("standard input ends early: its header says 0.50 s, it ends after 0.2")
        return
    assert run.out == b"" or name == "verify a pipe"
    if name == "verify a pipe" and source not in ("closed", "error"):
        assert (run.code, run.err) == (1, "")
        return
    run.assert_refused()
    if source in reads:
        assert reads[source].num_read <= len(data) + 2**20  # what never ends is not waited for


@pytest.mark.parametrize("name", [name for name, call in CALLS.items() if call.stdin])
def test_a_temporary_folder_that_is_missing(name, folder, monkeypatch):
    monkeypatch.setattr(spooled_file, "SPOOL_BYTES", 100)
    monkeypatch.setattr(tempfile, "tempdir", str(folder / "missing"))
    run = Run(CALLS[name], folder, monkeypatch)
    run.assert_refused()
    assert "missing cannot hold what goes through a pipe (No such file or directory): set TMPDIR" in run.err


@pytest.mark.parametrize("name", [name for name, call in CALLS.items() if call.stdin])
def test_a_temporary_folder_that_is_full(name, folder, monkeypatch):
    monkeypatch.setattr(spooled_file, "SPOOL_BYTES", 100)
    run = Run(CALLS[name], folder, monkeypatch, limit=120)
    run.assert_refused()
    assert "cannot hold what goes through a pipe (File too large): set TMPDIR" in run.err


@pytest.mark.parametrize("name", [name for name, call in CALLS.items() if call.inputs])
def test_input_files_that_are_cut_or_never_end(name, folder, monkeypatch):
    call = CALLS[name]
    (source,) = call.inputs
    data = Path(source).read_bytes()
    for size in (len(data) // 2,) if call.is_slow else (0, 1, 20, len(data) // 2, len(data) - 1):
        Path(source).write_bytes(data[:size])
        run = Run(call, folder, monkeypatch)
        if run.code == 0:  # a recording of which enough is left
            assert "ends early" in run.err
            run.assert_one_line()
            remove(run.new)
        elif call.line.startswith("verify"):
            assert (run.code, run.err) == (1, "")
        else:
            run.assert_refused()
    Path(source).unlink()
    Path(source).symlink_to("/dev/zero")
    run = Run(call, folder, monkeypatch)
    if call.line.startswith("verify"):
        assert (run.code, run.err) == (1, "")
    else:
        run.assert_refused()
