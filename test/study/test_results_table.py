"""The tables that rows are appended to: rows cut short, byte-order marks, other files."""

from pathlib import Path

import pytest

from meanflow_audio_codec.errors import InputError
from meanflow_audio_codec.study.results import IDENTITY, RESULT_COLUMNS, append_rows, read_rows


def row(name: str) -> dict[str, str]:
    return dict.fromkeys(IDENTITY, "x") | {"name": name, "status": "finished"}


def names(directory: Path) -> list[str]:
    return [each["name"] for each in read_rows(directory, "results")]


@pytest.mark.parametrize("length", [1, 5, 30])
def test_a_row_cut_short_is_dropped_and_not_continued(tmp_path: Path, length: int) -> None:
    path = tmp_path / "results.csv"
    append_rows(path, RESULT_COLUMNS, [row("first"), row("second")])
    path.write_bytes(path.read_bytes()[:-length])
    assert names(tmp_path) == ["first"]
    append_rows(path, RESULT_COLUMNS, [row("third")])
    assert names(tmp_path) == ["first", "third"]


def test_a_heading_cut_short_is_written_again(tmp_path: Path) -> None:
    (tmp_path / "results.csv").write_text("preset,ta")
    append_rows(tmp_path / "results.csv", RESULT_COLUMNS, [row("first")])
    assert names(tmp_path) == ["first"]


def test_a_byte_order_mark_is_no_part_of_a_table(tmp_path: Path) -> None:
    path = tmp_path / "results.csv"
    append_rows(path, RESULT_COLUMNS, [row("first")])
    path.write_bytes(b"\xef\xbb\xbf" + path.read_bytes())
    append_rows(path, RESULT_COLUMNS, [row("second")])
    assert names(tmp_path) == ["first", "second"]


def test_what_is_no_table_is_refused(tmp_path: Path) -> None:
    (tmp_path / "results.csv").write_bytes(b"\xff\xfe\n")
    with pytest.raises(InputError, match="no table in UTF-8"):
        read_rows(tmp_path, "results")
    (tmp_path / "results.csv").write_text("a,b\n1,2\n")
    with pytest.raises(InputError, match="is not a table of the study"):
        read_rows(tmp_path, "results")
    with pytest.raises(InputError, match="has other columns"):
        append_rows(tmp_path / "results.csv", RESULT_COLUMNS, [row("first")])


def test_a_table_that_cannot_be_written_is_one_line(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="cannot be written"):
        append_rows(tmp_path / "gone" / "results.csv", RESULT_COLUMNS, [row("first")])
