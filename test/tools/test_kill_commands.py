"""Commands stopped at a random moment; the long run is by hand, with the tool itself."""

import random
import signal
from pathlib import Path

import pytest
from fixtures.tiny_models import codec_folder

from meanflow_audio_codec.tools import kill_commands


@pytest.mark.skipif(not Path("/proc/self/environ").exists(), reason="finds processes below /proc")
def test_a_stopped_command_leaves_nothing_behind_and_goes_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kill_commands, "SIGNALS", (signal.SIGTERM,))
    (trial,) = kill_commands.prepare(tmp_path, str(codec_folder()), 5.0, ["encode"])
    assert kill_commands.kill_at_random(trial, tmp_path, 1, random.Random(1), warm_up=False) == []
    assert len(kill_commands.digests(tmp_path / "encode-reference", trial.is_final)) == 1
