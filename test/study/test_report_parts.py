"""Parts of the study's report: numbers, both writers, commentary, players and the order of samples."""

from pathlib import Path

import numpy as np
import pytest
from fixtures.made_up_study import HOSTILE, Page, plain

from meanflow_audio_codec.study.report.numbers import interval_text, number, spread
from meanflow_audio_codec.study.report.pages.commentary import markdown_to_html
from meanflow_audio_codec.study.report.pages.document import Entry, Heading, Paragraph, Rows, Table
from meanflow_audio_codec.study.report.pages.html_page import to_html
from meanflow_audio_codec.study.report.pages.markdown import escape, to_markdown
from meanflow_audio_codec.study.report.pages.recordings import recordings
from meanflow_audio_codec.study.report.sections.generation import by_label
from meanflow_audio_codec.study.report.sections.samples import cut


@pytest.mark.parametrize(
    ("value", "decimals", "text"),
    [
        (0.12345, 3, "0.123"),
        (-0.12345, 3, "-0.123"),
        (0.0, 3, "0.000"),
        (0.000012, 3, "1.2e-5"),
        (123.456, 2, "123.5"),
        (23520.4, 1, "23\N{THIN SPACE}520"),
        (None, 2, "-"),
        (float("inf"), 2, "∞"),
    ],
)
def test_numbers(value: float | None, decimals: int, text: str) -> None:
    assert plain(number(value, decimals)) == text


def test_spread_and_interval_share_their_digits() -> None:
    assert spread([1.0, 2.0, 3.0], 2) == "2.00 ± 1.00"
    assert spread([0.5], 2) == "0.50"
    assert spread([0.5, 0.5002], 2) == "0.50 ± 0.000"
    assert plain(interval_text(-0.005, -0.011, -0.0004, 3)) == "-0.0050 [-0.0110, -0.0004]"
    assert plain(interval_text(0.0, -1.0, 1.0, 1)) == "+0.0 [-1.0, +1.0]"
    assert interval_text(2.0, float("nan"), float("nan"), 1) == "+2.0"


def test_both_writers_show_hostile_text(tmp_path: Path) -> None:
    blocks = [Heading(HOSTILE), Paragraph(HOSTILE, HOSTILE), Table((HOSTILE,), (Rows(HOSTILE, ((Entry(HOSTILE),),)),))]
    page = Page(to_html(HOSTILE, blocks))
    assert "script" not in page.tags
    assert page.loaded == ["data:,"]
    markdown = to_markdown(HOSTILE, blocks, tmp_path)
    assert all(line.count("|") - line.count("\\|") == 2 for line in markdown.splitlines() if line.startswith("|"))
    assert escape("a\nb") == "a b"


def test_commentary_is_markdown_and_nothing_more() -> None:
    text = """# Title
Some *text* with [a link](https://example.org/a) and [none](javascript:alert(1)) <b>raw</b>.

In order:
1. one
2. two `x|y`
   goes on

| a | b |
| --- | ---: |
| 1 | **2** |

```python
if a < b:

    pass
```
"""
    result = markdown_to_html(text)
    assert result.startswith('<h3>Title</h3>\n<p>Some <em>text</em> with <a href="https://example.org/a">a link</a>')
    assert 'href="javascript' not in result
    assert "&lt;b&gt;raw&lt;/b&gt;" in result
    assert "<p>In order:</p>\n<ol><li>one</li><li>two <code>x|y</code> goes on</li></ol>" in result
    assert '<td class="left"><strong>2</strong></td>' in result
    assert "<pre>if a &lt; b:\n\n    pass</pre>" in result


def test_players_share_one_gain() -> None:
    """What is too loud lowers all versions alike; what is not finite is silent."""
    import io

    import soundfile

    tone = np.sin(np.arange(1_600) / 10).astype(np.float32)
    clip = recordings(
        "clip", {"loud": 2 * tone, "quiet": 0.5 * tone, "broken": np.full(1_600, np.nan, np.float32)}, 16_000
    )
    decoded = {player.label: soundfile.read(io.BytesIO(player.flac))[0] for player in clip.players}
    assert np.abs(decoded["loud"]).max() == pytest.approx(0.9, abs=1e-3)
    np.testing.assert_allclose(decoded["loud"], 4 * decoded["quiet"], atol=2e-4)
    assert not decoded["broken"].any()


def test_samples_are_put_in_order() -> None:
    signals = np.arange(7.0)
    arrays = {"signals": signals, "labels": np.array([2, 0, 1, 1, 0, 2, 2])}
    assert by_label(arrays, 3).tolist() == [1, 2, 0, 4, 3, 5]
    assert by_label({"signals": signals}, 3).tolist() == signals.tolist()
    pieces = cut({"a": np.ones((2, 5))}, np.array([3, 5]))["a"]
    assert [len(piece) for piece in pieces] == [3, 5]
