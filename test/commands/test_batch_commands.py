"""encode, decode and verify over several files and folders: what is kept, skipped, refused and reported."""

import io
import json
import re
from pathlib import Path

import numpy as np
import pytest
import soundfile
from fixtures.tiny_models import RATE, codec_folder, other_name_codec, sound, tiny_codec

from meanflow_audio_codec.__main__ import main
from meanflow_audio_codec.codec.container import read_stream
from meanflow_audio_codec.datasets.audio.recording_writer import to_int16

TAGS = {"title": "Röslein", "artist": "S. Ω", "comment": "two\nlines", "date": "2026", "tracknumber": "3"}


def write_sound(path: Path, seed: int = 0, tags: dict[str, str] | None = None) -> np.ndarray:
    path.parent.mkdir(parents=True, exist_ok=True)
    samples = sound(4_000, seed)
    with soundfile.SoundFile(path, "w", RATE, 1) as file:
        for name, text in (tags or {}).items():
            setattr(file, name, text)
        file.write(samples)
    return samples


@pytest.fixture
def folder(tmp_path, monkeypatch) -> Path:
    """A tree with three recordings, one of them broken, and things that are none."""
    monkeypatch.chdir(tmp_path)
    write_sound(Path("in/a.wav"), 1, TAGS)
    write_sound(Path("in/deep/er/b.FLAC"), 2)
    Path("in/deep/broken.wav").write_text("no audio")
    Path("in/notes.txt").write_text("notes")
    write_sound(Path("in/.hidden/c.wav"))
    return tmp_path


def files(folder: str) -> set[str]:
    return {str(path.relative_to(folder)) for path in Path(folder).rglob("*") if path.is_file()}


def run(capsys, *arguments: str) -> tuple[int, str, str]:
    code = main([*arguments, "--model", str(codec_folder())])
    printed = capsys.readouterr()
    return code, printed.out, printed.err


@pytest.mark.parametrize("jobs", ["1", "2"])
def test_a_folder_is_encoded_and_decoded_with_its_tree(folder, capsys, jobs):
    code, out, err = run(capsys, "encode", "in", "coded", "--jobs", jobs)
    assert code == 1
    assert files("coded") == {"a.mfc", "deep/er/b.mfc"}
    assert out.startswith("2 encoded, 1 failed; 0.5 s of audio in ")
    assert err.startswith("failed: in/deep/broken.wav cannot be read as audio")
    assert err.count("\n") == 1
    samples, _ = soundfile.read("in/a.wav", dtype="float32")
    tags = read_stream(Path("coded/a.mfc").read_bytes()).tags
    assert tags.items() >= TAGS.items()
    assert Path("coded/a.mfc").read_bytes() == tiny_codec().encode(samples, RATE, tags=tags)
    if jobs == "1":
        code, out, err = run(capsys, "decode", "coded", "decoded", "--format", "flac", "--json")
        assert (code, err) == (0, "")
        assert files("decoded") == {"a.flac", "deep/er/b.flac"}
        assert [done["output"] for done in json.loads(out)["done"]] == ["decoded/a.flac", "decoded/deep/er/b.flac"]
        with soundfile.SoundFile("decoded/a.flac") as decoded:
            assert decoded.copy_metadata().items() >= TAGS.items()


def test_a_long_file_among_others_has_the_bytes_of_the_codec(folder, capsys):
    """More than one packet, and no bar of its own beside that of the batch."""
    samples = sound(15 * RATE)
    soundfile.write("in/long.wav", samples, RATE, subtype="FLOAT")
    code, out, _ = run(capsys, "encode", "in/a.wav", "in/long.wav", "coded")
    assert (code, out.startswith("2 encoded, 0 failed; 15.2 s of audio")) == (0, True)
    data = Path("coded/long.mfc").read_bytes()
    assert data == tiny_codec().encode(samples, RATE)
    assert run(capsys, "decode", "coded", "decoded")[0] == 0
    decoded = soundfile.read("decoded/long.wav", dtype="int16")[0]
    np.testing.assert_array_equal(decoded, to_int16(tiny_codec().decode(data)[0][0]))


