"""Names, pipes and links that files may have on the command line, and streams that are closed or not Unicode."""

import io
import os
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path

import pytest
import soundfile
from fixtures.faults.faulty_streams import SourceFile, standard_input
from fixtures.tiny_models import RATE, codec_folder, sound, tiny_codec

from meanflow_audio_codec.__main__ import main
from meanflow_audio_codec.commands.standard_streams import opened_output
from meanflow_audio_codec.datasets.spooled_file import PipeReader

SAMPLES = sound(RATE // 2)
NOT_UNICODE = "caf\udce9"


@pytest.fixture
def folder(tmp_path, monkeypatch) -> Path:
    """A working directory with a recording and what it is encoded to."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MEANFLOW_CACHE_DIR", str(tmp_path / "cache"))
    soundfile.write("one.wav", SAMPLES, RATE)
    assert run("encode", "one.wav", "one.mfc") == 0
    return tmp_path


def run(*words: str) -> int:
    takes_model = words[0] in ("encode", "decode", "verify", "demo")
    return main([*words, "--model", str(codec_folder())] if takes_model else list(words))


def coded() -> bytes:
    return Path("one.mfc").read_bytes()


@pytest.mark.parametrize("stem", [NOT_UNICODE, "日本", "a\nb", "[bold]", "x" * 246])
def test_any_legal_name_will_do(folder, capsys, stem):
    Path("in").mkdir()
    Path("one.wav").rename(f"in/{stem}.wav")
    assert run("encode", f"in/{stem}.wav", f"{stem}.mfc") == 0
    assert Path(f"{stem}.mfc").read_bytes() == coded()
    assert run("decode", f"{stem}.mfc", f"{stem}.ogg") == 0
    assert run("info", f"{stem}.mfc") == 0
    assert run("verify", f"{stem}.mfc", "--json") == 0
    assert run("encode", "in", "out") == 0
    assert Path(f"out/{stem}.mfc").read_bytes() == coded()
    capsys.readouterr()
    Path("data").mkdir()
    Path("in").rename(f"data/{stem[:200]}")
    assert run("data", "--data-dir", "data") == 0
    assert run("data", "--data-dir", "data", "--pack", stem[:200], "--split", "all") == 0
    assert capsys.readouterr().err == ""


def test_the_demo_takes_any_name_that_leaves_room_for_its_own(folder, capsys):
    Path("one.wav").rename(f"[x]{NOT_UNICODE}.wav")
    assert run("demo", f"[x]{NOT_UNICODE}.wav", "--metrics", "si_sdr", "--output-dir", NOT_UNICODE) == 0
    assert all(path.stat().st_size for path in Path(NOT_UNICODE).iterdir())
    assert "[x]caf" in capsys.readouterr().out
    soundfile.write("y" * 246 + ".wav", SAMPLES, RATE)
    assert run("demo", "y" * 246 + ".wav") == 2
    assert "cannot be written (File name too long)" in capsys.readouterr().err
    assert not Path("meanflow-demo").exists()


@pytest.mark.parametrize("encoding", ["ascii", "cp1252", "utf-8"])
def test_letters_that_standard_output_lacks_are_escaped(folder, monkeypatch, encoding):
    assert run("encode", "one.wav", "tagged.mfc", "--tag", "title=日本 Ω") == 0
    stream = io.TextIOWrapper(io.BytesIO(), encoding)
    monkeypatch.setattr("sys.stdout", stream)
    assert run("info", "tagged.mfc") == 0
    shown = stream.buffer.getvalue().decode(encoding)  # type: ignore[attr-defined]  # the stream is ours, over bytes
    assert ("日本 Ω" if encoding == "utf-8" else r"\u65e5\u672c \u03a9") in shown


def through_pipe(content: bytes, path: str) -> threading.Thread:
    os.mkfifo(path)
    writer = threading.Thread(target=lambda: Path(path).write_bytes(content))
    writer.start()
    return writer


READS: dict[str, tuple[str, Callable[[], bytes]]] = {
    "encode": ("encode pipe made.mfc", lambda: Path("one.wav").read_bytes()),
    "decode": ("decode pipe made.wav", coded),
    "decode a part": ("decode pipe made.wav --start 0.1", coded),
    "verify": ("verify pipe", coded),
    "info": ("info pipe", coded),
    "demo": ("demo pipe --metrics si_sdr", lambda: Path("one.wav").read_bytes()),
}


@pytest.mark.parametrize("name", READS)
def test_a_named_pipe_is_read_as_a_file_is(folder, name):
    line, content = READS[name]
    writer = through_pipe(content(), "pipe")
    assert run(*line.split()) == 0
    writer.join()
    if name == "encode":
        assert Path("made.mfc").read_bytes() == coded()
    if name == "decode":
        assert len(soundfile.read("made.wav")[0]) == len(SAMPLES)


@pytest.mark.parametrize("name", ["pipe", "pipe.flac"])
def test_a_named_pipe_is_written_to_and_stays_one(folder, capsys, name):
    os.mkfifo(name)
    content: list[bytes] = []
    reader = threading.Thread(target=lambda: content.append(Path(name).read_bytes()))
    reader.start()
    assert run("decode", "one.mfc", name, "--format", "wav") == 0
    reader.join()
    assert Path(name).is_fifo()
    with soundfile.SoundFile(io.BytesIO(content[0])) as file:
        assert file.format == ("FLAC" if name.endswith("flac") else "WAV")
    assert capsys.readouterr() == ("", f"{name}: 0.50 s, 1 channel(s), 16000 Hz\n")


def test_a_device_is_written_to_and_stays_one(folder, capsys):
    assert run("encode", "one.wav", "/dev/null") == 0
    assert Path("/dev/null").is_char_device()
    assert run("decode", "one.mfc", "/dev/full") == 2
    assert "/dev/full: cannot be written (No space left on device)" in capsys.readouterr().err


def test_a_pipe_that_nobody_reads_any_more_is_exit_code_one(folder, capsys):
    os.mkfifo("pipe")
    reader = threading.Thread(target=lambda: os.close(os.open("pipe", os.O_RDONLY)))
    reader.start()
    content = bytes(1 << 20)  # more than the pipe holds
    with pytest.raises(BrokenPipeError), opened_output(Path("pipe")) as file:
        file.write(content)
    reader.join()


def test_no_more_is_taken_from_a_pipe_than_is_asked_for():
    source = SourceFile(b"abc", "zeros")
    reader = PipeReader(io.BufferedReader(source), "it")
    assert (reader.read(2), reader.seek(1), reader.read(3)) == (b"ab", 1, b"bc\0")
    assert source.num_read <= 2**17
    ended = PipeReader(io.BytesIO(b"abcdef"), "it")
    assert (ended.seek(-2, io.SEEK_END), ended.read(), ended.seek(0), ended.read()) == (4, b"ef", 0, b"abcdef")


def test_force_keeps_the_mode_and_goes_through_links(folder):
    Path("real").mkdir()
    Path("link.mfc").symlink_to("real/target.mfc")
    assert run("encode", "one.wav", "link.mfc") == 0
    Path("real/target.mfc").write_bytes(b"old")
    Path("real/target.mfc").chmod(0o600)
    assert run("encode", "one.wav", "link.mfc") == 2
    assert Path("real/target.mfc").read_bytes() == b"old"
    assert run("encode", "one.wav", "link.mfc", "--force") == 0
    assert (Path("link.mfc").is_symlink(), Path("real/target.mfc").read_bytes()) == (True, coded())
    assert Path("real/target.mfc").stat().st_mode & 0o7777 == 0o600


@pytest.mark.parametrize(
    ("target", "message"), [("nowhere/x.mfc", "nowhere: no such folder"), ("link.mfc", "Too many levels")]
)
def test_links_to_where_nothing_can_be_are_told_before_the_work(folder, capsys, target, message):
    Path("link.mfc").symlink_to(target)
    capsys.readouterr()
    for force in ([], ["--force"]):
        assert run("encode", "one.wav", "link.mfc", *force) == 2
        error = capsys.readouterr().err
        assert message in error
        assert error.count("\n") == 1


def test_strict_refuses_before_anything_is_written(folder, capsys):
    Path("cut.wav").write_bytes(Path("one.wav").read_bytes()[:8_044])
    assert run("encode", "cut.wav", "cut.mfc") == 0
    assert capsys.readouterr().err == "cut.wav ends early: its header says 0.50 s, it ends after 0.25 s\n"
    for words in (("encode", "cut.wav", "strict.mfc"), ("demo", "cut.wav", "--output-dir", "strict")):
        assert run(*words, "--strict") == 2
        assert "cut.wav ends early" in capsys.readouterr().err
    assert not list(Path().glob("strict*"))


def test_a_wav_that_could_not_say_its_length_is_refused(tmp_path):
    from meanflow_audio_codec.datasets.audio.recording_writer import check_size
    from meanflow_audio_codec.errors import InputError

    check_size("it", ".wav", 1, 2**30)
    check_size("it", ".flac", 2, 2**40)
    with pytest.raises(InputError, match="do not fit the 4 GiB of a WAV file: write flac"):
        check_size("it", ".wav", 2, 2**30)


def test_a_process_with_all_streams_closed_does_its_work(folder):
    """What opens a file next gets the number of a closed stream, unless that is taken."""
    program = f"{sys.executable} -O -m meanflow_audio_codec encode one.wav made.mfc --model {codec_folder()}"
    process = subprocess.run(["sh", "-c", f"exec {program} <&- >&- 2>&-"], check=False)
    assert process.returncode == 0
    assert tiny_codec().decode(Path("made.mfc").read_bytes())[0].shape == (1, len(SAMPLES))


def test_standard_input_is_read_once(folder, monkeypatch):
    monkeypatch.setattr("sys.stdin", standard_input(SourceFile(Path("one.wav").read_bytes())))
    assert run("encode", "-", "made.mfc") == 0
    assert Path("made.mfc").read_bytes() == coded()