def test_what_exists_is_skipped_and_counted(folder, capsys):
    Path("coded").mkdir()
    Path("coded/a.mfc").write_bytes(b"precious")
    code, out, _ = run(capsys, "encode", "in/a.wav", "in/deep/er/b.FLAC", "coded")
    assert (code, Path("coded/a.mfc").read_bytes()) == (0, b"precious")
    assert out.startswith("1 encoded, 1 skipped (their outputs exist; --force writes them anew), 0 failed")
    code, out, _ = run(capsys, "encode", "in/a.wav", "in/deep/er/b.FLAC", "coded", "--force", "--json")
    report = json.loads(out)
    assert (code, len(report["done"]), report["skipped"], report["failed"]) == (0, 2, [], [])
    assert report["seconds"] == 0.5
    assert read_stream(Path("coded/a.mfc").read_bytes()).num_samples == 4_000


def test_two_inputs_never_share_an_output_and_a_missing_one_stops_nothing(folder, capsys):
    write_sound(Path("in/a.flac"))
    code, out, err = run(capsys, "encode", "in/a.wav", "in/a.flac", "missing.wav", "new", "--json")
    assert (code, files("new")) == (1, {"a.mfc"})
    failed = json.loads(out)["failed"]
    assert [entry["input"] for entry in failed] == ["in/a.flac", "missing.wav"]
    assert "would write new/a.mfc like in/a.wav" in failed[0]["error"]
    assert err.count("\n") == 2


def test_one_file_goes_into_a_folder_by_its_name(folder, capsys):
    Path("out").mkdir()
    assert run(capsys, "encode", "in/a.wav", "out")[0] == 0
    assert files("out") == {"a.mfc"}
    code, _, err = run(capsys, "encode", "in/a.wav", "out")
    assert code == 2
    assert "out/a.mfc: exists" in err


def test_a_folder_without_recordings_is_named(folder, capsys):
    Path("empty").mkdir()
    code, _, err = run(capsys, "encode", "empty", "coded")
    assert code == 2
    assert "empty: holds no file to work on; wanted are .wav" in err


def test_tags_are_given_removed_and_limited(folder, capsys):
    write_sound(Path("long.flac"), tags={"comment": "x" * 9_000, "title": "kept"})
    code, _, err = run(capsys, "encode", "long.flac", "long.mfc", "--tag", "artist=me=you", "--tag", "title=")
    assert code == 0
    assert err == "long.flac: left out tag comment: the value has 9000 bytes of UTF-8, not 1 ... 8192\n"
    tags = read_stream(Path("long.mfc").read_bytes()).tags
    assert tags.keys() - {"software"} == {"artist"}
    assert tags["artist"] == "me=you"
    assert run(capsys, "decode", "long.mfc", "long.ogg")[0] == 0
    with soundfile.SoundFile("long.ogg") as decoded:
        assert decoded.artist == "me=you"


def test_tags_that_the_output_cannot_hold_are_named(folder, capsys):
    tags = {"mood": "calm", "license": "CC0", "title": "kept"}
    Path("a.mfc").write_bytes(tiny_codec().encode(sound(100), RATE, tags=tags))
    code, _, err = run(capsys, "decode", "a.mfc", "a.wav")
    assert (code, err) == (0, "a.wav: its format could not keep the tag(s) license, mood\n")


def test_a_part_is_decoded(folder, capsys):
    data = tiny_codec().encode(sound(3 * RATE), RATE, tags={"title": "part"})
    Path("three.mfc").write_bytes(data)
    assert run(capsys, "decode", "three.mfc", "part.wav", "--start", "0.5", "--end", "1.75")[0] == 0
    samples, rate = soundfile.read("part.wav")
    whole, _ = tiny_codec().decode(data)
    np.testing.assert_allclose(samples, np.clip(whole[0, rate // 2 : 7 * rate // 4], -1, 1), atol=2**-15)


def test_verify_tells_whole_from_damaged_files(folder, capsys):
    data = tiny_codec().encode(sound(8_000), RATE)
    stream = read_stream(data)
    Path("good.mfc").write_bytes(data)
    Path("cut.mfc").write_bytes(data[:-9])
    Path("other.mfc").write_bytes(other_name_codec().encode(sound(100), RATE))
    # Right in all checksums, but not what the tables encode.
    packet = stream.packets[0]
    wrong = packet._replace(payload=packet.payload[:-1] + bytes([packet.payload[-1] ^ 1]))
    from meanflow_audio_codec.codec.container import write_stream

    Path("wrong.mfc").write_bytes(write_stream(stream.header, stream.num_samples, [wrong]))
    Path("short.mfc").write_bytes(write_stream(stream.header, 4_000, stream.packets))
    assert run(capsys, "verify", "good.mfc")[:2] == (0, "good.mfc: ok, 0.50 s, 1 packet(s)\n")
    code, out, err = run(capsys, "verify", ".", "--json")
    assert (code, err) == (1, "")
    statuses = {report["file"]: report["status"] for report in json.loads(out)}
    assert statuses == {
        "cut.mfc": "damaged",
        "good.mfc": "ok",
        "other.mfc": "other model",
        "short.mfc": "damaged",
        "wrong.mfc": "damaged",
    }


def test_info_tells_tags_and_where_the_bits_are(folder, capsys):
    data = tiny_codec().encode(sound(8_000), RATE, tags=TAGS)
    Path("good.mfc").write_bytes(data)
    assert main(["info", "good.mfc", "--json"]) == 0
    figures = json.loads(capsys.readouterr().out)
    assert figures["tags"] == TAGS
    assert figures["payload_bits"] + figures["overhead_bits"] == 8 * figures["file_bytes"] == 8 * len(data)
    assert figures["payload_bits"] == tiny_codec().bits(data)
    assert figures["smallest_payload_bytes"] == figures["largest_payload_bytes"] == figures["payload_bits"] // 8
    assert (figures["format_version"], figures["frames"], figures["seconds"]) == (2, 26, 0.5)
    assert main(["info", "good.mfc"]) == 0
    assert re.search(r"^tag comment +two\\nlines$", capsys.readouterr().out, re.MULTILINE)


def test_standard_input_is_read_for_info_and_verify(folder, capsys, monkeypatch):
    data = tiny_codec().encode(sound(8_000), RATE)
    for command in (["info", "-"], ["verify", "-", "--model", str(codec_folder())]):
        monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(data)))
        assert main(command) == 0
        assert capsys.readouterr().out


def test_the_same_file_named_twice_is_done_once(folder, capsys):
    code, out, err = run(capsys, "encode", "in/a.wav", "in", "in/../in/a.wav", "in/deep/er/b.FLAC", "coded", "--json")
    report = json.loads(out)
    assert code == 1  # of the broken one alone
    assert len(report["done"]) == 2
    assert [entry["input"] for entry in report["failed"]] == ["in/deep/broken.wav"]
    assert err.count("\n") == 1


def test_links_in_a_folder_are_followed_or_told(folder, capsys):
    write_sound(Path("other/c.wav"), 3)
    Path("in/linked").symlink_to("../other")
    Path("in/deep/loop").symlink_to("..")
    Path("in/gone.wav").symlink_to("nowhere.wav")
    Path("in/deep/broken.wav").unlink()
    code, out, err = run(capsys, "encode", "in", "coded", "--json")
    assert code == 1
    assert files("coded") == {"a.mfc", "deep/er/b.mfc", "linked/c.mfc"}
    assert [entry["error"] for entry in json.loads(out)["failed"]] == ["a link to nothing"]
    assert "in/deep/loop: left out, a link to" in err
    assert "failed: in/gone.wav: a link to nothing" in err
